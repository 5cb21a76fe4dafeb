//! How a server runs handlers, and what it tells of itself.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, USER_AGENT};
use http::{HeaderName, HeaderValue};
use rpc_client::Client;
use rpc_core::health::{HealthClient, HealthReporter, Serving};
use rpc_core::{CancelReason, Code, Context, Executed, Execution, Format, Method, Service, Status};
use tests::{Args, Blocker, Gate, arith, eventually, join, listen, within};
use tokio::sync::Notify;

const SEVEN_AND_EIGHT: Args = Args { a: 7, b: 8 };

async fn assert_serves(client: &Client) {
    assert_eq!(within(client.call::<_, i64>("Arith.Multiply", SEVEN_AND_EIGHT)).await.unwrap(), 56);
}

fn panics_before(_: Context, (): ()) -> std::future::Ready<Result<(), Status>> {
    panic!("before there is a future")
}

/// Go's net/rpc ends the process.
#[tokio::test]
async fn a_panic_fails_its_call_only() {
    let gate = Gate::new();
    let at_once =
        |_: Context, (): ()| async move { if true { panic!("at once") } else { Ok::<_, Status>(()) } };
    let later = |_: Context, (): ()| async move {
        tokio::task::yield_now().await;
        if true { panic!("later") } else { Ok::<_, Status>(()) }
    };
    let service = Service::new("Panic")
        .method("Before", panics_before)
        .method("AtOnce", at_once)
        .method("Later", later)
        .with(Method::new("Spawned", later).execution(Execution::Spawn))
        .with(Method::new("Blocking", later).execution(Execution::Blocking));
    let (client, server) = join(gate.register(arith()).register(service)).await;
    let neighbour = client.start::<i64>("Gate.Pass", 1);
    for method in ["Panic.Before", "Panic.AtOnce", "Panic.Later", "Panic.Spawned", "Panic.Blocking"] {
        let error = within(client.call::<_, ()>(method, ())).await.unwrap_err();
        let status = error.status().unwrap();
        assert_eq!((status.code(), status.message()), (Code::Internal, "the handler panicked"), "{method}");
        assert_eq!(error.executed(), Executed::Yes, "{method}");
    }
    gate.open(1);
    assert_eq!(within(neighbour).await.unwrap(), 1);
    assert_serves(&client).await;
    let counted = server.stats().into_iter().filter(|stats| stats.service == "Panic");
    assert!(
        counted.map(|stats| (stats.calls, stats.errors, stats.in_flight)).all(|counts| counts == (1, 1, 0))
    );
}

#[tokio::test]
async fn methods_run_inline_in_tasks_and_on_threads_and_are_cancelled_in_each() {
    for execution in [Execution::Inline, Execution::Spawn, Execution::Blocking] {
        let gate = Gate::new();
        let service = Service::new("Other").with(gate.method("Pass").execution(execution));
        let (client, _server) = join(arith().register(service)).await;
        gate.open(1);
        assert_eq!(within(client.call::<_, i64>("Other.Pass", 3)).await.unwrap(), 3);
        gate.entered().await;
        if execution == Execution::Blocking {
            continue;
        }
        let call = client.start::<i64>("Other.Pass", 4);
        gate.entered().await;
        drop(call);
        gate.dropped().await;
        assert_serves(&client).await;
    }
}

#[tokio::test]
async fn a_blocking_handler_holds_its_slot_until_it_has_ended_and_sees_why_to_end() {
    let (blocker, service) = Blocker::new();
    let (client, server) = join(arith().register(service).concurrency_limit_per_connection(1)).await;
    let call = client.start::<()>("Block.Wait", ());
    blocker.entered().await;
    drop(call);
    assert_eq!(blocker.given_up().await, CancelReason::Caller);
    let mut next = client.call::<_, i64>("Arith.Multiply", SEVEN_AND_EIGHT).into_future();
    assert!(futures_util::poll!(&mut next).is_pending());
    let in_flight = |method: &str| {
        let stats = server.stats().into_iter().find(|stats| stats.method == method).unwrap();
        (stats.calls, stats.in_flight)
    };
    assert_eq!((in_flight("Wait"), in_flight("Multiply")), ((1, 1), (0, 0)));
    blocker.release();
    assert_eq!(within(next).await.unwrap(), 56);
    assert_eq!(in_flight("Wait"), (1, 0));
}

/// The first calls compute too long, the last one never ends by itself: it would hold up its
/// connection for ever, had the others not been noticed.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_handler_that_was_seen_computing_too_long_no_longer_holds_up_its_connection() {
    let (release, released) = mpsc::channel::<()>();
    let (released, running) = (Arc::new(Mutex::new(released)), Arc::new(Notify::new()));
    let notify = running.clone();
    let work = move |_: Context, for_ever: bool| {
        let (released, notify) = (released.clone(), notify.clone());
        async move {
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_millis(5) {
                std::hint::spin_loop();
            }
            if for_ever {
                notify.notify_one();
                let _ = released.lock().map(|released| released.recv());
            }
            Ok::<_, Status>(())
        }
    };
    let (client, _server) = join(arith().register_fn("Slow.Work", work)).await;
    // The first has the calls after it timed; a few of those then count.
    for _ in 0..5 {
        within(client.call::<_, ()>("Slow.Work", false)).await.unwrap();
    }
    let call = client.start::<()>("Slow.Work", true);
    within(running.notified()).await;
    assert_serves(&client).await;
    release.send(()).unwrap();
    within(call).await.unwrap();
}

#[tokio::test]
async fn a_handler_knows_who_calls_what() {
    let who = |cx: Context, (): ()| async move {
        let agent = cx.headers().get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or("");
        assert_eq!(cx.format(), Format::Json);
        let address = cx.peer().address.map(|address| address.to_string());
        Ok::<_, Status>(format!("{} {agent} {}", cx.method(), address.unwrap_or_default()))
    };
    let (address, _server) = listen(arith().register_fn("Who.Calls", who)).await;
    let builder = Client::builder().format(Format::Json).header(USER_AGENT, HeaderValue::from_static("test"));
    let builder = builder.header(HeaderName::from_static("x-more"), HeaderValue::from_static("1"));
    let client = within(builder.connect(address.to_string())).await.unwrap();
    let told: String = within(client.call("Who.Calls", ())).await.unwrap();
    assert!(told.starts_with("Who.Calls test 127.0.0.1:"), "{told}");
}

#[tokio::test]
async fn what_a_peer_shows_of_itself_holds_no_credentials() {
    let show =
        |cx: Context, (): ()| async move { Ok::<_, Status>(format!("{:?} {:?}", cx.peer(), cx.headers())) };
    let server = arith().register_fn("Who.Calls", show).build().unwrap();
    let builder = Client::builder().header(AUTHORIZATION, HeaderValue::from_static("Bearer hunter2"));
    let client = within(builder.over(tests::pipe(&server))).await.unwrap();
    let shown: String = within(client.call("Who.Calls", ())).await.unwrap();
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn a_context_that_outlives_its_call_is_told_of_the_end() {
    let (kept, taken) = mpsc::channel();
    let keep = move |cx: Context, (): ()| {
        let sent = kept.send(cx);
        async move { sent.map_err(|_| Status::internal("nobody takes it")) }
    };
    let (client, _server) = join(arith().register_fn("Keep.Context", keep)).await;
    within(client.call::<_, ()>("Keep.Context", ())).await.unwrap();
    let context = taken.recv().unwrap();
    assert_eq!(within(context.cancelled()).await, CancelReason::Ended);
}

#[tokio::test]
async fn health_tells_what_it_was_told() {
    let reporter = HealthReporter::new();
    let (client, _server) = join(arith().health(reporter.clone())).await;
    let health = HealthClient::new(client);
    assert_eq!(within(health.check(String::new())).await.unwrap(), Serving::Serving);
    let unknown = within(health.check("Arith".into())).await.unwrap_err();
    assert_eq!(unknown.status().unwrap().code(), Code::NotFound);
    reporter.set("Arith", Serving::NotServing);
    assert_eq!(within(health.check("Arith".into())).await.unwrap(), Serving::NotServing);
}

#[tokio::test]
async fn statistics_count_calls_errors_and_what_is_in_flight_sorted_by_name() {
    let gate = Gate::new();
    let (client, server) = join(gate.register(arith())).await;
    let call = client.start::<i64>("Gate.Pass", 1);
    gate.entered().await;
    within(client.call::<_, i64>("Arith.Divide", Args { a: 1, b: 0 })).await.unwrap_err();
    assert_serves(&client).await;
    let counted = || -> Vec<_> {
        let stats = server.stats().into_iter();
        stats
            .map(|one| (format!("{}.{}", one.service, one.method), one.calls, one.errors, one.in_flight))
            .collect()
    };
    let (divide, multiply) = (("Arith.Divide".into(), 1, 1, 0), ("Arith.Multiply".into(), 1, 0, 0));
    assert_eq!(counted(), [divide, multiply, ("Gate.Pass".into(), 1, 0, 1)]);
    gate.open(1);
    within(call).await.unwrap();
    eventually("the call has ended", || counted()[2].3 == 0).await;
}
