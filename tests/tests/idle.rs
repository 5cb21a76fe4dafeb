//! Connections that nobody uses: when their server ends them, and what that is to their clients.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rpc_client::{Client, ConnectionState, Connector, Error};
use rpc_core::{Context, Status};
use rpc_server::{Builder, Server};
use tests::{Args, Frame, Gate, Lines, Raw, arith, decoded, eventually, listen, pipe, within};
use tokio::io::{AsyncReadExt, DuplexStream};
use tokio::time::{Instant, sleep, timeout};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const IDLE: u8 = 5;

/// Connections may be unused for ten seconds, and nobody asks whether the client is there.
fn resting(builder: Builder) -> Builder {
    builder.idle_timeout(10 * SECOND).ping_interval(None)
}

/// Nothing comes for so long, and then the GoAway, which names the last call.
async fn assert_told_after(raw: &mut Raw<DuplexStream>, time: Duration, last: u64) {
    let early = timeout(time - 10 * MS, raw.0.read_u8()).await;
    assert!(early.is_err(), "{early:?}");
    let begun = Instant::now();
    let go_away = raw.frame().await;
    assert_eq!((go_away.kind, go_away.id, go_away.body[0]), (Frame::GO_AWAY, last << 16, IDLE));
    assert_eq!(String::from_utf8_lossy(&go_away.body[1..]), "the connection was not used for 10s");
    assert!(begun.elapsed() <= 12 * MS, "{:?} too late", begun.elapsed());
    assert_eq!(raw.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_nobody_uses_is_closed_in_good_order_after_the_time() {
    let server = resting(arith()).build().unwrap();
    let (near, far) = tokio::io::duplex(1024);
    let serving = server.clone();
    let served = tokio::spawn(async move { serving.serve_connection(far).await });
    let mut raw = Raw::enter(near, "").await;
    assert_told_after(&mut raw, 10 * SECOND, 0).await;
    drop(raw);
    within(served).await.unwrap().unwrap();
    assert_eq!(server.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn by_default_a_connection_may_be_unused_for_ever() {
    for builder in [arith(), resting(arith()).idle_timeout(None), arith().idle_timeout(Duration::MAX)] {
        let mut raw = Raw::enter(pipe(&builder.ping_interval(None).build().unwrap()), "").await;
        sleep(30 * 24 * 3600 * SECOND).await;
        raw.send(&Frame::request(1, "Arith.Multiply", &Args { a: 7, b: 8 })).await;
        assert_eq!(decoded::<i64>(&raw.frame().await.body), 56);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_with_a_call_in_flight_is_used_and_its_time_begins_when_that_ends() {
    let gate = Gate::new();
    let mut raw = Raw::enter(pipe(&resting(gate.register(arith())).build().unwrap()), "").await;
    raw.send(&Frame::request(1, "Gate.Pass", &1i64)).await;
    gate.entered().await;
    sleep(3600 * SECOND).await;
    gate.open(1);
    assert_eq!(raw.frame().await.kind, Frame::RESPONSE);
    assert_told_after(&mut raw, 10 * SECOND, 1).await;
}

#[tokio::test(start_paused = true)]
async fn every_call_begins_the_time_anew_and_pings_do_not() {
    let mut raw = Raw::enter(pipe(&resting(arith()).build().unwrap()), "").await;
    for counter in 1..=20 {
        sleep(9 * SECOND).await;
        // Refused or answered.
        let method = if counter % 2 == 0 { "Arith.Multiply" } else { "No.Method" };
        raw.send(&Frame::request(counter, method, &Args { a: 7, b: 8 })).await;
        raw.frame().await;
    }
    for token in 0..9 {
        sleep(SECOND).await;
        raw.send(&Frame::new(Frame::PING, token, [])).await;
        assert_eq!(raw.frame().await, Frame::new(Frame::PONG, token, []));
    }
    assert_told_after(&mut raw, SECOND, 20).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_on_which_a_request_comes_in_is_used() {
    let mut raw = Raw::enter(pipe(&resting(arith()).build().unwrap()), "").await;
    let request = Frame::request(1, "Arith.Multiply", &Args { a: 7, b: 8 }).to_bytes();
    sleep(9 * SECOND).await;
    raw.say(&request[..10]).await;
    sleep(30 * SECOND).await;
    raw.say(&request[10..]).await;
    assert_eq!(decoded::<i64>(&raw.frame().await.body), 56);
    // What comes in may be no request.
    let ping = Frame::new(Frame::PING, 7, []).to_bytes();
    sleep(9 * SECOND).await;
    raw.say(&ping[..10]).await;
    sleep(9 * SECOND).await;
    raw.say(&ping[10..]).await;
    assert_eq!(raw.frame().await.kind, Frame::PONG);
    assert_eq!(raw.frame().await.kind, Frame::GO_AWAY);
}

async fn multiply(client: &Client) -> Result<i64, Error> {
    within(client.call("Arith.Multiply", &Args { a: 7, b: 8 })).await
}

#[tokio::test(start_paused = true)]
async fn a_client_rests_after_that_and_comes_back_at_its_next_call() {
    let (lines, server) = (Lines::default(), resting(arith()).build().unwrap());
    let client = Client::builder().seed(1).lazy_with(lines.clone(), "lines:1");
    for round in 1..=5 {
        lines.serve(&server);
        assert_eq!(multiply(&client).await.unwrap(), 56);
        assert_eq!(lines.dials().len(), round);
        sleep(9 * SECOND).await;
        assert!(matches!(client.state(), ConnectionState::Ready));
        sleep(2 * SECOND).await;
        assert!(matches!(client.state(), ConnectionState::Idle), "{:?}", client.state());
        assert_eq!(server.connections(), 0);
        sleep(3600 * SECOND).await;
        assert_eq!(lines.dials().len(), round, "nobody has called");
    }
    assert!(!client.is_closed());
    client.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_reconnect_is_closed_by_that() {
    let server = resting(arith()).build().unwrap();
    let client = Client::new(pipe(&server)).await.unwrap();
    sleep(11 * SECOND).await;
    assert!(client.is_closed());
    let error = multiply(&client).await.unwrap_err();
    assert!(error.to_string().contains("the connection was not used for 10s"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_ping_in_the_moment_of_the_end_goes_to_a_new_connection() {
    let lines = Lines::default();
    let (old, new) = (lines.lay(), lines.lay());
    let client = Client::builder().seed(1).lazy_with(lines.clone(), "lines:1");
    let pinging = tokio::spawn(async move { client.ping().await });
    let mut old = Raw::admit(old, "").await;
    assert_eq!(old.frame().await.kind, Frame::PING);
    old.send(&Frame::new(Frame::GO_AWAY, 0, [IDLE])).await;
    let mut new = Raw::admit(new, "").await;
    let ping = new.frame().await;
    new.send(&Frame::new(Frame::PONG, ping.id, [])).await;
    within(pinging).await.unwrap().unwrap();
}

/// Every dial reaches the server.
struct Always(Server, Arc<AtomicU64>);

impl Connector for Always {
    type Io = DuplexStream;

    async fn connect(&self) -> io::Result<DuplexStream> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Ok(pipe(&self.0))
    }
}

/// Counts what runs.
fn counting() -> (Builder, Arc<AtomicU64>) {
    let ran = Arc::new(AtomicU64::new(0));
    let counted = ran.clone();
    let count = move |_: Context, number: u64| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move { Ok::<_, Status>(number) }
    };
    (arith().register_fn("Some.Count", count), ran)
}

async fn race(client: &Client, rounds: u64, pauses: impl Fn(u64) -> Duration) {
    for number in 0..rounds {
        sleep(pauses(number)).await;
        let answer = within(client.call::<_, u64>("Some.Count", number)).await;
        assert_eq!(answer.unwrap(), number);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_in_the_moment_of_the_end_moves_to_a_new_connection_and_runs_once() {
    let (builder, ran) = counting();
    let server = builder.idle_timeout(50 * MS).build().unwrap();
    let dials = Arc::new(AtomicU64::new(0));
    let client = Client::builder().seed(1).lazy_with(Always(server.clone(), dials.clone()), "always:1");
    // Timers count in whole milliseconds: before, with and after the end.
    race(&client, 3000, |number| (48 + number as u32 % 5) * MS).await;
    assert_eq!(ran.load(Ordering::Relaxed), 3000);
    // Some calls came before the end, and some after.
    assert!((1000..2900).contains(&dials.load(Ordering::Relaxed)), "{dials:?} dials");
    drop(client);
    eventually("nothing is left", || server.connections() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_over_tcp_that_race_with_the_end_all_succeed() {
    let (builder, ran) = counting();
    let (address, server) = listen(builder.idle_timeout(10 * MS)).await;
    let racing = (0..4_u32).map(|task| async move {
        let client = Client::builder().lazy(address);
        race(&client, 50, |number| 9 * MS + (task + number as u32 % 20) * MS / 8).await;
        client.close().await.unwrap();
    });
    let racing = racing.map(tokio::spawn).collect::<Vec<_>>();
    for task in racing {
        task.await.unwrap();
    }
    assert_eq!(ran.load(Ordering::Relaxed), 200);
    eventually("nothing is left", || server.connections() == 0).await;
}
