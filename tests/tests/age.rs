//! Connections that reach the largest age a server gives them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::time::Duration;

use rpc_client::Client;
use rpc_core::{CancelReason, Code, Context, Executed, Status};
use rpc_server::{Builder, Server};
use tests::{Frame, Gate, Raw, arith, decoded, eventually, pipe, within};
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);
const AGE: Duration = Duration::from_secs(50);
const CONNECTION_AGE: u8 = 4;

/// Connections get 45 to 55 s old and nobody asks whether the client is there.
fn aging(builder: Builder) -> Builder {
    builder.max_connection_age(AGE).ping_interval(None).grace(20 * SECOND).seed(1)
}

async fn enter_and_call(server: &Server, gate: &Gate) -> Raw<DuplexStream> {
    let mut raw = Raw::enter(pipe(server), "").await;
    raw.send(&Frame::request(1, "Gate.Pass", &1i64)).await;
    gate.entered().await;
    raw
}

/// Waits for the GoAway, which names the last call; how long it took.
async fn told_to_go(raw: &mut Raw<DuplexStream>, last: u64) -> Duration {
    let begun = Instant::now();
    sleep(AGE / 10 * 9 - SECOND / 1000).await;
    let go_away = raw.frame().await;
    assert_eq!((go_away.kind, go_away.id, go_away.body[0]), (Frame::GO_AWAY, last << 16, CONNECTION_AGE));
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn an_idle_client_is_told_to_go_at_the_age_and_the_connection_closes() {
    let server = aging(arith()).build().unwrap();
    let mut raw = Raw::enter(pipe(&server), "").await;
    let age = told_to_go(&mut raw, 0).await;
    assert!(age >= AGE / 10 * 9 - SECOND / 100 && age <= AGE / 10 * 11 + SECOND / 100, "{age:?}");
    assert_eq!(raw.next().await, None);
    drop(raw);
    eventually("the connection is over", || server.connections() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_finish_and_later_ones_are_ignored() {
    let gate = Gate::new();
    let server = aging(gate.register(arith())).build().unwrap();
    let mut raw = enter_and_call(&server, &gate).await;
    told_to_go(&mut raw, 1).await;
    raw.send(&Frame::request(2, "Gate.Pass", &2i64)).await;
    sleep(19 * SECOND).await;
    gate.open(2);
    let answer = raw.frame().await;
    assert_eq!((answer.kind, decoded::<i64>(&answer.body)), (Frame::RESPONSE, 1));
    assert_eq!(raw.next().await, None);
    assert_eq!(gate.ran(), 1);
}

#[tokio::test(start_paused = true)]
async fn calls_that_outlast_the_grace_are_cancelled_and_their_callers_told_why() {
    let (sent, mut reasons) = mpsc::unbounded_channel();
    let watch = move |cx: Context, (): ()| {
        let sent = sent.clone();
        tokio::spawn({
            let cx = cx.clone();
            async move { sent.send(cx.cancelled().await) }
        });
        async move {
            std::future::pending::<()>().await;
            Ok::<_, Status>(())
        }
    };
    let server = aging(arith()).register_fn("Watch.End", watch).build().unwrap();
    let client = within(Client::new(pipe(&server))).await.unwrap();
    let call = client.start::<()>("Watch.End", ());
    let begun = Instant::now();
    let error = tokio::time::timeout(2 * AGE, call).await.unwrap().unwrap_err();
    let status = error.status().unwrap();
    assert_eq!((status.code(), status.executed()), (Code::Unavailable, Executed::Yes));
    assert_eq!(status.message(), "the connection reached its largest age before the call ended");
    assert_eq!(within(reasons.recv()).await, Some(CancelReason::ConnectionAge));
    let lasted = begun.elapsed();
    assert!(lasted >= 65 * SECOND - SECOND / 100 && lasted <= 75 * SECOND + SECOND / 100, "{lasted:?}");
    eventually("the connection is over", || server.connections() == 0).await;
}

/// The ages of ten connections, one after the other.
async fn ages(seed: u64) -> Vec<Duration> {
    let server = aging(arith()).seed(seed).build().unwrap();
    let mut ages = Vec::new();
    for _ in 0..10 {
        let mut raw = Raw::enter(pipe(&server), "").await;
        ages.push(told_to_go(&mut raw, 0).await);
    }
    ages
}

#[tokio::test(start_paused = true)]
async fn ages_differ_from_each_other_and_the_seed_decides_how() {
    let first = ages(7).await;
    assert_eq!(first, ages(7).await);
    assert_ne!(first, ages(8).await);
    let (least, most) = (first.iter().min().unwrap(), first.iter().max().unwrap());
    assert!(*most - *least > AGE / 20, "{first:?}");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_a_connection_that_drains_for_its_age() {
    let gate = Gate::new();
    let server = aging(gate.register(arith())).build().unwrap();
    let mut raw = enter_and_call(&server, &gate).await;
    told_to_go(&mut raw, 1).await;
    let ending = server.clone();
    let report = tokio::spawn(async move { ending.shutdown(5 * SECOND).await });
    let begun = Instant::now();
    let (code, _, message) = raw.call_frame().await.unwrap().status();
    assert_eq!(code, Code::Unavailable.to_wire());
    assert_eq!(message, "the server shut down before the call ended");
    assert_eq!(begun.elapsed().as_secs(), 5);
    drop(raw);
    let report = within(report).await.unwrap();
    assert_eq!((report.connections, report.finished, report.cancelled), (1, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn the_grace_of_an_old_connection_ends_within_a_longer_one_of_a_shutdown() {
    let gate = Gate::new();
    let server = aging(gate.register(arith())).build().unwrap();
    let mut raw = enter_and_call(&server, &gate).await;
    told_to_go(&mut raw, 1).await;
    let ending = server.clone();
    let report = tokio::spawn(async move { ending.shutdown(1000 * SECOND).await });
    sleep(19 * SECOND).await;
    let (_, _, message) = raw.call_frame().await.unwrap().status();
    assert_eq!(message, "the connection reached its largest age before the call ended");
    drop(raw);
    let report = within(report).await.unwrap();
    assert_eq!((report.finished, report.cancelled), (0, 1));
}
