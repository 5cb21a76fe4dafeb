//! The way in by `GET` with `Upgrade: rpc`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use futures_util::{StreamExt, stream};
use rpc_client::{Client, ConnectError, Entry};
use rpc_core::handshake::Refusal;
use rpc_core::{Context, Service, Status};
use rpc_server::{Builder, Request};
use tests::{Args, Frame, Raw, answer_to, arith, decoded, listen, pipe, read_head, within};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: rpc\r\n";
const MUST_CONNECT: &str = "HTTP/1.0 405 Method Not Allowed\r\n";

fn request(headers: &str) -> String {
    format!("GET /_rpc_ HTTP/1.1\r\nHost: far\r\n{headers}\r\n")
}

fn open() -> Builder {
    arith().upgrade(true)
}

#[tokio::test]
async fn it_is_closed_unless_the_server_opens_it() {
    let server = arith().build().unwrap();
    assert!(answer_to(pipe(&server), request(UPGRADE)).await.starts_with(MUST_CONNECT));
    let (address, _server) = listen(open().upgrade(false)).await;
    let refused = within(Client::builder().entry(Entry::Upgrade).connect(address)).await.unwrap_err();
    assert!(refused.to_string().contains("405 must CONNECT"), "{refused}");
}

#[tokio::test]
async fn its_answer_has_its_exact_bytes_and_frames_may_come_right_behind_the_request() {
    let server = open().build().unwrap();
    let mut raw = Raw(pipe(&server));
    let mut sent = request(UPGRADE).into_bytes();
    sent.extend(Frame::request(1, "Arith.Multiply", &Args { a: 7, b: 8 }).to_bytes());
    raw.say(&sent).await;
    assert_eq!(
        read_head(&mut raw.0).await,
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: rpc\r\nRpc-Version: 1\r\n\
         Rpc-Format: bincode\r\nRpc-Max-Frame: 4194304\r\nRpc-Max-Calls: 1024\r\nRpc-Window: 524288\r\n\
         Rpc-Max-Streams: 256\r\n\r\n"
    );
    assert_eq!(decoded::<i64>(&raw.frame().await.body), 56);
}

#[tokio::test]
async fn calls_and_streams_go_as_after_connect() {
    let count =
        |_: Context, to: u32| async move { Ok::<_, Status>(stream::iter((0..to).map(Ok::<_, Status>))) };
    let (address, _server) = listen(open().register(Service::new("Count").server_stream("To", count))).await;
    let client = within(Client::builder().entry(Entry::Upgrade).connect(address)).await.unwrap();
    let product: i64 = within(client.call("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap();
    assert_eq!(product, 56);
    let numbers = within(client.call_server_stream::<_, u32>("Count.To", 10_000u32)).await.unwrap();
    let seen: Vec<u32> = within(numbers.map(Result::unwrap).collect()).await;
    assert!(seen.into_iter().eq(0..10_000));
}

#[tokio::test]
async fn what_is_no_whole_upgrade_or_for_another_path_must_connect() {
    let server = open().build().unwrap();
    for head in [
        request("Upgrade: rpc\r\n"),
        request("Connection: Upgrade\r\n"),
        request("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"),
        request("Connection: Upgrade\r\nUpgrade: websocket\r\n"),
        format!("GET /elsewhere HTTP/1.1\r\nHost: far\r\n{UPGRADE}\r\n"),
        format!("GET http://far/_rpc_ HTTP/1.1\r\nHost: far\r\n{UPGRADE}\r\n"),
        format!("GET /_rpc_ HTTP/1.0\r\n{UPGRADE}\r\n"),
        format!("POST /_rpc_ HTTP/1.1\r\nHost: far\r\n{UPGRADE}\r\n"),
    ] {
        let answer = answer_to(pipe(&server), &head).await;
        assert!(answer.starts_with(MUST_CONNECT), "{head}: {answer}");
    }
}

#[tokio::test]
async fn one_with_a_body_is_refused_so_that_nothing_hides_in_it() {
    let server = open().build().unwrap();
    for (header, told) in [
        ("Content-Length: 5\r\n", "GET with Content-Length\n"),
        ("Content-Length: 0\r\n", "GET with Content-Length\n"),
        ("Transfer-Encoding: chunked\r\n", "GET with Transfer-Encoding\n"),
    ] {
        let answer = answer_to(pipe(&server), request(&format!("{UPGRADE}{header}"))).await;
        assert!(answer.starts_with("HTTP/1.0 400 Bad Request\r\n") && answer.ends_with(told), "{answer}");
    }
}

#[tokio::test]
async fn web_pages_and_whom_the_hook_refuses_stay_out() {
    let hook = async |request: Request| match request.head.headers.contains_key("authorization") {
        true => Ok(()),
        false => Err(Refusal::unauthorized("who are you?")),
    };
    let server = open().allow_origin("https://app.example").authorize(hook).build().unwrap();
    let status = async |headers: &str| {
        let mut raw = Raw(pipe(&server));
        raw.say(request(&format!("{UPGRADE}{headers}")).as_bytes()).await;
        read_head(&mut raw.0).await.split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(status("Origin: https://evil.example\r\nAuthorization: Bearer a\r\n").await, "403");
    assert_eq!(status("Origin: https://app.example\r\n").await, "401");
    assert_eq!(status("Origin: https://app.example\r\nAuthorization: Bearer a\r\n").await, "101");
}

#[tokio::test]
async fn a_web_server_that_knows_no_upgrade_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move {
        let (mut io, _) = listener.accept().await.unwrap();
        read_head(&mut io).await;
        io.write_all(b"HTTP/1.1 200 OK\r\nServer: plain/1\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    });
    let error = within(Client::builder().entry(Entry::Upgrade).connect(address)).await.unwrap_err();
    assert!(
        matches!(&error, ConnectError::NotSwitched { status, .. } if status.as_u16() == 200),
        "{error:?}"
    );
    assert!(error.to_string().contains("(Server: plain/1)"), "{error}");
    served.await.unwrap();
}
