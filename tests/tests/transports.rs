//! One list of tests for every transport: what holds over TCP holds over TLS and Unix sockets too.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Method, Request, StatusCode};
use rpc_client::Error;
use rpc_core::handshake::Refusal;
use rpc_core::{Context, Status};
use rpc_server::{Builder, Hijacked, Reply};
use tests::{Args, Frame, Gate, Raw, Served, Transport, arith, decoded, eventually, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

macro_rules! on_every_transport {
    ($($test:ident),* $(,)?) => {
        on_every_transport!(tcp, Tcp: $($test),*);
        on_every_transport!(unix, Unix: $($test),*);
    };
    ($module:ident, $transport:ident: $($test:ident),*) => {
        mod $module {
            use tests::Transport;
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(Transport::$transport).await;
                }
            )*
        }
    };
}

on_every_transport![
    calls_are_answered_with_results_and_errors,
    many_calls_are_in_flight_at_once,
    a_megabyte_goes_there_and_back,
    a_call_that_is_given_up_is_cancelled_on_the_server,
    a_call_ends_at_its_deadline,
    a_shutdown_lets_calls_in_flight_end,
    handlers_know_who_calls,
    a_client_comes_back_when_its_connection_is_lost,
    a_client_that_has_closed_its_side_gets_its_answers,
    what_comes_behind_an_answer_is_not_lost,
    half_close_by_the_client_is_seen_and_the_other_way_stays_open,
    half_close_by_the_server_is_seen_and_the_other_way_stays_open,
];

fn service() -> Builder {
    arith().register_fn("Echo.Bytes", |_: Context, bytes: Bytes| async move { Ok::<_, Status>(bytes) })
}

async fn calls_are_answered_with_results_and_errors(transport: Transport) {
    let served = transport.serve(service()).await;
    let client = within(served.client()).await;
    let product: i64 = within(client.call("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap();
    assert_eq!(product, 56);
    let error = within(client.call::<_, ()>("Arith.Divide", Args { a: 1, b: 0 })).await.unwrap_err();
    assert_eq!(error.status().map(Status::message), Some("divide by zero"));
    assert_eq!(client.peer(), served.address);
    within(client.close()).await.unwrap();
    eventually("the server has let it go", || served.server.connections() == 0).await;
}

async fn many_calls_are_in_flight_at_once(transport: Transport) {
    let gate = Gate::new();
    let served = transport.serve(gate.register(service())).await;
    let client = within(served.client()).await;
    let calls: Vec<_> = (0..300).map(|number| client.start::<i64>("Gate.Pass", number)).collect();
    gate.open(300);
    let answers = within(join_all(calls)).await;
    assert!(answers.into_iter().map(Result::unwrap).eq(0..300));
}

async fn a_megabyte_goes_there_and_back(transport: Transport) {
    let served = transport.serve(service()).await;
    let client = within(served.client()).await;
    let megabyte: Bytes = (0..1 << 20).map(|index: u32| index.to_le_bytes()[1]).collect();
    let calls = (0..8).map(|_| client.start::<Bytes>("Echo.Bytes", &megabyte));
    for answer in within(join_all(calls)).await {
        assert!(answer.unwrap() == megabyte);
    }
}

async fn a_call_that_is_given_up_is_cancelled_on_the_server(transport: Transport) {
    let gate = Gate::new();
    let served = transport.serve(gate.register(service())).await;
    let client = within(served.client()).await;
    let call = client.start::<i64>("Gate.Pass", 1);
    gate.entered().await;
    drop(call);
    gate.dropped().await;
}

async fn a_call_ends_at_its_deadline(transport: Transport) {
    let gate = Gate::new();
    let served = transport.serve(gate.register(service())).await;
    let client = within(served.client()).await;
    let call = client.call::<_, i64>("Gate.Pass", 1).timeout(Duration::from_millis(50));
    let error = within(call).await.unwrap_err();
    assert!(matches!(error, Error::DeadlineExceeded { .. }), "{error:?}");
    gate.dropped().await;
}

async fn a_shutdown_lets_calls_in_flight_end(transport: Transport) {
    let gate = Gate::new();
    let served = transport.serve(gate.register(service())).await;
    let client = within(served.builder().reconnect(false).connect(&served.address)).await.unwrap();
    let call = client.start::<i64>("Gate.Pass", 7);
    gate.entered().await;
    let server = served.server.clone();
    let shutdown = tokio::spawn(async move { server.shutdown(Duration::from_secs(20)).await });
    eventually("the client was told", || client.is_closed()).await;
    gate.open(1);
    assert_eq!(within(call).await.unwrap(), 7);
    let report = within(shutdown).await.unwrap();
    assert_eq!((report.connections, report.finished, report.cancelled), (1, 1, 0));
}

async fn handlers_know_who_calls(transport: Transport) {
    let who = |cx: Context, (): ()| async move {
        let peer = cx.peer();
        let address = peer.address.map(|address| address.ip().to_string());
        let user = peer.unix.map(|process| (process.uid, process.pid.unwrap_or_default()));
        Ok::<_, Status>((address, user))
    };
    let served = transport.serve(service().register_fn("Who.Calls", who)).await;
    let client = within(served.client()).await;
    let told: (Option<String>, Option<(u32, i32)>) = within(client.call("Who.Calls", ())).await.unwrap();
    let expected = match transport {
        Transport::Unix => {
            let me = tokio::net::UnixStream::pair().unwrap().0.peer_cred().unwrap();
            (None, Some((me.uid(), me.pid().unwrap())))
        }
        _ => (Some("127.0.0.1".to_owned()), None),
    };
    assert_eq!(told, expected);
}

async fn a_client_comes_back_when_its_connection_is_lost(transport: Transport) {
    let entered = Arc::new(AtomicUsize::new(0));
    let counted = entered.clone();
    let count = move |_| ready(Ok::<_, Refusal>(_ = counted.fetch_add(1, Relaxed)));
    let served =
        transport.serve(service().max_connection_age(Duration::from_millis(50)).authorize(count)).await;
    let waits = Duration::from_millis(1);
    let client = within(served.builder().backoff(waits, waits).connect(&served.address)).await.unwrap();
    let calls = async {
        while entered.load(Relaxed) < 4 {
            let product: i64 = client.call("Arith.Multiply", Args { a: 7, b: 8 }).await.unwrap();
            assert_eq!(product, 56);
        }
    };
    within(calls).await;
}

/// A connection that speaks RPC from its first frame on.
async fn enter(served: &Served) -> Raw<rpc_client::Stream> {
    let request = Request::builder().method(Method::CONNECT).uri("/_rpc_").body(()).unwrap();
    let taken = within(served.builder().hijack(&served.address, request)).await.unwrap();
    assert_eq!(taken.status, StatusCode::OK);
    Raw(taken.stream)
}

async fn a_client_that_has_closed_its_side_gets_its_answers(transport: Transport) {
    let gate = Gate::new();
    let served = transport.serve(gate.register(service())).await;
    let mut raw = enter(&served).await;
    raw.send(&Frame::request(1, "Gate.Pass", &7_i64)).await;
    gate.entered().await;
    within(raw.0.shutdown()).await.unwrap();
    // It was seen: the server asks whether somebody is there yet.
    assert_eq!(raw.frame().await.kind, Frame::PING);
    gate.open(1);
    let answer = raw.call_frame().await.unwrap();
    assert_eq!(decoded::<i64>(&answer.body), 7);
    assert_eq!(within(raw.0.read(&mut [0])).await.unwrap(), 0, "closed in good order");
    eventually("the server has let it go", || served.server.connections() == 0).await;
}

fn get(path: &str) -> Request<()> {
    Request::get(path).body(()).unwrap()
}

async fn what_comes_behind_an_answer_is_not_lost(transport: Transport) {
    let heads = "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nX: y\r\n\r\nbehind";
    let say = move |mut taken: Hijacked| async move {
        taken.stream.write_all(heads.as_bytes()).await.unwrap();
        taken.stream.shutdown().await.unwrap();
    };
    let served = transport.serve(service().route("/say", move |_| async move { Reply::hijack(say) })).await;
    let mut taken = within(served.builder().hijack(&served.address, get("/say"))).await.unwrap();
    assert_eq!((taken.status, taken.headers["x"].as_bytes()), (StatusCode::SWITCHING_PROTOCOLS, &b"y"[..]));
    assert_eq!(taken.stream.leftover(), b"behind");
    let mut rest = String::new();
    within(taken.stream.read_to_string(&mut rest)).await.unwrap();
    assert_eq!(rest, "behind");
}

async fn half_close_by_the_client_is_seen_and_the_other_way_stays_open(transport: Transport) {
    let count = |mut taken: Hijacked| async move {
        taken.stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut all = Vec::new();
        taken.stream.read_to_end(&mut all).await.unwrap();
        taken.stream.write_all(format!("{} bytes", all.len()).as_bytes()).await.unwrap();
        taken.stream.shutdown().await.unwrap();
    };
    let served =
        transport.serve(service().route("/count", move |_| async move { Reply::hijack(count) })).await;
    let mut taken = within(served.builder().hijack(&served.address, get("/count"))).await.unwrap();
    within(taken.stream.write_all(&[b'x'; 100_000])).await.unwrap();
    within(taken.stream.shutdown()).await.unwrap();
    let mut answer = String::new();
    within(taken.stream.read_to_string(&mut answer)).await.unwrap();
    assert_eq!(answer, "100000 bytes");
    drop(taken);
    eventually("the server has let it go", || served.server.connections() == 0).await;
}

async fn half_close_by_the_server_is_seen_and_the_other_way_stays_open(transport: Transport) {
    let (told, mut counted) = tokio::sync::mpsc::unbounded_channel();
    let builder = service().route("/sink", move |_| {
        let told = told.clone();
        async move {
            Reply::hijack(move |mut taken| async move {
                taken.stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nready").await.unwrap();
                taken.stream.shutdown().await.unwrap();
                let mut all = Vec::new();
                taken.stream.read_to_end(&mut all).await.unwrap();
                told.send(all.len()).unwrap();
            })
        }
    });
    let served = transport.serve(builder).await;
    let mut taken = within(served.builder().hijack(&served.address, get("/sink"))).await.unwrap();
    let mut answer = String::new();
    within(taken.stream.read_to_string(&mut answer)).await.unwrap();
    assert_eq!(answer, "ready");
    within(taken.stream.write_all(&[b'x'; 100_000])).await.unwrap();
    within(taken.stream.shutdown()).await.unwrap();
    assert_eq!(within(counted.recv()).await, Some(100_000));
}
