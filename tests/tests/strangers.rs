//! Clients that mistake an RPC server for something else, or are made to: browsers, users of proxies, TLS.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::time::Duration;

use http::HeaderValue;
use rpc_server::{Builder, Reply, Request, Server};
use tests::{Raw, answer_to, arith, listen, pipe};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

fn status_line(answer: &str) -> &str {
    answer.lines().next().unwrap_or_default()
}

/// With a route at `/hi`, and a taker at `/raw`.
fn builder() -> Builder {
    arith().route("/hi", async |_: Request| "hi").route("/raw", async |_: Request| {
        Reply::hijack(async |mut taken| taken.stream.write_all(b"HTTP/1.0 200 taken\r\n").await.unwrap())
    })
}

/// The answer's first line when nothing comes behind the head.
async fn asked(server: &Server, head: &str) -> String {
    let mut io = pipe(server);
    io.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
    io.shutdown().await.unwrap();
    status_line(&answer_to(io, "").await).to_owned()
}

#[tokio::test]
async fn a_connect_from_a_web_page_is_refused_with_403_unless_its_origin_was_allowed() {
    let allow = |builder: Builder, origin| builder.allow_origin(HeaderValue::from_static(origin));
    let builder = allow(allow(builder(), "https://app.example"), "http://localhost:8080");
    let server = builder.build().unwrap();
    let closed = self::builder().build().unwrap();
    for origins in [
        "Origin: https://evil.example\r\n",
        "Origin: null\r\n",
        "Origin:\r\n",
        "origin: https://app.example.evil.example\r\n",
        "Origin: http://app.example\r\n",
        "Origin: https://app.example:8443\r\n",
        "Origin: https://app.example/\r\n",
        "Origin: HTTPS://APP.EXAMPLE\r\n",
        "Origin: https://app.example, https://evil.example\r\n",
        "Origin: https://app.example\r\nOrigin: https://evil.example\r\n",
        "Origin: https://evil.example\r\nOrigin: https://app.example\r\n",
    ] {
        for path in ["/_rpc_", "/raw", "/hi"] {
            let head = format!("CONNECT {path} HTTP/1.0\r\n{origins}");
            assert_eq!(asked(&server, &head).await, "HTTP/1.0 403 Forbidden", "{head}");
            assert_eq!(asked(&closed, &head).await, "HTTP/1.0 403 Forbidden", "{head}");
        }
    }
    for origins in [
        "",
        "Origin: https://app.example\r\n",
        "ORIGIN:\thttps://app.example \r\n",
        "Origin: http://localhost:8080\r\n",
        "Origin: http://localhost:8080\r\nOrigin: https://app.example\r\n",
    ] {
        let head = format!("CONNECT /_rpc_ HTTP/1.0\r\n{origins}");
        assert_eq!(asked(&server, &head).await, "HTTP/1.0 200 Connected", "{head}");
        let expected = if origins.is_empty() { "HTTP/1.0 200 Connected" } else { "HTTP/1.0 403 Forbidden" };
        assert_eq!(asked(&closed, &head).await, expected, "{head}");
    }
}

#[tokio::test]
async fn a_refused_origin_is_told_so_and_not_quoted() {
    let server = arith().build().unwrap();
    let answer =
        answer_to(pipe(&server), "CONNECT /_rpc_ HTTP/1.0\r\nOrigin: https://evil.example\r\n\r\n").await;
    let (_, text) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(text, "CONNECT from a web page (Origin) that is not allowed\n");
    assert!(!answer.to_lowercase().contains("access-control"), "{answer}");
}

/// Who may fetch what from where is between the browser and the route.
#[tokio::test]
async fn a_web_page_may_ask_for_a_route_by_other_methods() {
    let server = builder().build().unwrap();
    for method in ["GET", "POST", "OPTIONS"] {
        let head =
            |path: &str| format!("{method} {path} HTTP/1.1\r\nHost: a\r\nOrigin: https://evil.example\r\n");
        assert_eq!(asked(&server, &head("/hi")).await, "HTTP/1.0 200 OK");
        assert_eq!(asked(&server, &head("/raw")).await, "HTTP/1.0 200 taken");
        assert_eq!(asked(&server, &head("/_rpc_")).await, "HTTP/1.0 405 Method Not Allowed");
    }
}

#[tokio::test]
async fn nothing_is_dialled_for_a_client_that_takes_the_server_for_a_proxy() {
    let (address, _server) = listen(builder()).await;
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let there = elsewhere.local_addr().unwrap();
    let port = there.port();
    for target in [
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
        format!("http://127.0.0.1:{port}/_rpc_"),
        format!("http://127.0.0.1:{port}/raw"),
        format!("http://127.0.0.1:{port}"),
        format!("//127.0.0.1:{port}/_rpc_"),
        format!("/127.0.0.1:{port}/_rpc_"),
        format!("http://{address}/_rpc_"),
        format!("user:secret@127.0.0.1:{port}"),
        "example.com:443".to_owned(),
        "*".to_owned(),
        "/".to_owned(),
    ] {
        let asked = format!("CONNECT {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
        let answer = answer_to(Raw::dial(address).await.0, asked).await;
        assert_eq!(status_line(&answer), "HTTP/1.0 404 Not Found", "{target}");
        assert!(!answer.contains("secret"), "{answer}");
    }
    // The first to arrive there is the one who comes now.
    let first = TcpStream::connect(there).await.unwrap();
    let (_, from) = elsewhere.accept().await.unwrap();
    assert_eq!(from, first.local_addr().unwrap());
}

/// How a client of TLS 1.3 begins; it has no line end, and waits for the answer.
fn client_hello() -> Vec<u8> {
    let mut hello = b"\x16\x03\x01\x00\xca\x01\x00\x00\xc6\x03\x03".to_vec();
    hello.extend((0..195).map(|byte| byte | 0x80));
    hello.extend(b"\x00");
    hello
}

#[tokio::test(start_paused = true)]
async fn a_tls_handshake_on_a_plain_port_is_refused_with_400_at_once() {
    let server = builder().build().unwrap();
    let hello = client_hello();
    assert!(!hello.contains(&b'\n'));
    for sent in [&hello[..], &hello[..6], &hello[..2], b"\x16\x03\x03\r\n\r\n"] {
        let began = Instant::now();
        let answer = answer_to(pipe(&server), sent).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert_eq!(status_line(&answer), "HTTP/1.0 400 Bad Request");
        let is_whole = sent.ends_with(b"\r\n\r\n");
        assert!(is_whole || answer.ends_with("\r\n\r\nthis port speaks HTTP without TLS\n"), "{answer}");
    }
    // Byte by byte, and what only begins alike.
    let mut raw = Raw(pipe(&server));
    for byte in &hello[..3] {
        raw.say(&[*byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(status_line(&raw.rest().await), "HTTP/1.0 400 Bad Request");
    for sent in [&b"\x16"[..], b"\x15\x03", b"\x16\x02"] {
        assert_eq!(status_line(&answer_to(pipe(&server), sent).await), "HTTP/1.0 408 Request Timeout");
    }
}
