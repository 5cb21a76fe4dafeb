//! A client that takes its connection over after one request: what it gets, and how that fails.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::time::Duration;

use http::header::{AUTHORIZATION, HOST, HeaderValue};
use http::{Request, StatusCode, Version};
use rpc_client::{Client, ConnectError, Hijacked};
use rpc_core::handshake::ConnectError as RequestError;
use tests::{read_head, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the server reads as the request's head, when it answers with these pieces and closes; and what the
/// client makes of it.
async fn answered(
    client: rpc_client::Builder,
    request: Request<()>,
    pieces: Vec<Vec<u8>>,
) -> (String, Result<Hijacked, ConnectError>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server: JoinHandle<String> = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = read_head(&mut stream).await;
        for piece in pieces {
            stream.set_nodelay(true).unwrap();
            stream.write_all(&piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        head.replace(&address.to_string(), "ADDRESS")
    });
    let taken = within(client.hijack(format!("http://{address}"), request)).await;
    (within(server).await.unwrap(), taken)
}

fn get(target: &str) -> Request<()> {
    Request::get(target).body(()).unwrap()
}

#[tokio::test]
async fn the_request_goes_out_as_it_was_made_with_the_clients_own_headers_behind() {
    let client = Client::builder().header(AUTHORIZATION, HeaderValue::from_static("Bearer x"));
    let request = Request::post("/attach?id=1").header("connection", "Upgrade").header("upgrade", "tcp");
    let answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nno\n\n".to_vec();
    let (head, taken) = answered(client, request.body(()).unwrap(), vec![answer]).await;
    assert_eq!(
        head,
        "POST /attach?id=1 HTTP/1.1\r\nHost: ADDRESS\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\
         Authorization: Bearer x\r\n\r\n"
    );
    let mut taken = taken.unwrap();
    assert_eq!(
        (taken.status, taken.headers["content-length"].as_bytes()),
        (StatusCode::NOT_FOUND, &b"4"[..])
    );
    let mut body = String::new();
    within(taken.stream.read_to_string(&mut body)).await.unwrap();
    assert_eq!(body, "no\n\n");
    let mut old = get("/");
    *old.version_mut() = Version::HTTP_10;
    let (head, _) = answered(Client::builder(), old, vec![]).await;
    assert_eq!(head, "GET / HTTP/1.0\r\nHost: ADDRESS\r\n\r\n");
}

/// Wherever the answer is cut into packets.
#[tokio::test]
async fn nothing_behind_the_answer_is_lost_and_nothing_comes_twice() {
    let answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Switching Protocols\nX: y\n\n".to_vec();
    let behind: Vec<u8> = (0..=255).collect();
    let all: Vec<u8> = answer.iter().chain(&behind).copied().collect();
    for cut in (1..all.len()).step_by(7) {
        let pieces = vec![all[..cut].to_vec(), all[cut..].to_vec()];
        let (_, taken) = answered(Client::builder(), get("/"), pieces).await;
        let mut taken = taken.unwrap();
        assert_eq!(taken.status, StatusCode::SWITCHING_PROTOCOLS);
        let mut rest = Vec::new();
        within(taken.stream.read_to_end(&mut rest)).await.unwrap();
        assert!(rest == behind, "cut at {cut}");
    }
}

#[tokio::test]
async fn the_socket_itself_comes_back_with_what_was_read_of_it() {
    let (_, taken) =
        answered(Client::builder(), get("/"), vec![b"HTTP/1.0 200 OK\r\n\r\nbehind".to_vec()]).await;
    let (socket, leftover) = taken.unwrap().stream.downcast::<TcpStream>().unwrap();
    assert_eq!(leftover, "behind");
    assert!(socket.nodelay().unwrap(), "as all sockets of a client");
}

#[tokio::test]
async fn what_is_no_answer_is_told() {
    let (_, taken) = answered(Client::builder(), get("/"), vec![b"hello world".to_vec()]).await;
    let error = taken.unwrap_err();
    assert!(
        matches!(&error, ConnectError::OtherProtocol { first_bytes, .. } if first_bytes == "hello world"),
        "{error:?}"
    );
    let (_, taken) = answered(Client::builder(), get("/"), vec![]).await;
    assert!(matches!(taken.unwrap_err(), ConnectError::Closed { .. }));
    let (_, taken) = answered(Client::builder(), get("/"), vec![b"HTTP/1.0 200 O".to_vec()]).await;
    assert!(matches!(taken.unwrap_err(), ConnectError::BrokenOff { .. }));
    let long = format!("HTTP/1.0 200 OK\r\nX: {}\r\n", "y".repeat(10_000));
    let (_, taken) = answered(Client::builder(), get("/"), vec![long.into_bytes()]).await;
    assert!(matches!(taken.unwrap_err(), ConnectError::Malformed { .. }));
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = Client::builder().answer_timeout(Duration::from_millis(50));
    let error = within(client.hijack(address, get("/"))).await.unwrap_err();
    assert!(matches!(error, ConnectError::AnswerTimeout { .. }), "{error:?}");
}

#[tokio::test]
async fn a_request_that_cannot_be_sent_is_told_without_dialling() {
    let mut newer = get("/");
    *newer.version_mut() = Version::HTTP_2;
    let hosted = Request::get("/").header(HOST, "b").body(()).unwrap();
    for (request, why) in [
        (newer, RequestError::Version(Version::HTTP_2)),
        (hosted, RequestError::ReservedHeader(HOST)),
        (Request::options("*").body(()).unwrap(), RequestError::Path("*".into())),
    ] {
        match within(Client::builder().hijack("far:1", request)).await.unwrap_err() {
            ConnectError::Settings { source, .. } => assert_eq!(source, why),
            other => panic!("{other:?}"),
        }
    }
}
