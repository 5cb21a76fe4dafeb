//! RPC as a part of an axum service: one port, every way in.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, stream};
use http::{Response, StatusCode};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rpc_client::{Builder as ClientBuilder, Client, ConnectError, Entry};
use rpc_core::handshake::Refusal;
use rpc_core::{Context, Executed, Peer, Service, Status};
use rpc_server::{Builder, Request, Server};
use tests::{Args, Frame, Gate, Raw, arith, decoded, eventually, read_head, within};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpListener;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

const MINUTE: Duration = Duration::from_secs(60);

/// The ordinary side of the port, and RPC on its path; by plain CONNECT of HTTP/2, which has no path, as well.
fn app(server: &Server) -> Router {
    Router::new()
        .route("/hello", get(async || "hello"))
        .route("/echo", post(async |body: String| body))
        .route_service("/_rpc_", server.clone().into_service())
        .fallback_service(server.clone().into_service())
}

async fn mount(builder: Builder) -> (SocketAddr, Server) {
    let server = builder.build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, app(&server)).into_future());
    (address, server)
}

fn open() -> Builder {
    let count =
        |_: Context, to: u32| async move { Ok::<_, Status>(stream::iter((0..to).map(Ok::<_, Status>))) };
    arith().register(Service::new("Count").server_stream("To", count)).upgrade(true).websocket(true)
}

/// A client for each way in.
fn ways() -> [(&'static str, ClientBuilder); 4] {
    let builder = || Client::builder().reconnect(false);
    [
        ("CONNECT", builder()),
        ("Upgrade", builder().entry(Entry::Upgrade)),
        ("WebSocket", builder().entry(Entry::WebSocket)),
        ("HTTP/2", builder().http2(true)),
    ]
}

/// The head of the next answer, and its body.
async fn answer<IO: AsyncRead + AsyncWrite + Unpin>(raw: &mut Raw<IO>) -> (String, String) {
    let head = read_head(&mut raw.0).await;
    let length = head
        .to_lowercase()
        .split("content-length: ")
        .nth(1)
        .map(|rest| rest.lines().next().unwrap().to_owned());
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    within(raw.0.read_exact(&mut body)).await.unwrap();
    (head, String::from_utf8(body).unwrap())
}

fn calls(address: SocketAddr, builder: ClientBuilder) -> impl Future<Output = Result<Client, ConnectError>> {
    builder.connect(address)
}

#[tokio::test]
async fn calls_and_streams_go_by_every_way_in() {
    let (address, _server) = mount(open()).await;
    for (way, builder) in ways() {
        let client = within(calls(address, builder)).await.unwrap();
        let product: i64 = within(client.call("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap();
        assert_eq!(product, 56, "{way}");
        let large: Vec<u8> = vec![7; 1 << 20];
        let error = within(client.call::<_, ()>("No.Such", &large)).await.unwrap_err();
        assert_eq!(error.executed(), Executed::No, "{way}");
        let numbers = within(client.call_server_stream::<_, u32>("Count.To", 50_000u32)).await.unwrap();
        let seen: Vec<u32> = within(numbers.map(Result::unwrap).collect()).await;
        assert!(seen.into_iter().eq(0..50_000), "{way}");
    }
}

#[tokio::test]
async fn http_beside_it_is_axums_with_keep_alive_and_the_rpc_path_must_be_connected_to() {
    let (address, _server) = mount(open()).await;
    let mut raw = Raw::dial(address).await;
    for _ in 0..3 {
        raw.say(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(answer(&mut raw).await.1, "hello");
        raw.say(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nagain").await;
        assert_eq!(answer(&mut raw).await.1, "again");
    }
    raw.say(b"GET /_rpc_ HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (head, body) = answer(&mut raw).await;
    assert!(head.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"), "{head}");
    assert!(head.contains("allow: CONNECT\r\n") && head.contains("connection: close\r\n"), "{head}");
    assert_eq!(body, "405 must CONNECT\n");
    assert_eq!(raw.rest().await, "");
}

#[tokio::test]
async fn a_connect_typed_by_hand_is_answered_as_go_does_and_frames_behind_it_are_not_lost() {
    let (address, _server) = mount(open()).await;
    for head in ["CONNECT /_rpc_ HTTP/1.0\n\n", "CONNECT /_rpc_ HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let mut raw = Raw::dial(address).await;
        let mut sent = head.as_bytes().to_vec();
        sent.extend(Frame::request(1, "Arith.Multiply", &Args { a: 7, b: 8 }).to_bytes());
        raw.say(&sent).await;
        let answered = read_head(&mut raw.0).await;
        assert!(answered.lines().next().unwrap().ends_with(" 200 Connected"), "{answered}");
        assert_eq!(decoded::<i64>(&raw.frame().await.body), 56);
    }
}

#[tokio::test]
async fn what_is_refused_ends_its_connection_so_that_nothing_hides_behind_it() {
    const HIDDEN: &str = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
    let (address, _server) = mount(open()).await;
    let length = format!("Content-Length: {}\r\n", HIDDEN.len());
    let upgrade = "GET /_rpc_ HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: rpc\r\n";
    for head in [
        format!("CONNECT /_rpc_ HTTP/1.1\r\nHost: a\r\n{length}\r\n"),
        "CONNECT /_rpc_ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(),
        format!("CONNECT /_rpc_ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n{length}\r\n0\r\n\r\n"),
        "CONNECT far:80 HTTP/1.1\r\nHost: far:80\r\n\r\n".into(),
        "CONNECT /_rpc_ HTTP/1.1\r\nHost: a\r\nRpc-Version: 2\r\n\r\n".into(),
        format!("{upgrade}{length}\r\n"),
        format!("{upgrade}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        format!("POST /_rpc_ HTTP/1.1\r\nHost: a\r\n{length}\r\n"),
    ] {
        let mut raw = Raw::dial(address).await;
        raw.say(format!("{head}{HIDDEN}").as_bytes()).await;
        // A reset, for what was not read, is an end as well.
        let mut answered = Vec::new();
        let _ = within(raw.0.read_to_end(&mut answered)).await;
        let answered = String::from_utf8(answered).unwrap();
        assert!(["400", "404", "405", "505"].contains(&answered.get(9..12).unwrap()), "{head}: {answered}");
        assert_eq!(answered.matches("HTTP/1.").count(), 1, "{head}: {answered}");
        assert!(!answered.contains("hello"), "{head}: {answered}");
    }
}

#[tokio::test]
async fn a_shutdown_drains_connections_that_axum_does_not_see_any_more() {
    for (way, builder) in ways() {
        let gate = Gate::new();
        let (address, server) = mount(gate.register(open())).await;
        let client = within(calls(address, builder)).await.unwrap();
        let call = client.start::<i64>("Gate.Pass", 1);
        gate.entered().await;
        let ending = server.clone();
        let report = tokio::spawn(async move { ending.shutdown(MINUTE).await });
        let refused = loop {
            if let Err(refused) = within(Client::connect(address)).await {
                break refused;
            }
        };
        assert!(refused.to_string().contains("503"), "{refused}");
        gate.open(1);
        within(call).await.unwrap();
        let report = within(report).await.unwrap();
        assert_eq!((report.finished, report.cancelled), (1, 0), "{way}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_by_all_ways_at_once_a_shutdown_loses_no_call() {
    let ran = Arc::new(AtomicU64::new(0));
    let counted = ran.clone();
    let count = move |_: Context, number: u64| {
        counted.fetch_add(1, Relaxed);
        async move {
            tokio::task::yield_now().await;
            Ok::<_, Status>(number)
        }
    };
    let (address, server) = mount(open().register_fn("Count.Up", count)).await;
    let answered = Arc::new(AtomicU64::new(0));
    let mut callers = Vec::new();
    for (_, builder) in ways() {
        let client = within(calls(address, builder)).await.unwrap();
        for _ in 0..16 {
            let (client, answered) = (client.clone(), answered.clone());
            callers.push(tokio::spawn(async move {
                for number in 0.. {
                    match client.call::<_, u64>("Count.Up", number).await {
                        Ok(same) => assert_eq!(same, number),
                        Err(error) => {
                            assert_eq!(error.executed(), Executed::No, "{error}");
                            break;
                        }
                    }
                    answered.fetch_add(1, Relaxed);
                }
            }));
        }
    }
    let mut http = Raw::dial(address).await;
    while answered.load(Relaxed) < 3000 {
        http.say(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nstill").await;
        assert_eq!(answer(&mut http).await.1, "still");
    }
    let report = within(server.shutdown(MINUTE)).await;
    for caller in callers {
        within(caller).await.unwrap();
    }
    assert_eq!(answered.load(Relaxed), ran.load(Relaxed));
    assert_eq!((report.connections, report.cancelled), (4, 0));
}

#[tokio::test]
async fn hooks_and_limits_are_the_servers_and_extensions_come_from_axum() {
    #[derive(Clone)]
    struct Tenant(&'static str);

    let hook = async |request: Request| match request.head.headers.contains_key("authorization") {
        true => Ok(()),
        false => Err(Refusal::unauthorized("who are you?")),
    };
    let who = |cx: Context, (): ()| async move {
        let headers = format!("{:?}", cx.headers());
        assert!(headers.contains("authorization") && !headers.contains("a secret"), "{headers}");
        let tenant = cx.extension::<Tenant>().map(|tenant| tenant.0);
        Ok::<_, Status>(format!("{} {}", cx.peer(), tenant.unwrap_or_default()))
    };
    let server = open().register_fn("Who.Asks", who).authorize(hook).max_connections(1).build().unwrap();
    let from = SocketAddr::from(([10, 0, 0, 1], 7));
    let app = app(&server).layer(axum::Extension(Tenant("acme"))).layer(axum::Extension(Peer::from(from)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, app).into_future());
    for (way, builder) in ways() {
        let error = within(calls(address, builder)).await.unwrap_err();
        let ConnectError::Refused { source, .. } = &error else { panic!("{way}: {error:?}") };
        assert_eq!((source.status(), source.message()), (StatusCode::UNAUTHORIZED, "who are you?"), "{way}");
    }
    for (way, builder) in ways() {
        eventually("the one before has gone", || server.connections() == 0).await;
        let known = |builder: ClientBuilder| {
            builder.header("authorization".parse().unwrap(), "a secret".parse().unwrap())
        };
        let client = within(calls(address, known(builder))).await.unwrap();
        let who: String = within(client.call("Who.Asks", ())).await.unwrap();
        assert_eq!(who, "10.0.0.1:7 acme", "{way}");
        let full = within(calls(address, known(Client::builder()))).await.unwrap_err();
        assert!(full.to_string().contains("too many connections"), "{full}");
        client.close().await.unwrap();
    }
}

#[tokio::test]
async fn by_http2_plain_connect_serves_where_the_server_does_not_know_extended() {
    let server = open().build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = hyper_util::service::TowerToHyperService::new(server.clone().into_service());
    tokio::spawn(async move {
        let (io, _) = listener.accept().await.unwrap();
        let builder = hyper::server::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new());
        builder.serve_connection(TokioIo::new(io), service).await
    });
    let client = within(Client::builder().http2(true).connect(address)).await.unwrap();
    let product: i64 = within(client.call("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap();
    assert_eq!(product, 56);
}

type Http2 = hyper::client::conn::http2::SendRequest<Empty<Bytes>>;

/// A connection of HTTP/2 on which extended CONNECT is known.
async fn http2(address: SocketAddr) -> Http2 {
    let io = tokio::net::TcpStream::connect(address).await.unwrap();
    let executor = hyper_util::rt::TokioExecutor::new();
    let handshake = hyper::client::conn::http2::handshake(executor, TokioIo::new(io));
    let (sender, mut connection) = within(handshake).await.unwrap();
    for _ in 0..1000 {
        if connection.is_extended_connect_protocol_enabled() {
            break;
        }
        let _ = tokio::time::timeout(Duration::from_millis(5), &mut connection).await;
    }
    tokio::spawn(connection);
    sender
}

async fn ask(sender: &mut Http2, address: SocketAddr, protocol: &'static str) -> Response<Incoming> {
    let request = http::Request::connect(format!("http://{address}/_rpc_"))
        .extension(hyper::ext::Protocol::from_static(protocol))
        .header("sec-websocket-protocol", "rpc.json, rpc.bincode")
        .header("sec-websocket-version", "13")
        .body(Empty::new())
        .unwrap();
    within(sender.send_request(request)).await.unwrap()
}

/// Over a long way its settings come late; asked without a path, its router would know nothing of RPC.
#[tokio::test(start_paused = true)]
async fn by_http2_a_server_that_is_far_away_is_asked_as_it_says() {
    let server = open().build().unwrap();
    let app = Router::new().route_service("/_rpc_", server.into_service());
    let service = hyper_util::service::TowerToHyperService::new(app);
    let (near, far) = tokio::io::duplex(64 * 1024);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let mut builder = hyper::server::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new());
        builder.enable_connect_protocol().serve_connection(TokioIo::new(far), service).await
    });
    let client = within(Client::builder().http2(true).over(near)).await.unwrap();
    let product: i64 = within(client.call("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap();
    assert_eq!(product, 56);
}

/// By HTTP/2 axum waits for RPC, whose client goes when its server tells it.
#[tokio::test]
async fn axum_and_rpc_end_beside_each_other_by_every_way() {
    for (way, builder) in ways() {
        let server = open().build().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let signal = async { ended.await.unwrap_or_default() };
        let http =
            tokio::spawn(axum::serve(listener, app(&server)).with_graceful_shutdown(signal).into_future());
        let client = within(calls(address, builder)).await.unwrap();
        let _: i64 = within(client.call("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap();
        end.send(()).unwrap();
        let (report, http) = within(async { tokio::join!(server.shutdown(MINUTE), http) }).await;
        http.unwrap().unwrap();
        assert_eq!(report.cancelled, 0, "{way}");
    }
}

#[tokio::test]
async fn by_http2_another_protocol_is_not_implemented() {
    let (address, _server) = mount(open().websocket(false)).await;
    let mut sender = http2(address).await;
    for protocol in ["connect-udp", "websocket"] {
        assert_eq!(ask(&mut sender, address, protocol).await.status(), StatusCode::NOT_IMPLEMENTED);
    }
    assert_eq!(ask(&mut sender, address, "rpc").await.status(), StatusCode::OK);
}

/// As browsers do that have a connection of HTTP/2 to the server (RFC 8441, section 5).
#[tokio::test]
async fn by_http2_a_websocket_is_one_without_a_key() {
    let (address, _server) = mount(open()).await;
    let answer = ask(&mut http2(address).await, address, "websocket").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers().get("sec-websocket-protocol").unwrap(), "rpc.json");
    assert!(!answer.headers().contains_key("upgrade"));
    let io = TokioIo::new(within(hyper::upgrade::on(answer)).await.unwrap());
    let mut socket = WebSocketStream::from_raw_socket(io, Role::Client, None).await;
    let mut call = Frame::request(1, "Arith.Multiply", &());
    call.body.extend(br#"{"a":7,"b":8}"#);
    within(socket.send(Message::Binary(call.to_bytes().into()))).await.unwrap();
    let Message::Binary(answered) = within(socket.next()).await.unwrap().unwrap() else { panic!("no frame") };
    assert_eq!((answered[4], &answered[14..]), (Frame::RESPONSE, &b"56"[..]));
}

#[tokio::test]
async fn by_http2_a_server_of_http1_is_told_and_an_http2_stream_ends_with_its_client() {
    let (plain, _server) = tests::listen(arith()).await;
    let error = within(Client::builder().http2(true).connect(plain)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Http2 { .. }), "{error:?}");
    let (address, server) = mount(open()).await;
    let client = within(Client::builder().http2(true).connect(address)).await.unwrap();
    let _: i64 = within(client.call("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap();
    assert_eq!(server.connections(), 1);
    drop(client);
    eventually("it is gone", || server.connections() == 0).await;
}
