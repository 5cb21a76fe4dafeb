//! Limits of `docs/limits.md` that no other file is about.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::future::{IntoFuture, pending, ready};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rpc_client::{Client, ConnectError, Connector, Error};
use rpc_core::{CancelReason, Code, Context, Executed, Peer, Status};
use rpc_server::{BuildError, Builder, Listener};
use serde::{Deserialize, Serialize};
use tests::{Args, Blocker, Gate, Raw, arith, eventually, join, pipe, within};
use tokio::io::DuplexStream;
use tokio::sync::Notify;
use tokio::time::Instant;

#[tokio::test]
async fn a_head_may_be_as_large_as_it_was_set() {
    let server = arith().max_head(100).build().unwrap();
    for (fill, status) in [(60, "200 Connected"), (80, "431 Request Header Fields Too Large")] {
        let mut raw = Raw(pipe(&server));
        raw.say(format!("CONNECT /_rpc_ HTTP/1.0\r\nX: {}\r\n\r\n", "y".repeat(fill)).as_bytes()).await;
        let head = tests::read_head(&mut raw.0).await;
        assert!(head.starts_with(&format!("HTTP/1.0 {status}\r\n")), "{fill}: {head}");
    }
}

#[test]
fn limits_that_cannot_be_announced_are_refused_when_the_server_is_made() {
    let refused = |builder: Builder| matches!(builder.build(), Err(BuildError::Limits(_)));
    assert!(refused(arith().max_frame(65_535)) && !refused(arith().max_frame(65_536)));
    let calls = |calls| arith().concurrency_limit_per_connection(calls);
    assert!(refused(calls(0)) && !refused(calls(1)) && !refused(calls(65_536)) && refused(calls(65_537)));
}

/// Zero is not "no limit": such a server would refuse everybody, or drop them at once.
#[test]
fn settings_that_would_serve_nobody_are_refused_when_the_server_is_made() {
    let zero = |builder: Builder| match builder.build() {
        Err(BuildError::Zero { setting }) => setting,
        other => panic!("{other:?}"),
    };
    assert_eq!(zero(arith().head_timeout(Duration::ZERO)), "head_timeout");
    assert_eq!(zero(arith().max_head(0)), "max_head");
    assert_eq!(zero(arith().frame_timeout(Duration::ZERO)), "frame_timeout");
    assert_eq!(zero(arith().idle_timeout(Duration::ZERO)), "idle_timeout");
    assert_eq!(zero(arith().call_timeout(Duration::ZERO)), "call_timeout");
    assert_eq!(zero(arith().max_memory(0)), "max_memory");
    assert_eq!(zero(arith().write_timeout(Duration::ZERO)), "write_timeout");
    assert_eq!(zero(arith().ping_timeout(Duration::ZERO)), "ping_timeout");
    assert_eq!(zero(arith().max_connection_age(Duration::ZERO)), "max_connection_age");
    for path in ["rpc", "", "/rpc?tenant=a", "/a b", "/a#b"] {
        assert_eq!(arith().path(path).build().unwrap_err(), BuildError::Path { path: path.into() });
    }
    let whole = Duration::MAX;
    let longest = arith().head_timeout(whole).write_timeout(whole).ping_interval(whole).ping_timeout(whole);
    let longest = longest.frame_timeout(whole).idle_timeout(whole).call_timeout(whole);
    longest.max_connection_age(whole).grace(whole).build().unwrap();
}

#[tokio::test]
async fn a_blocking_handler_that_was_given_up_holds_its_memory_until_it_has_ended() {
    let (blocker, service) = Blocker::new();
    // Room for one call, with its overhead of 1 KiB.
    let (client, server) = join(arith().register(service).max_memory(1100)).await;
    let call = client.start::<()>("Block.Wait", ());
    blocker.entered().await;
    drop(call);
    assert_eq!(blocker.given_up().await, CancelReason::Caller);
    let multiply = || client.call::<_, i64>("Arith.Multiply", Args { a: 7, b: 8 });
    let error = within(multiply()).await.unwrap_err();
    assert_eq!(error.status().unwrap().code(), Code::ResourceExhausted);
    blocker.release();
    eventually("it has ended", || server.stats().iter().all(|stats| stats.in_flight == 0)).await;
    assert_eq!(within(multiply()).await.unwrap(), 56);
}

#[derive(Serialize, Deserialize)]
struct Nested(Option<Box<Nested>>);

#[tokio::test]
async fn arguments_that_are_too_deep_or_have_too_many_elements_fail_their_call_only() {
    let deep = |_: Context, _: Nested| ready(Ok::<_, Status>(()));
    let many = |_: Context, units: Vec<()>| ready(Ok::<_, Status>(units.len()));
    let (client, _server) = join(arith().register_fn("Take.Deep", deep).register_fn("Take.Many", many)).await;
    let nested = (0..1000).fold(Nested(None), |inner, _| Nested(Some(Box::new(inner))));
    let too_deep = within(client.call::<_, ()>("Take.Deep", nested)).await.unwrap_err();
    let too_many = within(client.call::<_, usize>("Take.Many", vec![(); 70_000])).await.unwrap_err();
    for error in [too_deep, too_many] {
        assert_eq!(error.status().unwrap().code(), Code::InvalidArgument, "{error}");
        assert_eq!(error.executed(), Executed::No);
    }
    assert_eq!(within(client.call::<_, usize>("Take.Many", vec![(); 60_000])).await.unwrap(), 60_000);
}

/// One connection, and none after it.
struct One(Option<DuplexStream>);

impl Listener for One {
    type Io = DuplexStream;

    async fn accept(&mut self) -> io::Result<(DuplexStream, Peer)> {
        match self.0.take() {
            Some(stream) => Ok((stream, Peer::unknown())),
            None => pending().await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_grace_that_was_set_begins_with_the_signal() {
    let (gate, signal) = (Gate::new(), Arc::new(Notify::new()));
    let (near, far) = tokio::io::duplex(1024);
    let signalled = signal.clone();
    let builder = gate.register(arith()).grace(Duration::from_secs(7));
    let serve =
        builder.serve(One(Some(far))).with_graceful_shutdown(async move { signalled.notified().await });
    let serving = tokio::spawn(serve.into_future());
    let client = within(Client::new(near)).await.unwrap();
    let call = client.start::<i64>("Gate.Pass", 1);
    gate.entered().await;
    let begun = Instant::now();
    signal.notify_one();
    let error = within(call).await.unwrap_err();
    assert_eq!(error.status().unwrap().code(), Code::Unavailable);
    assert_eq!(begun.elapsed().as_secs(), 7);
    assert_eq!(within(serving).await.unwrap().unwrap().cancelled, 1);
}

struct Never;

impl Connector for Never {
    type Io = DuplexStream;

    async fn connect(&self) -> io::Result<DuplexStream> {
        pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_does_not_end_fails_its_call_in_time() {
    let client = Client::builder().lazy_with(Never, "nowhere:1");
    let begun = Instant::now();
    let error = within(client.call::<_, ()>("Any.Name", ())).await.unwrap_err();
    assert_eq!((begun.elapsed().as_secs(), error.executed()), (10, Executed::No));
    assert!(error.to_string().contains("nowhere:1"), "{error}");
    assert!(
        matches!(&error, Error::Connect { source, .. }
        if matches!(**source, ConnectError::DialTimeout { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_time_without_end_is_none() {
    let (address, _server) =
        tests::listen(arith().head_timeout(Duration::MAX).write_timeout(Duration::MAX)).await;
    let builder = Client::builder().dial_timeout(Duration::MAX).answer_timeout(Duration::MAX);
    let client = within(builder.connect(address)).await.unwrap();
    let product: i64 = within(client.call("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap();
    assert_eq!(product, 56);
}
