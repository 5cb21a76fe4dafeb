//! gRPC's interoperability cases for deadlines and cancellation, as far as they are about calls with
//! one answer (<https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md>:
//! `timeout_on_sleeping_server`, `cancel_after_begin`), and their neighbours.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::time::Duration;

use futures_util::poll;
use rpc_client::{Client, Error};
use rpc_core::Executed;
use tests::{Args, Frame, Gate, Raw, arith, eventually, join, pipe, raw_server, within};
use tokio::time::Instant;

const MS: Duration = Duration::from_millis(1);
const CANCELLED: u8 = 1;

async fn assert_serves(client: &Client) {
    let product: i64 = within(client.call("Arith.Multiply", &Args { a: 7, b: 8 })).await.unwrap();
    assert_eq!(product, 56);
}

/// Calls in flight and errors of `Gate.Pass`.
fn counts(server: &rpc_server::Server) -> (u64, u64) {
    let stats = server.stats();
    let gate = stats.iter().find(|one| (&*one.service, &*one.method) == ("Gate", "Pass")).unwrap();
    (gate.in_flight, gate.errors)
}

#[tokio::test(start_paused = true)]
async fn a_millisecond_for_a_handler_that_sleeps_is_a_deadline_exceeded() {
    let gate = Gate::new();
    let (client, server) = join(gate.register(arith())).await;
    let begun = Instant::now();
    let error = client.call::<_, i64>("Gate.Pass", 1).timeout(MS).await.unwrap_err();
    assert!(matches!(error, Error::DeadlineExceeded { executed: Executed::Maybe, .. }), "{error:?}");
    assert!((1..=2).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    gate.dropped().await;
    eventually("the call is over", || counts(&server) == (0, 1)).await;
    assert_serves(&client).await;
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_calls_with_deadlines_end_each_at_its_own() {
    let gate = Gate::new();
    let (client, _server) = join(gate.register(arith())).await;
    let begun = Instant::now();
    let calls = (1..=10_000_u32).map(|at| {
        let time = MS * (1 + at * 7919 % 2000);
        let call = client.call::<_, i64>("Gate.Pass", 1).timeout(time).into_future();
        async move {
            let error = call.await.unwrap_err();
            let late = begun.elapsed() - time;
            assert!(matches!(error, Error::DeadlineExceeded { .. }), "{error:?}");
            assert!(late <= MS * 2, "{time:?} and {late:?}");
        }
    });
    futures_util::future::join_all(calls).await;
    assert_serves(&client).await;
}

#[tokio::test(start_paused = true)]
async fn a_sooner_deadline_counts_though_a_later_one_was_set_before() {
    let gate = Gate::new();
    let (client, _server) = join(gate.register(arith())).await;
    let later = tokio::spawn(client.call::<_, i64>("Gate.Pass", 1).timeout(MS * 500).into_future());
    gate.entered().await;
    let begun = Instant::now();
    client.call::<_, i64>("Gate.Pass", 2).timeout(MS * 20).await.unwrap_err();
    assert!(begun.elapsed() <= MS * 22, "{:?}", begun.elapsed());
    later.await.unwrap().unwrap_err();
    assert!((499..=502).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_holds_though_the_server_takes_not_a_byte() {
    let (client, _raw) = raw_server(64, "").await;
    let begun = Instant::now();
    let large = vec![7_u8; 100_000];
    let first = client.call::<_, i64>("Any.Name", &large).timeout(MS * 300).into_future();
    let second = client.call::<_, i64>("Any.Name", 1).timeout(MS * 100).into_future();
    let (first, second) = tokio::join!(first, async {
        let error = second.await.unwrap_err();
        (error, begun.elapsed())
    });
    assert!(matches!(second.0, Error::DeadlineExceeded { .. }) && second.1 <= MS * 102, "{second:?}");
    assert!(matches!(first.unwrap_err(), Error::DeadlineExceeded { .. }));
    assert!(begun.elapsed() <= MS * 302, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_call_cancelled_as_soon_as_it_begun_ends_on_both_sides() {
    let gate = Gate::new();
    let (client, server) = join(gate.register(arith())).await;
    drop(client.start::<i64>("Gate.Pass", 1));
    assert_serves(&client).await;
    eventually("nothing is in flight", || counts(&server).0 == 0).await;
    assert_eq!(gate.ran(), counts(&server).1 as usize, "what began was cancelled");
}

#[tokio::test]
async fn an_answer_that_crosses_its_cancel_is_dropped_and_frees_the_slot() {
    let (client, mut raw) = raw_server(4096, "Rpc-Max-Calls: 1\r\n").await;
    let mut call = client.call::<_, i64>("Any.Name", 1).into_future();
    assert!(poll!(&mut call).is_pending());
    let request = raw.frame().await;
    raw.send(&Frame::response(request.id, &5_i64)).await;
    drop(call);
    let next = tokio::spawn(client.call::<_, i64>("Any.Name", 2).into_future());
    let mut second = raw.frame().await;
    if second.kind == Frame::CANCEL {
        assert_eq!(second.id, request.id);
        second = raw.frame().await;
    }
    assert_eq!((second.kind, second.id > request.id), (Frame::REQUEST, true));
    raw.send(&Frame::response(second.id, &6_i64)).await;
    assert_eq!(within(next).await.unwrap().unwrap(), 6);
}

#[tokio::test]
async fn a_cancel_that_crosses_its_answer_is_harmless() {
    let server = arith().build().unwrap();
    let mut raw = Raw::enter(pipe(&server), "").await;
    for counter in 1..100 {
        let request = Frame::request(counter, "Arith.Multiply", &Args { a: 7, b: 8 });
        raw.send(&request).await;
        let answer = raw.frame().await;
        assert_eq!((answer.kind, answer.id), (Frame::RESPONSE, request.id));
        raw.send(&Frame::new(Frame::CANCEL, request.id, [])).await;
    }
}

#[tokio::test]
async fn a_call_cancelled_twice_gets_one_terminal_frame() {
    let gate = Gate::new();
    let server = gate.register(arith()).build().unwrap();
    let mut raw = Raw::enter(pipe(&server), "").await;
    let request = Frame::request(1, "Gate.Pass", &1_i64);
    raw.send(&request).await;
    gate.entered().await;
    for _ in 0..2 {
        raw.send(&Frame::new(Frame::CANCEL, request.id, [])).await;
    }
    let status = raw.frame().await;
    assert_eq!((status.id, status.status().0), (request.id, CANCELLED));
    raw.send(&Frame::request(2, "Arith.Multiply", &Args { a: 7, b: 8 })).await;
    assert_eq!(raw.frame().await.id, 2 << 16, "nothing more of the first");
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_time_is_up_and_that_is_dropped_then_is_cancelled_once() {
    let (client, mut raw) = raw_server(4096, "").await;
    let mut call = client.call::<_, i64>("Any.Name", 1).timeout(MS * 10).into_future();
    assert!(poll!(&mut call).is_pending());
    let request = raw.frame().await;
    let cancel = raw.frame().await;
    assert_eq!((cancel.kind, cancel.id), (Frame::CANCEL, request.id));
    // Its caller never heard of it.
    drop(call);
    let _next = client.start::<i64>("Any.Name", 2);
    assert_eq!(raw.frame().await.kind, Frame::REQUEST);
}
