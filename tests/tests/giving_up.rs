//! Calls that end before their answer comes: their time is up, their caller leaves, or the call that
//! they were made for ends.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use rpc_client::{Client, Error};
use rpc_core::{Code, Context, Executed, Status};
use rpc_server::Builder;
use tests::{Args, Frame, Gate, Raw, arith, encoded, eventually, join, pipe, within};
use tokio::io::DuplexStream;

const SECOND: Duration = Duration::from_secs(1);

async fn client_of_a_silent_server(builder: rpc_client::Builder) -> (Client, Raw<DuplexStream>) {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let admitted = tokio::spawn(Raw::admit(far, ""));
    (within(builder.over(near)).await.unwrap(), admitted.await.unwrap())
}

/// Polls a call once, which sends it.
async fn sent<F: Future + Unpin>(mut call: F) -> F {
    poll_fn(|cx| {
        assert!(Pin::new(&mut call).poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    call
}

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_ends_with_its_time_and_the_server_is_told() {
    let (client, mut raw) = client_of_a_silent_server(Client::builder().timeout(9 * SECOND)).await;
    for (call, given) in [
        (client.call::<_, i64>("Any.Name", 7).timeout(SECOND), SECOND),
        (client.call("Any.Name", 7), 9 * SECOND),
    ] {
        let error = within(call).await.unwrap_err();
        assert!(matches!(error, Error::DeadlineExceeded { after, .. } if after == given), "{error:?}");
        assert_eq!(error.executed(), Executed::Maybe);
        let request = raw.frame().await;
        assert_eq!((request.kind, request.flags & 0x02), (Frame::REQUEST, 0x02), "carries its time left");
        assert_eq!(raw.frame().await, Frame::new(Frame::CANCEL, request.id, []));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_stops_a_handler_whose_time_is_up_without_being_told() {
    let gate = Gate::new();
    let mut raw = Raw::enter(pipe(&gate.register(arith()).build().unwrap()), "").await;
    let mut body = vec![0, 1];
    body.extend([0; 8]);
    body.push(9);
    body.extend(b"Gate.Pass");
    body.extend(1_000_000u64.to_be_bytes());
    body.extend(encoded(&5i64));
    raw.send(&Frame { flags: 0x08 | 0x02, ..Frame::new(Frame::REQUEST, 1 << 16, body) }).await;
    gate.entered().await;
    gate.dropped().await;
    let (code, executed, _) = raw.frame().await.status();
    assert_eq!((code, executed), (Code::DeadlineExceeded.to_wire(), 2));
}

#[tokio::test]
async fn a_call_without_any_time_is_never_sent() {
    let gate = Gate::new();
    let (client, _server) = join(gate.register(arith())).await;
    for error in [
        within(client.call::<_, i64>("Gate.Pass", 1).timeout(Duration::ZERO)).await.unwrap_err(),
        within(client.call::<_, i64>("Gate.Pass", 1).timeout(Duration::ZERO).start()).await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::DeadlineExceeded { executed: Executed::No, .. }), "{error:?}");
    }
    let _: i64 = within(client.call("Arith.Multiply", Args { a: 1, b: 1 })).await.unwrap();
    assert_eq!(gate.ran(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_time_ends_while_it_waits_for_room_has_not_run() {
    let gate = Gate::new();
    let (client, _server) = join(gate.register(arith()).concurrency_limit_per_connection(1)).await;
    let holds = client.start::<i64>("Gate.Pass", 1);
    let error = within(client.call::<_, i64>("Gate.Pass", 2).timeout(SECOND)).await.unwrap_err();
    assert!(matches!(error, Error::DeadlineExceeded { executed: Executed::No, .. }), "{error:?}");
    gate.open(1);
    assert_eq!(within(holds).await.unwrap(), 1);
    assert_eq!(gate.ran(), 1);
}

#[tokio::test]
async fn dropping_a_call_drops_its_handler() {
    let gate = Gate::new();
    let (client, server) = join(gate.register(arith())).await;
    let polled = sent(client.call::<_, i64>("Gate.Pass", 1).into_future()).await;
    let started = client.start::<i64>("Gate.Pass", 2);
    gate.entered().await;
    gate.entered().await;
    drop(polled);
    gate.dropped().await;
    drop(started);
    gate.dropped().await;
    eventually("both have ended", || {
        server.stats().iter().any(|stats| (stats.calls, stats.errors, stats.in_flight) == (2, 2, 0))
    })
    .await;
    let product: i64 = within(client.call("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap();
    assert_eq!(product, 56);
}

#[tokio::test]
async fn closing_the_client_drops_the_handlers_of_its_calls() {
    let gate = Gate::new();
    let (client, _server) = join(gate.register(arith())).await;
    let call = client.start::<i64>("Gate.Pass", 1);
    gate.entered().await;
    within(client.close()).await.unwrap();
    gate.dropped().await;
    let error = within(call).await.unwrap_err();
    assert!(matches!(error, Error::Shutdown { executed: Executed::Maybe, .. }), "{error:?}");
}

/// A front server whose one method calls the back server on behalf of its caller.
async fn relay(back: Builder, method: &'static str) -> Client {
    let (back, _) = join(back).await;
    let front = arith().register_fn("Front.Relay", move |cx: Context, number: i64| {
        let back = back.clone();
        async move {
            let answer: i64 = back.call(method, number).within(&cx).await?;
            Ok::<_, Status>(answer)
        }
    });
    join(front).await.0
}

#[tokio::test]
async fn a_call_made_within_another_is_given_up_with_it() {
    let gate = Gate::new();
    let front = relay(gate.register(arith()), "Gate.Pass").await;
    gate.open(1);
    assert_eq!(within(front.call::<_, i64>("Front.Relay", 3)).await.unwrap(), 3);
    gate.entered().await;
    let call = front.start::<i64>("Front.Relay", 3);
    gate.entered().await;
    drop(call);
    gate.dropped().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_made_within_another_ends_no_later() {
    let gate = Gate::new();
    let front = relay(gate.register(arith()), "Gate.Pass").await;
    let call = front.call::<_, i64>("Front.Relay", 3).timeout(SECOND);
    let error = within(call).await.unwrap_err();
    assert!(matches!(error, Error::DeadlineExceeded { .. }), "{error:?}");
    gate.dropped().await;
}

#[tokio::test]
async fn a_call_made_within_another_carries_its_time_and_its_trace() {
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let back = arith().register_fn("Back.Look", |cx: Context, number: i64| async move {
        let metadata = cx.metadata();
        assert_eq!(metadata.text("traceparent"), Some(TRACE));
        assert_eq!(metadata.text("baggage"), Some("a=b"));
        assert_eq!(metadata.len(), 2, "nothing else is handed on");
        assert!(cx.deadline().is_some());
        Ok::<_, Status>(number)
    });
    let front = relay(back, "Back.Look").await;
    let call = front.call::<_, i64>("Front.Relay", 3).timeout(100 * SECOND);
    let call = call.metadata("traceparent", TRACE).metadata("baggage", "a=b").metadata("tenant", "a");
    assert_eq!(within(call).await.unwrap(), 3);
}

#[tokio::test]
async fn a_call_made_within_one_that_was_given_up_is_never_sent() {
    let gate = Gate::new();
    let (client, _server) = join(gate.register(arith())).await;
    let over = Context::detached("Any.Name");
    over.cancel(rpc_core::CancelReason::Caller);
    let error = within(client.call::<_, i64>("Gate.Pass", 1).within(&over)).await.unwrap_err();
    assert!(matches!(error, Error::Cancelled { executed: Executed::No, .. }), "{error:?}");
    let parent = Context::detached("Any.Name");
    let call = sent(client.call::<_, i64>("Gate.Pass", 1).within(&parent).into_future()).await;
    gate.entered().await;
    parent.cancel(rpc_core::CancelReason::Caller);
    let error = within(call).await.unwrap_err();
    assert!(matches!(error, Error::Cancelled { executed: Executed::Maybe, .. }), "{error:?}");
    gate.dropped().await;
    assert_eq!(gate.ran(), 1);
}
