//! The HTTP phase, byte by byte: who gets in, and what everybody else is told.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::time::Duration;

use http::StatusCode;
use rpc_client::{Client, ConnectError};
use rpc_core::handshake::Refusal;
use rpc_server::{Builder, Request, Server};
use tests::{Args, Frame, Raw, arith, decoded, encoded, eventually, listen, pipe, read_head, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const GET_ANSWER: &str = "HTTP/1.0 405 Method Not Allowed\r\nContent-Length: 17\r\nConnection: close\r\n\
     Content-Type: text/plain; charset=utf-8\r\nAllow: CONNECT\r\n\r\n405 must CONNECT\n";

/// All that a server over TCP answers to these bytes until it closes.
async fn answer_to(builder: Builder, request: &str) -> String {
    let (address, _server) = listen(builder).await;
    let mut raw = Raw::dial(address).await;
    raw.say(request.as_bytes()).await;
    raw.rest().await
}

fn status_line(answer: &str) -> &str {
    answer.lines().next().unwrap_or_default()
}

#[tokio::test]
async fn every_method_but_connect_is_answered_with_405_must_connect() {
    assert_eq!(answer_to(arith(), "GET /_rpc_ HTTP/1.1\r\nHost: a\r\n\r\n").await, GET_ANSWER);
    assert_eq!(answer_to(arith(), "GET /elsewhere HTTP/1.0\n\n").await, GET_ANSWER);
    let body = "POST /_rpc_ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(answer_to(arith(), body).await, GET_ANSWER);
    let without_body = GET_ANSWER.strip_suffix("405 must CONNECT\n").unwrap();
    assert_eq!(answer_to(arith(), "HEAD /_rpc_ HTTP/1.1\r\nHost: a\r\n\r\n").await, without_body);
}

/// Up to what is thrown away while lingering: the reset that unread input causes must not erase it.
#[tokio::test]
async fn a_refusal_reaches_a_client_that_sends_its_body_first() {
    let (address, _server) = listen(arith()).await;
    for size in [100_000, 250_000] {
        let mut raw = Raw::dial(address).await;
        let head = format!("PUT /_rpc_ HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n");
        raw.say(head.as_bytes()).await;
        raw.say(&vec![b'x'; size]).await;
        assert_eq!(raw.rest().await, GET_ANSWER, "{size}");
    }
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_reads_while_it_sends_a_body_larger_than_all_buffers() {
    let (address, _server) = listen(arith()).await;
    let (mut reading, mut writing) = Raw::dial(address).await.0.into_split();
    let sent = tokio::spawn(async move {
        writing.write_all(b"PUT /_rpc_ HTTP/1.1\r\nHost: a\r\nContent-Length: 33554432\r\n\r\n").await?;
        writing.write_all(&vec![b'x'; 32 << 20]).await
    });
    let mut answer = vec![0; GET_ANSWER.len()];
    within(reading.read_exact(&mut answer)).await.unwrap();
    assert_eq!(String::from_utf8(answer).unwrap(), GET_ANSWER);
    within(sent).await.unwrap().expect_err("the server has closed");
}

#[tokio::test]
async fn a_bare_connect_with_bare_line_feeds_gets_in_and_loses_nothing_behind_it() {
    let (address, _server) = listen(arith()).await;
    let mut raw = Raw::dial(address).await;
    let mut packet = b"CONNECT /_rpc_ HTTP/1.0\n\n".to_vec();
    packet.extend(Frame::request(1, "Arith.Multiply", &Args { a: 7, b: 8 }).to_bytes());
    packet.extend(Frame::request(2, "Arith.Multiply", &Args { a: 2, b: 3 }).to_bytes());
    raw.say(&packet).await;
    let head = read_head(&mut raw.0).await;
    assert_eq!(
        head,
        "HTTP/1.0 200 Connected\r\nRpc-Version: 1\r\nRpc-Format: bincode\r\n\
         Rpc-Max-Frame: 4194304\r\nRpc-Max-Calls: 1024\r\n\
         Rpc-Window: 524288\r\nRpc-Max-Streams: 256\r\n\r\n"
    );
    assert_eq!(decoded::<i64>(&raw.frame().await.body), 56);
    assert_eq!(decoded::<i64>(&raw.frame().await.body), 6);
}

#[tokio::test]
async fn frames_right_behind_the_acceptance_reach_the_client() {
    let (near, mut far) = tokio::io::duplex(1024);
    let served = tokio::spawn(async move {
        read_head(&mut far).await;
        let mut packet = b"HTTP/1.1 299 Whatever\n\n".to_vec();
        packet.extend(Frame::new(Frame::PING, 77, []).to_bytes());
        packet.extend(Frame::new(Frame::PING, 78, []).to_bytes());
        far.write_all(&packet).await.unwrap();
        Raw(far).frame().await
    });
    let client = within(Client::new(near)).await.unwrap();
    assert_eq!(within(served).await.unwrap(), Frame::new(Frame::PONG, 78, []));
    drop(client);
}

#[tokio::test]
async fn a_head_may_come_byte_by_byte() {
    let (address, _server) = listen(arith()).await;
    let mut raw = Raw::dial(address).await;
    raw.0.set_nodelay(true).unwrap();
    for byte in b"CONNECT /_rpc_ HTTP/1.1\r\nHost: a\r\nRpc-Format: json, bincode\r\n\r\n" {
        raw.say(&[*byte]).await;
        tokio::task::yield_now().await;
    }
    let head = read_head(&mut raw.0).await;
    assert!(head.contains("Rpc-Format: json\r\n"), "{head}");
}

#[tokio::test]
async fn what_is_wrong_with_a_head_is_told_by_its_status_and_the_connection_closed() {
    let many = "X: y\r\n".repeat(65);
    let long = format!("X: {}\r\n", "y".repeat(9000));
    for (rest, status) in [
        (" /_rpc_ HTTP/1.0\r\nContent-Length: 0\r\n\r\n", "400 Bad Request"),
        (" /_rpc_ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "400 Bad Request"),
        (" /_rpc_ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400 Bad Request"),
        (" /_rpc_ HTTP/1.1\r\nX: a\r\n b\r\n\r\n", "400 Bad Request"),
        (" /_rpc_ HTTP/1.0\r\nRpc-Max-Frame: 1\r\n\r\n", "400 Bad Request"),
        (" /_rpc_ HTTP/1.0\r\nno colon\r\n\r\n", "400 Bad Request"),
        (" /elsewhere HTTP/1.0\r\n\r\n", "404 Not Found"),
        (" /_rpc_ HTTP/1.0\r\nRpc-Format: cbor\r\n\r\n", "415 Unsupported Media Type"),
        (" /_rpc_ HTTP/2.0\r\n\r\n", "505 HTTP Version Not Supported"),
        (" /_rpc_ HTTP/1.0\r\nRpc-Version: 2\r\n\r\n", "505 HTTP Version Not Supported"),
        (&format!(" /_rpc_ HTTP/1.0\r\n{many}\r\n"), "431 Request Header Fields Too Large"),
        (&format!(" /_rpc_ HTTP/1.0\r\n{long}\r\n"), "431 Request Header Fields Too Large"),
    ] {
        let answer = answer_to(arith(), &format!("CONNECT{rest}")).await;
        assert_eq!(status_line(&answer), format!("HTTP/1.0 {status}"), "{rest}");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    }
}

/// In the order of the table in docs/protocol.md.
#[tokio::test]
async fn of_several_things_that_are_wrong_the_first_decides() {
    let nobody = async |_: Request| Err::<(), _>(Refusal::forbidden("nobody"));
    let server = arith().authorize(nobody).build().unwrap();
    let wrong = [
        ("/_rpc_ HTTP/2.0", "505 HTTP Version Not Supported"),
        ("Origin: https://evil.example", "403 Forbidden"),
        ("Content-Length: 1", "400 Bad Request"),
        ("/elsewhere HTTP/1.0", "404 Not Found"),
        ("Rpc-Version: 2", "505 HTTP Version Not Supported"),
        ("Rpc-Max-Frame: 1", "400 Bad Request"),
        ("Rpc-Format: cbor", "415 Unsupported Media Type"),
    ];
    for (index, (_, status)) in wrong.iter().enumerate() {
        let (targets, headers): (Vec<_>, Vec<_>) =
            wrong[index..].iter().map(|(wrong, _)| *wrong).partition(|wrong| wrong.starts_with('/'));
        let target = targets.first().unwrap_or(&"/_rpc_ HTTP/1.0");
        let asked = format!("CONNECT {target}\r\n{}\r\n\r\n", headers.join("\r\n"));
        let answer = tests::answer_to(pipe(&server), &asked).await;
        assert_eq!(status_line(&answer), format!("HTTP/1.0 {status}"), "{asked}");
    }
    let last = tests::answer_to(pipe(&server), "CONNECT /_rpc_ HTTP/1.0\r\n\r\n").await;
    assert!(last.ends_with("\r\n\r\nnobody\n"), "{last}");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_arrive_in_time_is_answered_with_408() {
    let server = arith().head_timeout(Duration::from_secs(3)).build().unwrap();
    let mut raw = Raw(pipe(&server));
    raw.say(b"CONNECT /_rpc_ HT").await;
    assert_eq!(status_line(&raw.rest().await), "HTTP/1.0 408 Request Timeout");
}

#[tokio::test]
async fn a_time_for_the_head_that_no_clock_can_tell_is_for_ever() {
    let server = arith().head_timeout(Duration::MAX).build().unwrap();
    Raw::enter(pipe(&server), "").await;
}

#[tokio::test]
async fn a_connection_that_goes_away_without_a_word_is_no_error() {
    let server = arith().build().unwrap();
    let (near, far) = tokio::io::duplex(64);
    drop(near);
    within(server.serve_connection(far)).await.unwrap();
}

#[tokio::test]
async fn one_connection_too_many_is_answered_with_503_until_another_ends() {
    let (address, server) = listen(arith().max_connections(1)).await;
    let first = within(Client::connect(address.to_string())).await.unwrap();
    let refused = within(Client::connect(address.to_string())).await.unwrap_err();
    assert_eq!(refusal(refused).status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(first);
    eventually("both connections are gone", || server.connections() == 0).await;
    within(Client::connect(address.to_string())).await.unwrap();
}

fn refusal(error: ConnectError) -> Refusal {
    match error {
        ConnectError::Refused { source, .. } => source,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_without_services_still_answers_the_door() {
    let mut raw = Raw::dial(listen(Server::builder()).await.0).await;
    raw.say(b"CONNECT /_rpc_ HTTP/1.0\n\n").await;
    raw.say(&Frame::request(1, "Arith.Multiply", &encoded(&0)).to_bytes()).await;
    read_head(&mut raw.0).await;
    assert_eq!(raw.frame().await.status().2, "rpc: can't find service Arith.Multiply");
    raw.0.shutdown().await.unwrap();
    assert_eq!(within(raw.0.read(&mut [0])).await.unwrap(), 0);
}
