//! How a server ends.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::future::IntoFuture;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use rpc_client::{Client, Error, Lost};
use rpc_core::{CancelReason, Code, Context, Executed, Execution, Method, Service, Status};
use tests::{Args, Frame, Gate, Raw, arith, decoded, join, listen, pipe, within};
use tokio::io::AsyncReadExt;
use tokio::sync::Notify;

const MINUTE: Duration = Duration::from_secs(60);

/// Calls until the client has heard that it should not; what it is told then.
async fn refused(client: &Client) -> Error {
    loop {
        let call = client.call::<_, i64>("Arith.Multiply", Args { a: 7, b: 8 });
        if let Err(error) = within(call).await {
            return error;
        }
    }
}

#[tokio::test]
async fn calls_in_flight_finish_and_new_ones_have_not_run() {
    let gate = Gate::new();
    let (client, server) = join(gate.register(arith())).await;
    let call = client.start::<i64>("Gate.Pass", 1);
    gate.entered().await;
    let ending = server.clone();
    let report = tokio::spawn(async move { ending.shutdown(MINUTE).await });
    let error = refused(&client).await;
    assert!(matches!(error, Error::ConnectionLost { source: Lost::GoingAway(_), .. }), "{error:?}");
    assert_eq!(error.executed(), Executed::No);
    gate.open(1);
    assert_eq!(within(call).await.unwrap(), 1);
    let report = within(report).await.unwrap();
    assert_eq!((report.connections, report.finished, report.cancelled), (1, 1, 0));
    assert_eq!(server.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn calls_that_outlast_the_grace_are_cancelled_and_their_callers_told() {
    let gate = Gate::new();
    let (client, server) = join(gate.register(arith())).await;
    let calls = [client.start::<i64>("Gate.Pass", 1), client.start::<i64>("Gate.Pass", 2)];
    gate.entered().await;
    gate.entered().await;
    let report = within(server.shutdown(Duration::from_secs(5))).await;
    for call in calls {
        let error = within(call).await.unwrap_err();
        let status = error.status().unwrap();
        assert_eq!((status.code(), status.executed()), (Code::Unavailable, Executed::Yes));
        gate.dropped().await;
    }
    assert_eq!((report.connections, report.finished, report.cancelled), (1, 0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_blocking_handler_is_told_of_the_end_and_waited_for() {
    let (begun, reason) = (Arc::new(Notify::new()), Arc::new(Mutex::new(None)));
    let told = (begun.clone(), reason.clone());
    let wait = move |cx: Context, (): ()| {
        let (begun, reason) = told.clone();
        async move {
            begun.notify_one();
            *reason.lock().unwrap() = Some(cx.cancelled().await);
            Ok::<_, Status>(())
        }
    };
    let service = Service::new("Block").with(Method::new("Wait", wait).execution(Execution::Blocking));
    let (client, server) = join(arith().register(service)).await;
    let call = client.start::<()>("Block.Wait", ());
    begun.notified().await;
    assert_eq!(server.shutdown(Duration::ZERO).await.cancelled, 1);
    assert_eq!(*reason.lock().unwrap(), Some(CancelReason::Shutdown));
    assert_eq!(within(call).await.unwrap_err().status().unwrap().code(), Code::Unavailable);
}

#[tokio::test]
async fn an_idle_client_is_told_to_go_and_gets_what_was_answered() {
    let server = arith().build().unwrap();
    let mut raw = Raw::enter(pipe(&server), "").await;
    raw.send(&Frame::request(1, "Arith.Multiply", &Args { a: 7, b: 8 })).await;
    assert_eq!(decoded::<i64>(&raw.frame().await.body), 56);
    let ending = server.clone();
    let report = tokio::spawn(async move { ending.shutdown(MINUTE).await });
    let go_away = raw.frame().await;
    assert_eq!((go_away.kind, go_away.id, go_away.body[0]), (Frame::GO_AWAY, 1 << 16, 0));
    assert_eq!(raw.next().await, None);
    drop(raw);
    assert_eq!(within(report).await.unwrap().finished, 0, "none was in flight");
}

#[tokio::test]
async fn whoever_has_not_said_what_it_wants_is_answered_with_503() {
    let (address, server) = listen(arith()).await;
    let mut raw = Raw::dial(address).await;
    raw.say(b"CONNECT /_rpc_ HT").await;
    tests::eventually("it is counted", || server.connections() == 1).await;
    let report = tokio::spawn(async move { server.shutdown(MINUTE).await });
    assert!(raw.rest().await.starts_with("HTTP/1.0 503 Service Unavailable\r\n"));
    drop(raw);
    within(report).await.unwrap();
}

#[tokio::test]
async fn a_client_that_waits_for_an_answer_takes_the_go_away_in_its_stride() {
    let gate = Gate::new();
    let (address, server) = listen(gate.register(arith()).concurrency_limit_per_connection(1)).await;
    let client = within(Client::connect(address.to_string())).await.unwrap();
    let holds = client.start::<i64>("Gate.Pass", 1);
    gate.entered().await;
    let waits = tokio::spawn(client.call::<_, i64>("Gate.Pass", 2).into_future());
    let report = tokio::spawn(async move { server.shutdown(MINUTE).await });
    let error = within(waits).await.unwrap().unwrap_err();
    assert_eq!(error.executed(), Executed::No, "{error:?}");
    gate.open(1);
    assert_eq!(within(holds).await.unwrap(), 1);
    assert_eq!(within(report).await.unwrap().finished, 1);
    assert_eq!(gate.ran(), 1);
}

#[tokio::test]
async fn accepting_ends_with_the_server() {
    let server = arith().build().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(server.serve(listener).into_future());
    let client = within(Client::connect(address)).await.unwrap();
    within(server.shutdown(MINUTE)).await;
    within(serving).await.unwrap().unwrap();
    drop(client);
    within(Client::connect(address)).await.unwrap_err();
}

/// Each byte is progress, of which the write timeout bears any amount while the server lives.
#[tokio::test(start_paused = true)]
async fn a_client_that_reads_a_byte_at_a_time_does_not_hold_up_the_end() {
    let reply = |_: Context, (): ()| async { Ok::<_, Status>(vec![7u8; 65_536]) };
    let server =
        arith().write_timeout(MINUTE).ping_interval(None).register_fn("Large.Reply", reply).build().unwrap();
    let (near, far) = tokio::io::duplex(1024);
    let serving = server.clone();
    tokio::spawn(async move { serving.serve_connection(far).await });
    let mut raw = Raw::enter(near, "").await;
    raw.send(&Frame::request(1, "Large.Reply", &())).await;
    tokio::spawn(async move {
        while raw.0.read_u8().await.is_ok() {
            tokio::time::sleep(MINUTE / 2).await;
        }
    });
    tokio::time::sleep(MINUTE).await;
    assert_eq!(server.connections(), 1);
    tokio::time::timeout(10 * MINUTE, server.shutdown(MINUTE)).await.unwrap();
    assert_eq!(server.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_cancelled_counts_as_such_though_its_client_takes_no_answer() {
    let gate = Gate::new();
    let reply = |_: Context, (): ()| async { Ok::<_, Status>(vec![7u8; 65_536]) };
    let builder = gate.register(arith()).output_mark(1024).register_fn("Large.Reply", reply);
    let (server, (near, far)) = (builder.build().unwrap(), tokio::io::duplex(1024));
    let serving = server.clone();
    tokio::spawn(async move { serving.serve_connection(far).await });
    let mut raw = Raw::enter(near, "").await;
    raw.send(&Frame::request(1, "Gate.Pass", &1i64)).await;
    gate.entered().await;
    raw.send(&Frame::request(2, "Large.Reply", &())).await;
    within(raw.0.read_u8()).await.unwrap();
    let report = within(server.shutdown(Duration::from_secs(1))).await;
    gate.dropped().await;
    assert_eq!((report.connections, report.finished, report.cancelled), (1, 0, 1));
}

#[tokio::test]
async fn a_blocking_handler_counts_and_is_waited_for_after_its_connection() {
    let (release, released) = mpsc::channel::<()>();
    let (released, running) = (Arc::new(Mutex::new(released)), Arc::new(Notify::new()));
    let notify = running.clone();
    let block = move |_: Context, (): ()| {
        let (released, notify) = (released.clone(), notify.clone());
        async move {
            notify.notify_one();
            let _ = released.lock().map(|released| released.recv());
            Ok::<_, Status>(())
        }
    };
    let service = Service::new("Block").with(Method::new("Wait", block).execution(Execution::Blocking));
    // Room for one call, with its overhead of 1 KiB.
    let server = arith().register(service).max_memory(1100).build().unwrap();
    let mut raw = Raw::enter(pipe(&server), "").await;
    raw.send(&Frame::request(1, "Block.Wait", &())).await;
    within(running.notified()).await;
    raw.send(&Frame::new(0x7f, 0, [])).await;
    assert_eq!(raw.frame().await.kind, Frame::GO_AWAY, "no such kind");
    drop(raw);
    tests::eventually("the connection is over", || server.connections() == 0).await;
    let in_flight = || server.stats().iter().map(|stats| stats.in_flight).sum::<u64>();
    assert_eq!(in_flight(), 1);

    let client = within(Client::new(pipe(&server))).await.unwrap();
    let error = within(client.call::<_, ()>("Block.Wait", ())).await.unwrap_err();
    assert_eq!(error.status().unwrap().code(), Code::ResourceExhausted);
    let mut ending = Box::pin(server.shutdown(Duration::ZERO));
    assert!(futures_util::poll!(&mut ending).is_pending());
    drop(client);
    tests::eventually("the other connection is over", || server.connections() == 0).await;
    assert!(futures_util::poll!(&mut ending).is_pending());
    release.send(()).unwrap();
    within(ending).await;
    assert_eq!(in_flight(), 0);
}
