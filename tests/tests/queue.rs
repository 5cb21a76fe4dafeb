//! Calls that wait at the client for room on their connection.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::poll;
use rpc_client::Error;
use rpc_core::Executed;
use tests::{Args, Frame, Gate, arith, join, raw_server, within};

/// Counts how often it is encoded.
struct Counted(Arc<AtomicUsize>);

impl serde::Serialize for Counted {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.fetch_add(1, Ordering::Relaxed);
        serializer.serialize_u8(1)
    }
}

#[tokio::test]
async fn a_waiting_call_that_nobody_polls_any_more_holds_up_nobody_behind_it() {
    let gate = Gate::new();
    let (client, _server) = join(gate.register(arith()).concurrency_limit_per_connection(2)).await;
    let holding = [client.start::<i64>("Gate.Pass", 1), client.start::<i64>("Gate.Pass", 2)];
    let mut first = client.call::<_, i64>("Gate.Pass", 3).into_future();
    assert!(poll!(&mut first).is_pending());
    let second = tokio::spawn(client.call::<_, i64>("Arith.Multiply", Args { a: 7, b: 8 }).into_future());
    tokio::task::yield_now().await;
    gate.open(3);
    for (number, call) in (1..).zip(holding) {
        assert_eq!(within(call).await.unwrap(), number);
    }
    assert_eq!(within(second).await.unwrap().unwrap(), 56);
    assert_eq!(within(first).await.unwrap(), 3);
}

/// Answers that nobody has taken yet hold the slots of their calls, of which there are 65,536.
#[tokio::test]
async fn a_call_that_waits_for_a_slot_is_sent_once_an_answer_is_taken() {
    let (client, mut raw) = raw_server(1 << 22, "Rpc-Max-Calls: 65536\r\n").await;
    let (mut calls, mut answers) = (Vec::new(), Vec::new());
    while calls.len() < 65_536 {
        calls.extend((0..8192).map(|_| client.start::<i64>("Any.Name", 1)));
        for _ in 0..8192 {
            answers.extend(Frame::response(raw.frame().await.id, &5i64).to_bytes());
        }
    }
    let waiting = tokio::spawn(client.call::<_, i64>("Any.Name", 2).into_future());
    tokio::task::yield_now().await;
    raw.say(&answers).await;
    raw.send(&Frame::new(Frame::PING, 7, [])).await;
    assert_eq!(
        raw.frame().await,
        Frame::new(Frame::PONG, 7, []),
        "all answers have come, and no request went"
    );
    for call in calls {
        assert_eq!(within(call).await.unwrap(), 5);
    }
    let request = raw.frame().await;
    assert_eq!(request.kind, Frame::REQUEST);
    raw.send(&Frame::response(request.id, &6i64)).await;
    assert_eq!(within(waiting).await.unwrap().unwrap(), 6);
}

#[tokio::test(start_paused = true)]
async fn waiting_calls_end_when_the_client_is_closed_and_not_when_its_goodbye_was_read() {
    let (client, raw) = raw_server(64, "Rpc-Max-Calls: 1\r\n").await;
    let sent = client.start::<i64>("Any.Name", vec![0u8; 1000]);
    let waiting = tokio::spawn(client.call::<_, i64>("Any.Name", 1).into_future());
    tokio::task::yield_now().await;
    let mut closing = Box::pin(client.close());
    assert!(poll!(&mut closing).is_pending(), "the server reads nothing");
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(waiting.is_finished() && poll!(&mut closing).is_pending());
    let error = waiting.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Shutdown { executed: Executed::No, .. }), "{error:?}");
    drop((raw, sent));
}

#[tokio::test]
async fn a_waiting_call_does_not_encode_its_arguments_at_each_poll() {
    let (client, mut raw) = raw_server(4096, "Rpc-Max-Calls: 1\r\n").await;
    let sent = client.start::<i64>("Any.Name", 1);
    let encoded = Arc::new(AtomicUsize::new(0));
    let mut call = client.call::<_, i64>("Any.Name", Counted(encoded.clone())).into_future();
    for _ in 0..1000 {
        assert!(poll!(&mut call).is_pending());
    }
    assert_eq!(encoded.load(Ordering::Relaxed), 1);
    let request = raw.frame().await;
    raw.send(&Frame::response(request.id, &5i64)).await;
    assert_eq!(within(sent).await.unwrap(), 5);
    assert!(poll!(&mut call).is_pending());
    let request = raw.frame().await;
    raw.send(&Frame::response(request.id, &6i64)).await;
    assert_eq!(within(call).await.unwrap(), 6);
    assert_eq!(encoded.load(Ordering::Relaxed), 2, "once more when it is sent");
}

#[tokio::test(start_paused = true)]
async fn waiting_calls_that_nobody_polls_hold_up_nobody_where_there_is_one_slot() {
    let gate = Gate::new();
    let (client, _server) = join(gate.register(arith()).concurrency_limit_per_connection(1)).await;
    let holding = client.start::<i64>("Gate.Pass", 1);
    let mut waiting: Vec<_> = (0..5).map(|at| client.call::<_, i64>("Gate.Pass", at).into_future()).collect();
    for call in &mut waiting {
        assert!(poll!(call).is_pending());
    }
    let args = Args { a: 7, b: 8 };
    let last = tokio::spawn(client.call::<_, i64>("Arith.Multiply", args).into_future());
    tokio::task::yield_now().await;
    gate.open(10);
    assert_eq!(within(holding).await.unwrap(), 1);
    assert_eq!(within(last).await.unwrap().unwrap(), 56);
    for (at, call) in waiting.into_iter().enumerate() {
        assert_eq!(within(call).await.unwrap(), at as i64);
    }
}
