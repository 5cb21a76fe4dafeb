use proptest::prelude::*;

use super::{plausible_head, written};
use crate::format::Format;
use crate::handshake::{
    AnswerError, Entry, Refusal, Terms, check_first_bytes, parse_answer, write_acceptance,
};
use crate::limits::Limits;

fn read(head: &str) -> Result<Terms, AnswerError> {
    parse_answer(Entry::Connect, head.as_bytes(), &[Format::Bincode])
}

fn read_with(lines: &str) -> Result<Terms, AnswerError> {
    read(&format!("HTTP/1.0 200 Connected\r\n{lines}\r\n"))
}

const PLAIN: Terms = Terms { format: Format::Bincode, limits: LIMITS };

const LIMITS: Limits =
    Limits { max_frame: 4 * 1024 * 1024, max_calls: 1024, window: 512 * 1024, max_streams: 256 };

fn refusal(head: &str) -> Refusal {
    match read(head) {
        Err(AnswerError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_acceptance_has_its_exact_bytes() {
    let mut out = Vec::new();
    write_acceptance(
        Format::Bincode,
        Limits { max_frame: 65536, max_calls: 7, window: 65536, max_streams: 0 },
        &mut out,
    );
    assert_eq!(
        out,
        b"HTTP/1.0 200 Connected\r\nRpc-Version: 1\r\nRpc-Format: bincode\r\n\
          Rpc-Max-Frame: 65536\r\nRpc-Max-Calls: 7\r\nRpc-Window: 65536\r\n\
          Rpc-Max-Streams: 0\r\n\r\n"
    );
}

#[test]
fn a_bare_acceptance_means_version_1_bincode_and_default_limits() {
    assert_eq!(read("HTTP/1.0 200 Connected\n\n").unwrap(), PLAIN);
    assert_eq!(read("HTTP/1.1 200 Connected\r\n\n").unwrap(), PLAIN);
}

#[test]
fn any_2xx_with_any_reason_but_a_page_is_an_acceptance() {
    for head in
        ["HTTP/1.0 200 Connected to Go RPC\n\n", "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.0 299\n\n"]
    {
        assert_eq!(read(head).unwrap(), PLAIN);
    }
    assert!(matches!(read_with("Content-Type: text/html\r\n"), Err(AnswerError::WebPage { .. })));
    assert_eq!(read_with("Content-Type: text/html\r\nRpc-Version: 1\r\n").unwrap(), PLAIN);
    assert_eq!(read_with("Content-Type: text/plain\r\n").unwrap(), PLAIN);
}

#[test]
fn a_proxys_length_or_encoding_on_an_acceptance_is_ignored() {
    let lines = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\nDate: x\r\nRpc-New: y\r\n";
    assert_eq!(read_with(lines).unwrap(), PLAIN);
}

#[test]
fn every_other_status_is_a_refusal_with_status_and_headers() {
    for status in [101_u16, 199, 301, 400, 405, 503, 599, 999] {
        let refusal = refusal(&format!("HTTP/1.1 {status} Why\r\nAllow: CONNECT\r\n\r\n"));
        assert_eq!((refusal.status().as_u16(), refusal.message()), (status, "Why"));
        assert_eq!(refusal.headers()["allow"], "CONNECT");
    }
}

#[test]
fn a_refusal_tells_the_text_of_its_body_if_it_is_plain() {
    let mut plain = refusal("HTTP/1.0 403 Forbidden\r\ncontent-type: Text/Plain\r\n\r\n");
    assert_eq!(plain.to_string(), "403 Forbidden");
    plain.read_body(b"");
    assert_eq!(plain.message(), "");
    plain.read_body("caf\u{e9} \"closed\"\x1b[2J\r\nsecond line".as_bytes());
    assert_eq!(plain.to_string(), "403 Forbidden: caf\u{e9} \"closed\"\u{fffd}[2J");

    let mut page = refusal("HTTP/1.0 404 Not Found\r\nContent-Type: text/html\r\n\r\n");
    page.read_body(b"<html>");
    assert_eq!(AnswerError::Refused(page).to_string(), "refused with 404 Not Found");
}

#[test]
fn a_refusals_text_is_shown_whatever_kind_of_text_it_is_and_only_if_it_is_text() {
    for (lines, shown) in [
        ("", true),
        ("Content-Type: application/json\r\n", true),
        ("Content-Type: application/problem+json; charset=utf-8\r\n", true),
        ("Content-Type: image/png\r\n", false),
        ("Transfer-Encoding: chunked\r\n", false),
        ("Content-Type: text/plain\r\nContent-Encoding: gzip\r\n", false),
    ] {
        let mut refusal = refusal(&format!("HTTP/1.0 400 Bad Request\r\n{lines}\r\n"));
        refusal.read_body(b"\r\n  speak TLS \nplease");
        assert_eq!(refusal.message(), if shown { "speak TLS" } else { "" }, "{lines}");
    }
}

#[test]
fn of_a_refusals_text_and_reason_512_bytes_are_shown() {
    let mut refusal = refusal(&format!("HTTP/1.0 400 {}\r\n\r\n", "\t".repeat(1000)));
    assert_eq!(refusal.message(), "\u{fffd}".repeat(512));
    refusal.read_body(&[b'x'; 513]);
    assert_eq!(refusal.message(), "x".repeat(512));
}

#[test]
fn a_written_refusal_is_read_back() {
    let ours = written(&Refusal::forbidden("not you"));
    let (head, body) = ours.split_at(ours.find("not you").unwrap());
    let mut theirs = refusal(head);
    theirs.read_body(body.as_bytes());
    assert_eq!(theirs.to_string(), "403 Forbidden: not you");
}

#[test]
fn another_version_is_an_error() {
    assert!(matches!(read_with("Rpc-Version: 2\r\n"), Err(AnswerError::Version(theirs)) if theirs == "2"));
}

#[test]
fn a_505_that_names_another_version_is_about_the_version() {
    let answer =
        |version: &str| read(&format!("HTTP/1.0 505 No\r\nRpc-Version: {version}\r\nVia: x\r\n\r\n"));
    assert!(matches!(answer("2"), Err(AnswerError::Version(theirs)) if theirs == "2"));
    assert!(matches!(answer("1"), Err(AnswerError::Proxy { .. })), "that is the version of the client");
    assert_eq!(refusal("HTTP/1.0 505 HTTP Version Not Supported\r\n\r\n").status().as_u16(), 505);
}

#[test]
fn a_415_that_names_other_formats_is_about_the_formats() {
    let answer = |formats: &str| read(&format!("HTTP/1.0 415 No\r\nRpc-Format: {formats}\r\n\r\n"));
    assert!(
        matches!(answer("json, cbor"), Err(AnswerError::NoCommonFormat(theirs)) if theirs == "json, cbor")
    );
    assert!(matches!(answer("json, bincode"), Err(AnswerError::Refused(_))), "that one was offered");
    assert_eq!(refusal("HTTP/1.0 415 Unsupported Media Type\r\n\r\n").status().as_u16(), 415);
}

#[test]
fn a_format_that_was_not_offered_is_an_error() {
    for name in ["json", "cbor", "", "bincode, json"] {
        let result = read_with(&format!("Rpc-Format: {name}\r\n"));
        assert!(matches!(result, Err(AnswerError::Format(theirs)) if theirs == name));
    }
    let silent = parse_answer(Entry::Connect, b"HTTP/1.0 200 Connected\n\n", &[]);
    assert!(matches!(silent, Err(AnswerError::Format(theirs)) if theirs == "bincode"));
}

#[test]
fn limits_out_of_range_are_an_error() {
    for line in [
        "Rpc-Max-Frame: 0",
        "Rpc-Max-Frame: 65535",
        "Rpc-Max-Calls: 65537",
        "Rpc-Max-Calls: many",
        "Rpc-Window: 65535",
        "Rpc-Max-Streams: 65537",
    ] {
        assert!(matches!(read_with(&format!("{line}\r\n")), Err(AnswerError::Limits(_))));
    }
}

#[test]
fn a_malformed_answer_is_an_error_that_says_what_is_wrong() {
    for (head, text) in [
        ("HTTP/1.0 20\n\n", "malformed status code"),
        ("HTTP/1.0 099 x\n\n", "malformed status code"),
        ("HTTP/2.0 200 OK\n\n", "malformed or unknown HTTP version"),
        ("HTTP/1.0 200 OK\nA b: c\n\n", "malformed header name"),
        (
            "HTTP/1.0 200 OK\nRpc-Version: 1\nRpc-Version: 2\n\n",
            "Rpc-Version given more than once, with different values",
        ),
        (
            "HTTP/1.0 200 OK\nRpc-Format: bincode\nRpc-Format: json\n\n",
            "Rpc-Format given more than once, with different values",
        ),
        ("HTTP/1.0 200 OK\n", "not exactly one head"),
        ("HTTP/1.0 200 OK\n\nx", "not exactly one head"),
    ] {
        assert!(matches!(read(head), Err(AnswerError::Malformed(what)) if what == text), "{head:?}");
    }
    let many = read_with(&"A: b\r\n".repeat(65));
    assert!(matches!(many, Err(AnswerError::Malformed(what)) if what == "too many headers"));
}

#[test]
fn a_tls_server_is_recognised_by_its_record() {
    for bytes in [&b"\x15\x03\x03\x00\x02\x02\x46"[..], b"\x16\x03"] {
        assert!(matches!(check_first_bytes(bytes), Err(AnswerError::Tls)));
    }
    assert!(check_first_bytes(b"\x15").is_ok());
    assert!(matches!(check_first_bytes(b"\x15\x04"), Err(AnswerError::NotHttp(_))));
}

#[test]
fn another_protocol_is_recognised_by_its_first_bytes() {
    for (bytes, shown) in [
        (&b"SSH-2.0-OpenSSH\r\n"[..], "SSH-2.0-OpenSSH\\r\\n"),
        (b"\x00\x00\x12\x04", "\\x00\\x00\\x12\\x04"),
        (b"HTML", "HTML"),
        (b"\r\nHTTP/1.0", "\\r\\nHTTP/1.0"),
    ] {
        assert!(matches!(check_first_bytes(bytes), Err(AnswerError::NotHttp(text)) if text == shown));
        assert!(matches!(parse_answer(Entry::Connect, bytes, Format::ALL), Err(AnswerError::NotHttp(_))));
    }
    let long = check_first_bytes(&[b'x'; 65]).unwrap_err().to_string();
    assert!(long.ends_with(&format!("\"{}...\"", "x".repeat(64))));
}

#[test]
fn an_answer_that_may_become_http_is_waited_for() {
    let answer = b"HTTP/1.0 200 Connected";
    for end in 0..answer.len() {
        assert!(check_first_bytes(&answer[..end]).is_ok());
    }
}

#[test]
fn an_answer_error_is_small() {
    assert!(size_of::<AnswerError>() <= 40);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse_answer(Entry::Connect, &bytes, Format::ALL);
    }

    #[test]
    fn plausible_heads_never_panic(bytes in plausible_head()) {
        if let Err(AnswerError::Refused(mut refusal)) = parse_answer(Entry::Connect, &bytes, Format::ALL) {
            refusal.read_body(&bytes);
        }
    }

    #[test]
    fn what_a_server_announces_is_what_the_client_reads(
        max_frame in 65_536_u32..,
        max_calls in 1_u32..=65_536,
        format in prop::sample::select(Format::ALL),
    ) {
        let limits = Limits { max_frame, max_calls, ..Limits::default() };
        let mut out = Vec::new();
        write_acceptance(format, limits, &mut out);
        prop_assert_eq!(parse_answer(Entry::Connect, &out, Format::ALL).unwrap(), Terms { format, limits });
    }
}
