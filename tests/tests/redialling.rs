//! When a client without a connection dials, what calls do meanwhile, and who is told.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::time::Duration;

use rpc_client::{Builder, Client, ConnectError, ConnectionState, Error, StateWatch};
use rpc_core::Executed;
use tests::{Args, Frame, Lines, Raw, arith, eventually, within};
use tokio::time::{Instant, sleep, timeout};

const MS: Duration = Duration::from_millis(1);

fn builder() -> Builder {
    Client::builder().seed(1)
}

async fn multiply(client: &Client) -> Result<i64, Error> {
    within(client.call("Arith.Multiply", &Args { a: 7, b: 8 })).await
}

/// Waits in milliseconds between dials.
fn waits(dials: &[Instant]) -> Vec<f64> {
    dials.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64() * 1000.0).collect()
}

#[tokio::test(start_paused = true)]
async fn the_waits_grow_by_1_6_and_vary_by_a_fifth_up_to_the_longest() {
    let lines = Lines::default();
    let client = builder().backoff(100 * MS, 2000 * MS).lazy_with(lines.clone(), "lines:1");
    multiply(&client).await.unwrap_err();
    sleep(30_000 * MS).await;
    let mut middle = 100.0_f64;
    let waits = waits(&lines.dials());
    for wait in &waits {
        // The timer counts in whole milliseconds.
        assert!((middle * 0.8..=middle * 1.2 + 1.0).contains(wait), "{wait} beside {middle}: {waits:?}");
        middle = (middle * 1.6).min(2000.0);
    }
    assert!(waits.len() > 15, "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_connection_that_lasted_the_next_is_dialled_at_once_and_the_waits_begin_anew() {
    let (lines, server) = (Lines::default(), arith().build().unwrap());
    let client = builder().lazy_with(lines.clone(), "lines:1");
    multiply(&client).await.unwrap_err();
    sleep(5000 * MS).await;
    let line = lines.serve(&server);
    eventually("it is connected", || matches!(client.state(), ConnectionState::Ready)).await;
    sleep(20_000 * MS).await;
    let (before, cut) = (lines.dials().len(), Instant::now());
    line.abort();
    sleep(300 * MS).await;
    let dials = lines.dials();
    assert_eq!(dials[before], cut);
    assert!((80.0..=121.0).contains(&waits(&dials[before..])[0]), "{dials:?}");
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_every_connection_that_lasted_is_followed_at_once() {
    let (lines, server) = (Lines::default(), arith().build().unwrap());
    let client = builder().backoff(100 * MS, 5000 * MS).lazy_with(lines.clone(), "lines:1");
    multiply(&client).await.unwrap_err();
    // By now the next wait is the longest.
    sleep(100_000 * MS).await;
    let mut line = lines.serve(&server);
    eventually("it is connected", || matches!(client.state(), ConnectionState::Ready)).await;
    for _ in 0..5 {
        sleep(2000 * MS).await;
        let (next, cut) = (lines.serve(&server), Instant::now());
        std::mem::replace(&mut line, next).abort();
        eventually("the connection is cut", || server.connections() < 2).await;
        assert_eq!(multiply(&client).await.unwrap(), 56);
        assert!(cut.elapsed() < 50 * MS, "{:?}", cut.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_lasts_from_when_it_is_made_however_long_its_dial_took() {
    let lines = Lines::default();
    for _ in 0..100 {
        let far = lines.lay();
        tokio::spawn(async move {
            let mut far = Raw(far);
            let _ = tests::read_head(&mut far.0).await;
            sleep(150 * MS).await;
            far.say(b"HTTP/1.0 200 Connected\r\n\r\n").await;
        });
    }
    let client = builder().lazy_with(lines.clone(), "lines:1");
    client.ping().await.unwrap_err();
    sleep(10_000 * MS).await;
    assert!(lines.dials().len() < 12, "{:?}", waits(&lines.dials()));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_connections_and_drops_them_is_not_hammered() {
    let (lines, server) = (Lines::default(), arith().build().unwrap());
    for _ in 0..100 {
        let far = lines.lay();
        tokio::spawn(async move { drop(Raw::admit(far, "").await) });
    }
    let client = builder().lazy_with(lines.clone(), "lines:1");
    client.ping().await.unwrap_err();
    sleep(10_000 * MS).await;
    assert!(lines.dials().len() < 12, "{:?}", waits(&lines.dials()));
    let ConnectionState::Failed(error) = client.state() else { panic!("{:?}", client.state()) };
    assert!(matches!(*error, ConnectError::Lost { .. }), "{error}");
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn a_call_made_after_a_failed_attempt_fails_at_once_with_its_reason() {
    let lines = Lines::default();
    let client = builder().lazy_with(lines.clone(), "lines:1");
    multiply(&client).await.unwrap_err();
    let (dials, begun) = (lines.dials().len(), Instant::now());
    let error = multiply(&client).await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    assert_eq!(
        (error.executed(), begun.elapsed(), lines.dials().len()),
        (Executed::No, Duration::ZERO, dials)
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_a_connection_is_made_once_there_is_one() {
    let (lines, server) = (Lines::default(), arith().build().unwrap());
    let client = builder().wait_for_ready(true).lazy_with(lines.clone(), "lines:1");
    let call = tokio::spawn(client.call::<_, i64>("Arith.Multiply", Args { a: 7, b: 8 }).into_future());
    sleep(7000 * MS).await;
    assert!(!call.is_finished());
    let _line = lines.serve(&server);
    assert_eq!(within(call).await.unwrap().unwrap(), 56);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_a_connection_ends_with_its_time_and_has_not_run() {
    let client = builder().wait_for_ready(true).lazy_with(Lines::default(), "lines:1");
    let begun = Instant::now();
    let call = client.call::<_, i64>("Any.Name", 1).timeout(3000 * MS);
    let error = within(call).await.unwrap_err();
    assert!(matches!(error, Error::DeadlineExceeded { executed: Executed::No, .. }), "{error:?}");
    assert_eq!(begun.elapsed(), 3000 * MS);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_the_calls_that_wait_for_a_connection() {
    let lines = Lines::default();
    let client = builder().wait_for_ready(true).lazy_with(lines.clone(), "lines:1");
    let call = tokio::spawn(client.call::<_, i64>("Any.Name", 1).into_future());
    sleep(1000 * MS).await;
    client.close().await.unwrap();
    let error = within(call).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Shutdown { executed: Executed::No, .. }), "{error:?}");
    let dials = lines.dials().len();
    sleep(100_000 * MS).await;
    assert_eq!(lines.dials().len(), dials);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_calls_on_connections_that_the_server_is_leaving_too() {
    let lines = Lines::default();
    let (old, new) = (lines.lay(), lines.lay());
    let client = builder().lazy_with(lines.clone(), "lines:1");
    let call = tokio::spawn(client.call::<_, i64>("Any.Name", 1).into_future());
    let mut old = Raw::admit(old, "").await;
    let request = old.frame().await;
    old.send(&Frame::new(Frame::GO_AWAY, request.id, [0])).await;
    let mut new = Raw::admit(new, "").await;
    client.close().await.unwrap();
    let error = within(call).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Shutdown { executed: Executed::Maybe, .. }), "{error:?}");
    assert_eq!(old.frame().await.kind, Frame::CANCEL);
    assert_eq!((old.next().await, new.next().await), (None, None));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_dialled_for_a_client_that_is_gone() {
    let lines = Lines::default();
    let client = builder().lazy_with(lines.clone(), "lines:1");
    multiply(&client).await.unwrap_err();
    drop(client);
    let dials = lines.dials().len();
    sleep(100_000 * MS).await;
    assert_eq!(lines.dials().len(), dials);
}

async fn reach(watch: &mut StateWatch, there: impl Fn(&ConnectionState) -> bool) {
    while !there(&within(watch.changed()).await.unwrap()) {}
}

#[tokio::test(start_paused = true)]
async fn the_state_can_be_watched() {
    let (lines, server) = (Lines::default(), arith().build().unwrap());
    let client = builder().lazy_with(lines.clone(), "lines:1");
    let mut watch = client.watch_state();
    assert!(matches!(watch.current(), ConnectionState::Idle));
    multiply(&client).await.unwrap_err();
    assert!(matches!(watch.changed().await, Some(ConnectionState::Failed(_))));
    let line = lines.serve(&server);
    reach(&mut watch, |state| matches!(state, ConnectionState::Ready)).await;
    sleep(1000 * MS).await;
    line.abort();
    reach(&mut watch, |state| matches!(state, ConnectionState::Connecting | ConnectionState::Failed(_)))
        .await;
    client.close().await.unwrap();
    assert!(matches!(watch.changed().await, Some(ConnectionState::Closed)));
    drop(client);
    assert!(timeout(MS, watch.changed()).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn the_loss_of_a_connection_that_none_follows_is_told_to_those_who_watch() {
    let (near, far) = tokio::io::duplex(4096);
    let far = tokio::spawn(Raw::admit(far, ""));
    let client = Client::new(near).await.unwrap();
    let mut watch = client.watch_state();
    assert!(matches!(watch.current(), ConnectionState::Ready));
    drop(far.await.unwrap());
    assert!(matches!(within(watch.changed()).await, Some(ConnectionState::Closed)));
}
