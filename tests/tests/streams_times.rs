//! What time does to streams. The clock is stopped: what is measured is exact, but for the millisecond of the timer.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::time::Duration;

use futures_util::{StreamExt, stream};
use rpc_client::{Client, Error};
use rpc_core::{CancelReason, Code, Context, Executed, Service, Status, Streaming};
use tests::{Frame, Gate, Raw, arith, encoded, join, pipe, within};
use tokio::time::{Instant, sleep};

const MS: Duration = Duration::from_millis(1);
const MORE_AND_DEADLINE: u8 = 0x06;

/// `Held.Items`: items and then a closed gate. `Slow.Items`: each after a pause. `Slow.Open`: a pause before all.
fn service(gate: &Gate) -> [Service; 2] {
    let gate = gate.clone();
    let held = Service::new("Held").server_stream("Items", move |_: Context, count: i64| {
        let last = stream::once(gate.clone().pass(count));
        async move { Ok::<_, Status>(stream::iter(0..count).map(Ok::<_, Status>).chain(last)) }
    });
    let slow = Service::new("Slow")
        .server_stream("Items", |_: Context, pauses: Vec<u64>| async move {
            Ok::<_, Status>(stream::iter(pauses).then(|pause| async move {
                sleep(MS * u32::try_from(pause)?).await;
                Ok::<_, Status>(pause)
            }))
        })
        .server_stream("Open", |_: Context, pause: u64| async move {
            sleep(Duration::from_millis(pause)).await;
            Ok::<_, Status>(stream::iter([Ok::<_, Status>(pause)]))
        });
    [held, slow]
}

async fn joined(gate: &Gate) -> Client {
    let [held, slow] = service(gate);
    join(arith().register(held).register(slow)).await.0
}

fn assert_about(begun: Instant, expected: u64) {
    let elapsed = begun.elapsed().as_millis();
    assert!((u128::from(expected)..=u128::from(expected) + 2).contains(&elapsed), "{elapsed} and {expected}");
}

async fn last(mut items: Streaming<i64, Error>, count: i64) -> Error {
    for at in 0..count {
        assert_eq!(within(items.next()).await.unwrap().unwrap(), at);
    }
    let error = within(items.next()).await.unwrap().unwrap_err();
    assert!(within(items.next()).await.is_none());
    error
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_for_the_whole_stream_and_its_items_come_before_it() {
    let gate = Gate::new();
    let (client, begun) = (joined(&gate).await, Instant::now());
    let items = within(client.call_server_stream("Held.Items", 3i64).timeout(100 * MS)).await.unwrap();
    let error = last(items, 3).await;
    assert!(matches!(error, Error::DeadlineExceeded { executed: Executed::Maybe, .. }), "{error:?}");
    assert_about(begun, 100);
    gate.dropped().await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_stream_in_the_midst_of_its_items() {
    let (client, begun) = (joined(&Gate::new()).await, Instant::now());
    let call = client.call_server_stream::<_, u64>("Slow.Items", vec![30u64; 100]).timeout(100 * MS);
    let items: Vec<_> = within(within(call).await.unwrap().collect()).await;
    assert_eq!(items.len(), 4);
    assert!(matches!(items[3], Err(Error::DeadlineExceeded { .. })), "{:?}", items[3]);
    assert_about(begun, 100);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_call_whose_answer_does_not_begin() {
    let (client, begun) = (joined(&Gate::new()).await, Instant::now());
    let call = client.call_server_stream::<_, u64>("Slow.Open", 1000u64).timeout(100 * MS);
    let error = within(call).await.unwrap_err();
    assert!(matches!(error, Error::DeadlineExceeded { executed: Executed::Maybe, .. }), "{error:?}");
    assert_about(begun, 100);
}

#[tokio::test(start_paused = true)]
async fn a_server_ends_a_stream_whose_time_is_up_without_being_told() {
    let gate = Gate::new();
    let [held, _] = service(&gate);
    let server = arith().register(held).build().unwrap();
    let mut raw = Raw::enter(pipe(&server), "").await;
    let begun = Instant::now();
    let mut request = Frame::request(1, "Held.Items", &1i64);
    request.flags |= MORE_AND_DEADLINE;
    let name_end = request.body.len() - encoded(&1i64).len();
    request.body.splice(name_end..name_end, 100_000u64.to_be_bytes());
    raw.send(&request).await;
    assert_eq!(raw.frame().await.kind, Frame::RESPONSE);
    assert_eq!(raw.frame().await.body, [&[0, 0, 0, 1][..], &encoded(&0i64)].concat());
    let (code, executed, _) = raw.frame().await.status();
    assert_eq!((code, executed), (Code::DeadlineExceeded.to_wire(), 2));
    assert_about(begun, 100);
    gate.dropped().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_gets_no_more_time_than_the_server_gives() {
    let gate = Gate::new();
    let [held, _] = service(&gate);
    let (client, _server) = join(arith().register(held).call_timeout(100 * MS)).await;
    let begun = Instant::now();
    let items = within(client.call_server_stream("Held.Items", 3i64)).await.unwrap();
    let error = last(items, 3).await;
    assert_eq!(error.status().unwrap().code(), Code::DeadlineExceeded);
    assert_about(begun, 100);
}

#[tokio::test(start_paused = true)]
async fn the_time_for_an_item_begins_anew_with_each_and_ends_the_call() {
    let (client, begun) = (joined(&Gate::new()).await, Instant::now());
    let call = client.call_server_stream::<_, u64>("Slow.Items", vec![90u64, 99, 90, 101]);
    let items: Vec<_> = within(within(call.idle_timeout(100 * MS)).await.unwrap().collect()).await;
    assert_eq!(items.len(), 4);
    let error = items[3].as_ref().unwrap_err();
    assert!(matches!(error, Error::Idle { after, .. } if *after == 100 * MS), "{error:?}");
    assert_eq!(error.executed(), Executed::Maybe);
    // 279 for three items, and three timers that are up to a millisecond late.
    assert!((379..=385).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_dropped_when_no_item_came_in_time() {
    let gate = Gate::new();
    let client = joined(&gate).await;
    let call = client.call_server_stream("Held.Items", 2i64).idle_timeout(100 * MS);
    let error = last(within(call).await.unwrap(), 2).await;
    assert!(matches!(error, Error::Idle { .. }), "{error:?}");
    gate.dropped().await;
}

#[tokio::test(start_paused = true)]
async fn the_time_for_an_item_does_not_run_while_the_caller_is_busy_nor_before_the_answer_begins() {
    let client = joined(&Gate::new()).await;
    let call = client.call_server_stream::<_, u64>("Slow.Items", vec![1u64, 500, 1]).idle_timeout(600 * MS);
    let mut items = within(call).await.unwrap();
    for _ in 0..3 {
        sleep(5000 * MS).await;
        within(items.next()).await.unwrap().unwrap();
    }
    assert!(within(items.next()).await.is_none());
    let call = client.call_server_stream::<_, u64>("Slow.Open", 5000u64).idle_timeout(600 * MS);
    let items: Vec<_> = within(within(call).await.unwrap().collect()).await;
    assert!(matches!(items[..], [Ok(5000)]), "{items:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_made_within_a_call_that_is_given_up_is_given_up_with_it() {
    let gate = Gate::new();
    let client = joined(&gate).await;
    let parent = Context::detached("Any.Name");
    let mut items = within(client.call_server_stream("Held.Items", 1i64).within(&parent)).await.unwrap();
    assert_eq!(within(items.next()).await.unwrap().unwrap(), 0);
    gate.entered().await;
    let ending = tokio::spawn(async move {
        let error: Option<Result<i64, Error>> = items.next().await;
        error.unwrap().unwrap_err()
    });
    tokio::task::yield_now().await;
    parent.cancel(CancelReason::Caller);
    let error = within(ending).await.unwrap();
    assert!(matches!(error, Error::Cancelled { executed: Executed::Maybe, .. }), "{error:?}");
    gate.dropped().await;
    let call = client.call_server_stream::<_, i64>("Held.Items", 1i64).within(&parent);
    let error = within(call).await.unwrap_err();
    assert!(matches!(error, Error::Cancelled { executed: Executed::No, .. }), "{error:?}");
    assert_eq!(gate.ran(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_outlasts_its_connections_age_and_grace_is_told_so() {
    let gate = Gate::new();
    let [held, _] = service(&gate);
    let builder = arith().register(held).max_connection_age(1000 * MS).grace(200 * MS).seed(1);
    let (client, _server) = join(builder).await;
    let begun = Instant::now();
    let items = within(client.call_server_stream("Held.Items", 3i64)).await.unwrap();
    let error = last(items, 3).await;
    assert_eq!(error.status().unwrap().code(), Code::Unavailable);
    assert!((1100..=1305).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    gate.dropped().await;
}
