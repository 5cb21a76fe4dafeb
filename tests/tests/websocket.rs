//! The way in by WebSocket, for web pages.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use rpc_client::{Client, ConnectError, Entry};
use rpc_core::{Context, Executed, Format, Status, Stream, Streaming, service};
use rpc_server::Builder;
use tests::{Args, Frame, Gate, Raw, Transport, answer_to, arith, decoded, listen, pipe, within};
use tests::{read_head, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpListener;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";

#[service]
trait Echo {
    async fn whole(&self, cx: &Context, body: Bytes) -> Result<Bytes, Status>;
    async fn count(&self, cx: &Context, to: u32) -> Result<impl Stream<Item = Result<u32, Status>>, Status>;
    async fn each(
        &self,
        cx: &Context,
        items: Streaming<Bytes>,
    ) -> Result<impl Stream<Item = Result<Bytes, Status>>, Status>;
}

struct Same;

impl Echo for Same {
    async fn whole(&self, _: &Context, body: Bytes) -> Result<Bytes, Status> {
        Ok(body)
    }

    async fn count(&self, _: &Context, to: u32) -> Result<impl Stream<Item = Result<u32, Status>>, Status> {
        Ok(futures_util::stream::iter((0..to).map(Ok)))
    }

    async fn each(
        &self,
        _: &Context,
        items: Streaming<Bytes>,
    ) -> Result<impl Stream<Item = Result<Bytes, Status>>, Status> {
        Ok(items)
    }
}

fn open() -> Builder {
    arith().register(EchoServer::new(Same)).websocket(true).allow_origin("https://app.example")
}

fn websocket() -> rpc_client::Builder {
    Client::builder().entry(Entry::WebSocket)
}

fn request(headers: &str) -> String {
    format!("GET /_rpc_ HTTP/1.1\r\nHost: far\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{headers}\r\n")
}

/// A page that was let in.
async fn page(io: DuplexStream) -> WebSocketStream<DuplexStream> {
    let mut raw = Raw(io);
    let headers =
        format!("{KEY}{VERSION}Origin: https://app.example\r\nSec-WebSocket-Protocol: rpc.json\r\n");
    raw.say(request(&headers).as_bytes()).await;
    let answer = read_head(&mut raw.0).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    WebSocketStream::from_raw_socket(raw.0, Role::Client, None).await
}

fn json_request(method: &str, args: &str) -> Vec<u8> {
    let mut frame = Frame::request(1, method, &());
    frame.body.extend_from_slice(args.as_bytes());
    frame.to_bytes()
}

async fn closed_with(page: &mut WebSocketStream<DuplexStream>) -> Option<CloseCode> {
    loop {
        if let Message::Close(close) = within(page.next()).await.unwrap().unwrap() {
            return close.map(|close| close.code);
        }
    }
}

#[tokio::test]
async fn calls_and_streams_go_as_after_connect_whatever_the_transport_and_format() {
    for transport in [Transport::Tcp, Transport::Unix, Transport::Tls] {
        for format in Format::ALL {
            let served = transport.serve(open()).await;
            let builder = served.builder().entry(Entry::WebSocket).format(*format);
            let client = within(builder.connect(&served.address)).await.unwrap();
            let product: i64 = within(client.call("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap();
            assert_eq!(product, 56, "{transport:?} {format:?}");
            let mut numbers = within(EchoClient::new(client).count(50_000)).await.unwrap();
            let mut next = 0;
            while let Some(number) = within(numbers.try_next()).await.unwrap() {
                assert_eq!(number, next);
                next += 1;
            }
            assert_eq!(next, 50_000, "{transport:?} {format:?}");
        }
    }
}

#[tokio::test]
async fn large_bodies_and_items_both_ways_are_the_same_bytes() {
    let (address, _server) = listen(open()).await;
    let client = within(websocket().connect(address)).await.unwrap();
    let echo = EchoClient::new(client.clone());
    let large = Bytes::from_iter((0..=250_u8).cycle().take(3_500_000));
    let (one, other) = tokio::join!(echo.whole(large.clone()), echo.whole(large.clone()));
    assert!(one.unwrap() == large && other.unwrap() == large);

    let (mut there, mut back) = within(echo.each()).await.unwrap();
    let sent = large.clone();
    let sending = tokio::spawn(async move {
        for _ in 0..4 {
            there.send(sent.clone()).await.unwrap();
        }
        there.finish();
    });
    for _ in 0..4 {
        assert!(within(back.try_next()).await.unwrap().unwrap() == large);
    }
    assert!(within(back.try_next()).await.unwrap().is_none());
    sending.await.unwrap();
}

#[tokio::test]
async fn it_is_closed_unless_the_server_opens_it() {
    const MUST_CONNECT: &str = "HTTP/1.0 405 Method Not Allowed\r\n";
    for builder in [arith(), arith().upgrade(true), open().websocket(false)] {
        let server = builder.build().unwrap();
        let answer = answer_to(pipe(&server), request(&format!("{KEY}{VERSION}"))).await;
        assert!(answer.starts_with(MUST_CONNECT), "{answer}");
    }
    let (address, _server) = listen(arith()).await;
    let refused = within(websocket().connect(address)).await.unwrap_err();
    assert!(refused.to_string().contains("405 must CONNECT"), "{refused}");
}

#[tokio::test]
async fn its_answer_has_its_exact_bytes_and_names_the_format_as_it_was_asked_for() {
    let server = open().build().unwrap();
    let answer = async |headers: &str| {
        let mut raw = Raw(pipe(&server));
        raw.say(request(&format!("{KEY}{VERSION}{headers}")).as_bytes()).await;
        read_head(&mut raw.0).await
    };
    let rest =
        "Rpc-Max-Frame: 4194304\r\nRpc-Max-Calls: 1024\r\nRpc-Window: 524288\r\nRpc-Max-Streams: 256\r\n\r\n";
    let begin = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-Websocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    assert_eq!(
        answer("Sec-WebSocket-Protocol: rpc.json, rpc.bincode\r\n").await,
        format!("{begin}Sec-Websocket-Protocol: rpc.json\r\nRpc-Version: 1\r\nRpc-Format: json\r\n{rest}")
    );
    let bincode = format!("{begin}Rpc-Version: 1\r\nRpc-Format: bincode\r\n{rest}");
    assert_eq!(answer("").await, bincode);
}

#[tokio::test]
async fn pages_of_other_origins_stay_out() {
    let server = open().build().unwrap();
    let status = async |origin: &str| {
        let mut raw = Raw(pipe(&server));
        raw.say(request(&format!("{KEY}{VERSION}{origin}")).as_bytes()).await;
        read_head(&mut raw.0).await.split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(status("Origin: https://app.example\r\n").await, "101");
    assert_eq!(status("").await, "101", "what is no page");
    for origin in ["https://evil.example", "http://app.example", "https://app.example:8443", "null"] {
        assert_eq!(status(&format!("Origin: {origin}\r\n")).await, "403", "{origin}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_handshake_is_told() {
    let server = open().formats([Format::Json]).build().unwrap();
    for (headers, status, told) in [
        (VERSION.to_owned(), "400 Bad Request", "a WebSocket without Sec-WebSocket-Key"),
        (
            format!("{VERSION}Sec-WebSocket-Key: short\r\n"),
            "400 Bad Request",
            "Sec-WebSocket-Key must be 16 bytes in base64",
        ),
        (
            format!("{KEY}Sec-WebSocket-Version: 8\r\n"),
            "426 Upgrade Required",
            "Sec-WebSocket-Version must be 13, not \"8\"",
        ),
        (
            format!("{KEY}{VERSION}Sec-WebSocket-Protocol: rpc.bincode\r\n"),
            "415 Unsupported Media Type",
            "no known Sec-WebSocket-Protocol, this server has: rpc.json",
        ),
        (format!("{KEY}{VERSION}Content-Length: 3\r\n"), "400 Bad Request", "GET with Content-Length"),
    ] {
        let headers = if headers.contains("Protocol") || headers.contains("Content") {
            headers
        } else {
            format!("{headers}Sec-WebSocket-Protocol: rpc.json\r\n")
        };
        let answer = answer_to(pipe(&server), request(&headers)).await;
        assert!(answer.starts_with(&format!("HTTP/1.0 {status}\r\n")), "{headers}: {answer}");
        assert!(answer.ends_with(&format!("\r\n\r\n{told}\n")), "{headers}: {answer}");
        let names_version = answer.contains("\r\nSec-Websocket-Version: 13\r\n");
        assert_eq!(names_version, status.starts_with("426"), "{answer}");
    }
}

#[tokio::test]
async fn text_ends_the_connection_and_the_page_is_told() {
    let server = open().build().unwrap();
    let (io, served) = serve(&server, rpc_core::Peer::unknown());
    let mut page = page(io).await;
    page.send(Message::text("{\"method\":\"Arith.Multiply\"}")).await.unwrap();
    assert_eq!(closed_with(&mut page).await, Some(CloseCode::Unsupported));
    let error = within(served).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("text came in a WebSocket"), "{error}");
}

#[tokio::test]
async fn frames_may_be_cut_and_joined_by_messages_as_one_likes_and_a_ping_is_answered() {
    let server = open().build().unwrap();
    let mut page = page(pipe(&server)).await;
    for byte in &json_request("Arith.Multiply", "{\"a\":7,\"b\":8}") {
        page.send(Message::Binary(Bytes::copy_from_slice(&[*byte]))).await.unwrap();
    }
    let mut came = Vec::new();
    while came.len() < 16 {
        came.extend_from_slice(&within(page.next()).await.unwrap().unwrap().into_data());
    }
    assert_eq!((came[4], &came[14..]), (Frame::RESPONSE, &b"56"[..]));
    page.send(Message::Ping(Bytes::from_static(b"there?"))).await.unwrap();
    let pong = within(page.next()).await.unwrap().unwrap();
    assert_eq!(pong, Message::Pong(Bytes::from_static(b"there?")));
}

#[tokio::test]
async fn a_close_is_answered_and_the_connection_over() {
    let server = open().build().unwrap();
    let (io, served) = serve(&server, rpc_core::Peer::unknown());
    let mut page = page(io).await;
    page.close(None).await.unwrap();
    assert_eq!(closed_with(&mut page).await, None);
    assert!(within(page.next()).await.is_none());
    within(served).await.unwrap().unwrap();
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_page_that_is_gone_without_a_close_takes_its_calls_with_it() {
    let gate = Gate::new();
    let server = gate.register(open()).build().unwrap();
    let (io, served) = serve(&server, rpc_core::Peer::unknown());
    let mut page = page(io).await;
    page.send(Message::Binary(json_request("Gate.Pass", "1").into())).await.unwrap();
    gate.entered().await;
    drop(page);
    gate.dropped().await;
    let error = within(served).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("without a Close"), "{error}");
}

#[tokio::test]
async fn a_shutdown_finishes_calls_and_says_close() {
    let gate = Gate::new();
    let server = gate.register(open()).build().unwrap();
    let client = within(websocket().reconnect(false).over(pipe(&server))).await.unwrap();
    let mut page = page(pipe(&server)).await;
    let call = client.start::<i64>("Gate.Pass", 1);
    gate.entered().await;
    let ending = server.clone();
    let report = tokio::spawn(async move { ending.shutdown(std::time::Duration::from_secs(60)).await });
    assert_eq!(closed_with(&mut page).await, None);
    gate.open(1);
    assert_eq!(within(call).await.unwrap(), 1);
    let report = within(report).await.unwrap();
    assert_eq!((report.finished, report.cancelled), (1, 0));
    let error = within(client.call::<_, i64>("Gate.Pass", 2)).await.unwrap_err();
    assert_eq!(error.executed(), Executed::No);
}

#[tokio::test]
async fn an_answer_to_another_key_is_none_to_this_client() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move {
        let (mut io, _) = listener.accept().await.unwrap();
        let head = read_head(&mut io).await;
        io.write_all(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
              Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        )
        .await
        .unwrap();
        head
    });
    let error = within(websocket().connect(address)).await.unwrap_err();
    assert!(matches!(&error, ConnectError::Malformed { .. }), "{error:?}");
    assert!(error.to_string().contains("Sec-WebSocket-Accept does not fit the request's key"), "{error}");
    let head = served.await.unwrap();
    assert!(head.contains("Sec-Websocket-Version: 13\r\nSec-Websocket-Key: "), "{head}");
}

#[tokio::test]
async fn its_first_frames_may_come_right_behind_the_request() {
    let server = open().build().unwrap();
    let mut raw = Raw(pipe(&server));
    let mut sent = request(&format!("{KEY}{VERSION}")).into_bytes();
    let frame = Frame::request(1, "Arith.Multiply", &Args { a: 7, b: 8 }).to_bytes();
    // One binary message, with a mask of zeros.
    sent.extend([0x82, 0x80 | u8::try_from(frame.len()).unwrap(), 0, 0, 0, 0]);
    sent.extend(frame);
    raw.say(&sent).await;
    assert!(read_head(&mut raw.0).await.starts_with("HTTP/1.1 101 "));
    let mut header = [0; 2];
    within(raw.0.read_exact(&mut header)).await.unwrap();
    assert_eq!(header[0], 0x82);
    assert_eq!(decoded::<i64>(&raw.frame().await.body), 56);
}
