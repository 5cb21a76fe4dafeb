use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};

use super::{decide, decide_among, written};
use crate::format::Format;
use crate::handshake::{Refusal, write_response};

/// The bytes of a plain refusal without headers of its own.
fn plain(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.0 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn a_get_is_answered_with_405_must_connect() {
    let refusal = decide(b"GET /_rpc_ HTTP/1.1\r\nHost: a\r\n\r\n").unwrap_err();
    assert_eq!(
        written(&refusal),
        "HTTP/1.0 405 Method Not Allowed\r\nContent-Length: 17\r\nConnection: close\r\n\
         Content-Type: text/plain; charset=utf-8\r\nAllow: CONNECT\r\n\r\n405 must CONNECT\n"
    );
}

#[test]
fn a_head_is_answered_without_a_body() {
    let mut out = Vec::new();
    decide(b"HEAD /_rpc_ HTTP/1.1\r\n\r\n").unwrap_err().write(true, &mut out);
    assert_eq!(
        out,
        b"HTTP/1.0 405 Method Not Allowed\r\nContent-Length: 17\r\nConnection: close\r\n\
          Content-Type: text/plain; charset=utf-8\r\nAllow: CONNECT\r\n\r\n"
    );
}

#[test]
fn every_refusal_of_the_server_has_its_exact_bytes() {
    let bytes = |head: &str| written(&decide_among(head.as_bytes(), &[Format::Bincode]).unwrap_err());
    assert_eq!(bytes("CONNECT\n\n"), plain("400 Bad Request", "malformed request line\n"));
    assert_eq!(
        bytes("CONNECT /x HTTP/1.0\n\n"),
        plain("404 Not Found", "no RPC at \"/x\", only at /_rpc_\n")
    );
    assert_eq!(
        bytes(&format!("CONNECT /_rpc_ HTTP/1.0\n{}\n", "A: b\n".repeat(65))),
        plain("431 Request Header Fields Too Large", "more than 64 headers\n")
    );
    assert_eq!(
        bytes("CONNECT /_rpc_ HTTP/2.0\n\n"),
        plain("505 HTTP Version Not Supported", "this server speaks HTTP/1.0 and HTTP/1.1\n")
    );
    assert_eq!(
        bytes("CONNECT /_rpc_ HTTP/1.0\nRpc-Version: 2\n\n"),
        "HTTP/1.0 505 HTTP Version Not Supported\r\nContent-Length: 42\r\nConnection: close\r\n\
         Content-Type: text/plain; charset=utf-8\r\nRpc-Version: 1\r\n\r\n\
         this server speaks Rpc-Version 1, not \"2\"\n"
    );
    assert_eq!(
        bytes("CONNECT /_rpc_ HTTP/1.0\nRpc-Format: cbor\n\n"),
        "HTTP/1.0 415 Unsupported Media Type\r\nContent-Length: 46\r\nConnection: close\r\n\
         Content-Type: text/plain; charset=utf-8\r\nRpc-Format: bincode\r\n\r\n\
         no known Rpc-Format, this server has: bincode\n"
    );
}

#[test]
fn every_refusal_of_a_hook_or_timer_has_its_exact_bytes() {
    assert_eq!(written(&Refusal::forbidden("not you")), plain("403 Forbidden", "not you\n"));
    assert_eq!(written(&Refusal::request_timeout("late")), plain("408 Request Timeout", "late\n"));
    assert_eq!(written(&Refusal::service_unavailable("full")), plain("503 Service Unavailable", "full\n"));
    assert_eq!(
        written(&Refusal::unauthorized("who?")),
        "HTTP/1.0 401 Unauthorized\r\nContent-Length: 5\r\nConnection: close\r\n\
         Content-Type: text/plain; charset=utf-8\r\nWww-Authenticate: Bearer\r\n\r\nwho?\n"
    );
    assert_eq!(written(&Refusal::new(StatusCode::IM_A_TEAPOT, "tea")), plain("418 I'm a teapot", "tea\n"));
}

#[test]
fn a_hook_can_name_its_own_challenge() {
    let refusal =
        Refusal::unauthorized("who?").with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
    assert!(written(&refusal).contains("\r\nWww-Authenticate: Basic\r\n"));
    assert!(!written(&refusal).contains("Bearer"));
}

#[test]
fn a_refusal_cannot_look_like_an_acceptance() {
    for status in [StatusCode::OK, StatusCode::CONTINUE] {
        assert_eq!(Refusal::new(status, "").status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}

#[test]
fn headers_that_frame_the_answer_cannot_be_set() {
    let one = HeaderValue::from_static("1");
    let mut refusal = Refusal::forbidden("no");
    for name in [CONTENT_LENGTH, CONNECTION, TRANSFER_ENCODING] {
        refusal = refusal.with_header(name, one.clone());
    }
    assert_eq!(written(&refusal), plain("403 Forbidden", "no\n"));
}

#[test]
fn a_message_cannot_reach_the_head() {
    let text = written(&Refusal::forbidden("no\r\nSet-Cookie: a\r\n\r\nb"));
    assert_eq!(text, plain("403 Forbidden", "no\r\nSet-Cookie: a\r\n\r\nb\n"));
}

#[test]
fn a_page_is_written_with_its_own_type_and_body() {
    let page = Response::builder().header("content-type", "application/json").body(b"{}").unwrap();
    let mut out = Vec::new();
    write_response(&page, false, &mut out);
    assert_eq!(
        out,
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n{}"
    );
}

#[test]
fn an_answer_whose_status_has_no_body_has_neither_body_nor_length() {
    for (status, line) in [(204, "204 No Content"), (304, "304 Not Modified"), (102, "102 Processing")] {
        let response = Response::builder().status(status).body("ignored").unwrap();
        let mut out = Vec::new();
        write_response(&response, false, &mut out);
        assert_eq!(out, format!("HTTP/1.0 {line}\r\nConnection: close\r\n\r\n").as_bytes());
    }
}

#[test]
fn a_refusal_displays_its_status_and_message_and_is_small() {
    assert_eq!(Refusal::forbidden("not you").to_string(), "403 Forbidden: not you");
    assert_eq!(size_of::<Refusal>(), size_of::<usize>());
    let response = Response::<String>::from(Refusal::forbidden("not you"));
    assert_eq!((response.status().as_u16(), response.body().as_str()), (403, "not you\n"));
}
