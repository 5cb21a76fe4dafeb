//! What is answered to CONNECT in place of an acceptance: each is its own error, which says what is there.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::error::Error as _;

use http::StatusCode;
use rpc_client::{Builder, Client, ConnectError};
use rpc_core::Format;
use rpc_core::handshake::Refusal;
use tests::{arith, listen, read_head, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Asserts the variant and the whole text behind `cannot connect to ADDRESS: `.
macro_rules! assert_told {
    ($answer:expr, $variant:ident, $text:expr) => {{
        let error = answered($answer).await;
        assert!(matches!(error.0, ConnectError::$variant { .. }), "{error:?}");
        assert_eq!(error.1, $text);
    }};
}

/// The error of a client that is answered so, and its text without what all have in common.
async fn answered(answer: impl AsRef<[u8]>) -> (ConnectError, String) {
    answered_to(Client::builder(), answer).await
}

async fn answered_to(builder: Builder, answer: impl AsRef<[u8]>) -> (ConnectError, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = tokio::spawn(builder.connect(address));
    let (mut stream, _) = within(listener.accept()).await.unwrap();
    read_head(&mut stream).await;
    stream.write_all(answer.as_ref()).await.unwrap();
    stream.shutdown().await.unwrap();
    let error = within(client).await.unwrap().unwrap_err();
    told(error, address)
}

fn told(error: ConnectError, address: impl ToString) -> (ConnectError, String) {
    let text = error.to_string();
    let prefix = format!("cannot connect to {}: ", address.to_string());
    let text = text.strip_prefix(&prefix).expect("a text that begins with the address");
    assert!(!text.contains(char::is_control), "{text}");
    (error, text.to_owned())
}

#[tokio::test]
async fn a_port_for_tls_is_told() {
    assert_told!(
        b"\x15\x03\x01\x00\x02\x02\x46",
        ServerSpeaksTls,
        "the server speaks TLS there; is the address to begin with https://?"
    );
    assert_told!(
        "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
        Refused,
        "the server refused with 400 Bad Request: Client sent an HTTP request to an HTTPS server.; is it an \
         RPC server?"
    );
}

#[tokio::test]
async fn another_protocol_is_shown_by_its_first_bytes() {
    assert_told!(
        "SSH-2.0-OpenSSH_9.7\r\n",
        OtherProtocol,
        "the server speaks another protocol, it began with \"SSH-2.0-OpenSSH_9.7\\r\\n\"; is the port right?"
    );
    let long = format!(
        "the server speaks another protocol, it began with \"{}...\"; is the port right?",
        "-".repeat(64)
    );
    assert_told!([b'-'; 1000], OtherProtocol, long);
}

#[tokio::test]
async fn a_web_server_that_refuses_is_told_with_its_name_and_text() {
    for (answer, text) in [
        (
            "404 Not Found\r\nServer: nginx/1.27\r\nContent-Type: text/html\r\n\r\n<html><h1>Not here",
            "the server (nginx/1.27) refused with 404 Not Found; is the path /_rpc_ right?",
        ),
        (
            "404 Not Found\r\n\r\nnothing here",
            "the server refused with 404 Not Found: nothing here; is the path /_rpc_ right?",
        ),
        (
            "405 Method Not Allowed\r\nServer: uvicorn\r\n\r\nMethod Not Allowed",
            "the server (uvicorn) refused with 405 Method Not Allowed: Method Not Allowed; it is a web server \
             that has no RPC at /_rpc_",
        ),
        (
            "501 Unsupported method ('CONNECT')\r\nContent-Type: text/html\r\n\r\n<p>",
            "the server refused with 501 Not Implemented: Unsupported method ('CONNECT'); it is a web server \
             that has no RPC at /_rpc_",
        ),
    ] {
        assert_told!(format!("HTTP/1.1 {answer}"), Refused, text);
    }
    let redirected = "the server refused with 302 Found; redirections (https://a.example/) are not followed";
    assert_told!("HTTP/1.0 302 Found\r\nLocation: https://a.example/\r\n\r\n", Refused, redirected);
    assert_told!("HTTP/1.0 418 I'm a teapot\r\n\r\n", Refused, "the server refused with 418 I'm a teapot");
}

#[tokio::test]
async fn the_likely_cause_of_a_refusal_follows_from_its_status() {
    for (status, cause) in [
        ("401 Unauthorized", "are the credentials right?"),
        ("408 Request Timeout", "is the network slow, or the server overloaded?"),
        ("415 Unsupported Media Type", "is it an RPC server?"),
        ("429 Too Many Requests", "is it full or shutting down?"),
        ("431 Request Header Fields Too Large", "are the headers of this client too many or too large?"),
        ("502 Bad Gateway", "it is a gateway that does not reach the server behind it"),
        ("503 Service Unavailable", "is it full or shutting down?"),
        ("505 HTTP Version Not Supported", "is it an RPC server?"),
    ] {
        let text = format!("the server refused with {status}; {cause}");
        assert_told!(format!("HTTP/1.1 {status}\r\n\r\n"), Refused, text);
    }
}

#[tokio::test]
async fn a_refusal_of_an_rpc_server_is_told_in_its_own_words() {
    let (address, _server) =
        listen(arith().authorize(async |_| Err::<(), _>(Refusal::forbidden("not you")))).await;
    let (error, text) =
        told(within(Client::builder().path("/x?key=secret").connect(address)).await.unwrap_err(), address);
    assert!(matches!(&error, ConnectError::Refused { path, .. } if path == "/x"), "{error:?}");
    assert_eq!(
        text,
        "the server refused with 404 Not Found: no RPC at \"/x\", only at /_rpc_; is the path /x right?"
    );
    let (error, text) = told(within(Client::connect(address)).await.unwrap_err(), address);
    assert_eq!(text, "the server refused with 403 Forbidden: not you; are the credentials right?");
    let refusal = error.source().unwrap().downcast_ref::<Refusal>().unwrap();
    assert_eq!(refusal.status(), StatusCode::FORBIDDEN);

    let (address, _server) = listen(arith().max_connections(0)).await;
    let (_, text) = told(within(Client::connect(address)).await.unwrap_err(), address);
    assert_eq!(
        text,
        "the server refused with 503 Service Unavailable: too many connections; is it full or shutting down?"
    );
}

#[tokio::test]
async fn a_proxy_is_named() {
    for (answer, text) in [
        (
            "407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nVia: 1.1 gate (squid/6.6)\r\n\r\n",
            "a proxy in between (Via: 1.1 gate (squid/6.6)) answered 407 Proxy Authentication Required; it \
             wants credentials of its own; can the server be reached without it?",
        ),
        (
            "503 Service Unavailable\r\nX-Squid-Error: ERR_CONNECT_FAIL 111\r\nContent-Type: text/html\r\n\r\n<html>",
            "a proxy in between (X-Squid-Error: ERR_CONNECT_FAIL 111) answered 503 Service Unavailable; does \
             it let CONNECT through, and does it reach the server?",
        ),
        (
            "403 Forbidden\r\nProxy-Agent: Gate\r\nContent-Type: text/plain\r\n\r\nnot there",
            "a proxy in between (Proxy-Agent: Gate) answered 403 Forbidden: not there; does it let CONNECT \
             through, and does it reach the server?",
        ),
        (
            "511 Network Authentication Required\r\nContent-Type: text/html\r\n\r\n<html>",
            "a proxy in between answered 511 Network Authentication Required; is there a login page of the \
             network to be passed?",
        ),
    ] {
        assert_told!(format!("HTTP/1.1 {answer}"), Proxy, text);
    }
}

#[tokio::test]
async fn a_web_page_is_no_acceptance() {
    for (server, named) in [("", ""), ("Server: portal\r\n", " (Server: portal)")] {
        assert_told!(
            format!("HTTP/1.1 200 OK\r\n{server}Content-Type: text/html; charset=utf-8\r\n\r\n<html>"),
            WebPage,
            format!(
                "a web page came instead of an answer: 200 OK{named}; is a proxy, a login page of the network \
                 or another web server in the way?"
            )
        );
    }
}

#[tokio::test]
async fn another_version_is_told_by_refusal_and_by_acceptance() {
    for head in ["505 HTTP Version Not Supported", "200 Connected"] {
        assert_told!(
            format!("HTTP/1.0 {head}\r\nRpc-Version: 2\r\n\r\n"),
            Version,
            "the server speaks version \"2\" of the protocol, this client 1; is the older of the two to be \
             updated?"
        );
    }
}

#[tokio::test]
async fn formats_that_do_not_meet_are_told() {
    let (address, _server) = listen(arith().formats([Format::Json])).await;
    let (error, text) = told(within(Client::connect(address)).await.unwrap_err(), address);
    assert!(matches!(error, ConnectError::NoCommonFormat { .. }), "{error:?}");
    assert_eq!(text, "no common body format: the server has \"json\", this client offered \"bincode\"");

    let builder = Client::builder().formats([Format::Json, Format::Bincode]);
    let (error, text) =
        answered_to(builder, "HTTP/1.0 415 Unsupported\r\nRpc-Format: cbor, xml\r\n\r\n").await;
    assert!(matches!(error, ConnectError::NoCommonFormat { .. }), "{error:?}");
    assert_eq!(
        text,
        "no common body format: the server has \"cbor, xml\", this client offered \"json, bincode\""
    );
    assert_told!(
        "HTTP/1.0 200 Connected\r\nRpc-Format: json\r\n\r\n",
        FormatNotOffered,
        "the server chose the body format \"json\", which was not offered; it breaks the protocol"
    );
}

#[tokio::test]
async fn limits_that_cannot_be_and_malformed_answers_are_told() {
    assert_told!(
        "HTTP/1.0 200 Connected\r\nRpc-Max-Calls: 0\r\n\r\n",
        Limits,
        "the server's limits cannot be: Rpc-Max-Calls must be a whole number from 1 to 65536, not \"0\""
    );
    for (answer, what) in [
        ("HTTP/1.0 20\r\n\r\n".to_owned(), "malformed status code"),
        ("HTTP/2.0 200 OK\r\n\r\n".to_owned(), "malformed or unknown HTTP version"),
        (format!("HTTP/1.0 200 OK\r\nX: {}", "y".repeat(8192)), "head larger than 8192 bytes"),
    ] {
        assert_told!(answer, Malformed, format!("malformed answer: {what}; is it an RPC server?"));
    }
}

#[tokio::test]
async fn a_refusal_that_does_not_end_is_waited_for_no_longer_than_a_second() {
    tokio::time::pause();
    let (near, mut far) = tokio::io::duplex(1024);
    far.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\nnot you\n").await.unwrap();
    let started = tokio::time::Instant::now();
    let error = within(Client::new(near)).await.unwrap_err();
    let (_, text) = told(error, "localhost");
    assert_eq!(text, "the server refused with 403 Forbidden: not you; are the credentials right?");
    assert_eq!(started.elapsed().as_secs(), 1);
    within(far.read_u8()).await.unwrap();
}
