//! The times that a server gives frames and calls: each is over when it was set to, and not before.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::future::IntoFuture;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rpc_client::{Client, Connector, Error};
use rpc_core::{CancelReason, Code, Context, Executed, Execution, Service, Status};
use rpc_server::{Builder, ConnectionError, Server};
use tests::{Args, Blocker, Frame, Gate, Raw, arith, decoded, eventually, join, pipe, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, split};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const PROTOCOL: u8 = 1;

type Served = JoinHandle<Result<(), ConnectionError>>;

/// A client that was let in.
async fn enter(builder: Builder) -> (Raw<DuplexStream>, Server, Served) {
    let server = builder.build().unwrap();
    let (near, far) = tokio::io::duplex(64 * 1024);
    let serving = server.clone();
    let served = tokio::spawn(async move { serving.serve_connection(far).await });
    (Raw::enter(near, "").await, server, served)
}

/// A frame that is skipped, in two halves.
fn halves() -> (Vec<u8>, Vec<u8>) {
    let mut first = Frame::new(0x80, 0, [7; 10]).to_bytes();
    let second = first.split_off(9);
    (first, second)
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_a_byte_now_and_then_is_sent_away_after_a_minute() {
    let gate = Gate::new();
    let (mut raw, server, served) = enter(gate.register(arith())).await;
    raw.send(&Frame::request(1, "Gate.Pass", &1i64)).await;
    gate.entered().await;
    let begun = Instant::now();
    let large = Frame::request(2, "Gate.Pass", &vec![0u8; 1000]).to_bytes();
    for byte in &large[..6] {
        raw.say(&[*byte]).await;
        sleep(10 * SECOND - SECOND / 1000).await;
    }
    assert_eq!((server.connections(), served.is_finished()), (1, false));
    let go_away = raw.frame().await;
    assert_eq!((go_away.kind, go_away.id, go_away.body[0]), (Frame::GO_AWAY, 1 << 16, PROTOCOL));
    assert_eq!(String::from_utf8_lossy(&go_away.body[1..]), "a frame did not arrive whole within 60s");
    let took = begun.elapsed();
    assert!(took >= MINUTE && took < MINUTE + SECOND / 100, "{took:?}");
    gate.dropped().await;
    assert_eq!(raw.next().await, None);
    drop(raw);
    let error = within(served).await.unwrap().unwrap_err();
    assert!(matches!(error, ConnectionError::FrameTimeout { after } if after == MINUTE), "{error:?}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_large_frame_that_takes_its_time_is_served_and_one_that_takes_longer_is_not() {
    let length = |_: Context, bytes: Vec<u8>| async move { Ok::<_, Status>(bytes.len() as u64) };
    for (pause, arrives) in [(3 * SECOND, true), (4 * SECOND, false)] {
        let (mut raw, _server, served) = enter(arith().register_fn("Take.Bytes", length)).await;
        let bytes = Frame::request(1, "Take.Bytes", &vec![0u8; 1 << 20]).to_bytes();
        for piece in bytes.chunks(bytes.len().div_ceil(17)) {
            if raw.0.write_all(piece).await.is_ok() {
                sleep(pause).await;
            }
        }
        let answer = raw.frame().await;
        match arrives {
            true => assert_eq!(decoded::<u64>(&answer.body), 1 << 20),
            false => assert_eq!((answer.kind, served.is_finished()), (Frame::GO_AWAY, true)),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_frame_has_the_whole_time() {
    let (mut raw, _server, served) = enter(arith().frame_timeout(7 * SECOND).ping_interval(None)).await;
    let (first, second) = halves();
    raw.say(&first).await;
    for _ in 0..20 {
        sleep(SECOND * 69 / 10).await;
        raw.say(&[&second[..], &first].concat()).await;
    }
    sleep(SECOND * 69 / 10).await;
    raw.say(&second).await;
    sleep(100 * SECOND).await;
    assert!(!served.is_finished(), "nothing has begun to arrive");
    raw.say(&[&first[..], &second, &first].concat()).await;
    let begun = Instant::now();
    assert_eq!(raw.frame().await.kind, Frame::GO_AWAY);
    assert_eq!(begun.elapsed().as_secs(), 7);
}

/// Once while frames are at hand that are not taken, once with nothing at hand but its own beginning.
#[tokio::test(start_paused = true)]
async fn the_time_of_a_frame_does_not_run_while_the_server_reads_nothing() {
    let reply = |_: Context, wait: u64| async move {
        sleep(wait as u32 * SECOND).await;
        Ok::<_, Status>(vec![7u8; 64 * 1024])
    };
    for wait in [0, 1] {
        let builder = arith().output_mark(1024).write_timeout(Duration::MAX).ping_interval(None);
        let (mut raw, server, _served) = enter(builder.register_fn("Large.Reply", reply)).await;
        let mut bytes = Vec::new();
        for counter in 1..=3 {
            bytes.extend(Frame::request(counter, "Large.Reply", &(wait * counter)).to_bytes());
        }
        let (first, second) = halves();
        raw.say(&[&bytes[..], &first].concat()).await;
        sleep(600 * SECOND).await;
        assert_eq!(server.connections(), 1);
        for _ in 0..3 {
            assert_eq!(raw.frame().await.kind, Frame::RESPONSE);
        }
        sleep(MINUTE - SECOND / 100).await;
        raw.say(&second).await;
        raw.send(&Frame::request(4, "Arith.Multiply", &Args { a: 7, b: 8 })).await;
        assert_eq!(decoded::<i64>(&raw.frame().await.body), 56, "wait {wait}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_closed_its_side_inside_a_frame_has_its_calls_served() {
    let gate = Gate::new();
    let (mut raw, _server, served) = enter(gate.register(arith())).await;
    raw.send(&Frame::request(1, "Gate.Pass", &1i64)).await;
    gate.entered().await;
    raw.say(&halves().0).await;
    raw.0.shutdown().await.unwrap();
    sleep(300 * SECOND).await;
    gate.open(1);
    assert_eq!(raw.call_frame().await.unwrap().kind, Frame::RESPONSE);
    assert!(matches!(within(served).await.unwrap(), Err(ConnectionError::Io(_))));
}

fn gated(gate: &Gate, execution: Execution) -> Builder {
    arith().register(Service::new("Gate").with(gate.method("Pass").execution(execution)))
}

#[tokio::test(start_paused = true)]
async fn a_handler_gets_no_more_time_than_the_server_gives() {
    for execution in [Execution::Inline, Execution::Spawn] {
        let gate = Gate::new();
        let (client, server) = join(gated(&gate, execution).call_timeout(5 * SECOND)).await;
        let call = client.start::<i64>("Gate.Pass", 1);
        gate.entered().await;
        let begun = Instant::now();
        let error = within(call).await.unwrap_err();
        let took = begun.elapsed();
        assert!(took >= 5 * SECOND && took < 5 * SECOND + SECOND / 100, "{took:?}");
        let status = error.status().unwrap();
        assert_eq!((status.code(), status.executed()), (Code::DeadlineExceeded, Executed::Yes));
        assert_eq!(status.message(), "the server gives a call no more than 5s");
        gate.dropped().await;
        let over = || server.stats().iter().all(|stats| stats.in_flight == 0);
        eventually("nothing is left of it", over).await;
        let product: i64 = within(client.call("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap();
        assert_eq!((product, server.connections()), (56, 1));
    }
}

/// The clock does not stop for blocking work, so this one takes what time it takes.
#[tokio::test]
async fn a_blocking_handler_learns_of_the_servers_limit_as_of_a_deadline() {
    let (blocker, service) = Blocker::new();
    let (client, server) = join(arith().register(service).call_timeout(SECOND / 5)).await;
    let call = client.start::<()>("Block.Wait", ());
    blocker.entered().await;
    assert_eq!(blocker.given_up().await, CancelReason::Deadline);
    let in_flight = || server.stats().iter().map(|stats| stats.in_flight).sum::<u64>();
    assert_eq!(in_flight(), 1, "it holds its slot until it has ended");
    blocker.release();
    let error = within(call).await.unwrap_err();
    assert_eq!(error.status().unwrap().message(), "the server gives a call no more than 200ms");
    eventually("nothing is left of it", || in_flight() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn the_earlier_of_the_clients_deadline_and_the_servers_limit_ends_a_call() {
    for (asked, limit) in [(3, 5), (5, 3)] {
        let gate = Gate::new();
        let (client, _server) = join(gate.register(arith()).call_timeout(limit * SECOND)).await;
        let begun = Instant::now();
        let call = client.call::<_, i64>("Gate.Pass", 1).timeout(asked * SECOND);
        let error = within(call).await.unwrap_err();
        assert_eq!(begun.elapsed().as_secs(), 3);
        match asked {
            3 => assert!(matches!(error, Error::DeadlineExceeded { .. }), "{error:?}"),
            _ => assert_eq!(error.status().unwrap().code(), Code::DeadlineExceeded),
        }
        gate.dropped().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_sees_the_earlier_of_both_times_as_its_deadline() {
    let left = |cx: Context, (): ()| async move {
        let left = cx.deadline().map(|at| at.duration_since(Instant::now().into_std()).as_secs_f64());
        Ok::<_, Status>(left.map(f64::round))
    };
    let (client, _server) = join(arith().register_fn("Time.Left", left).call_timeout(50 * SECOND)).await;
    for (asked, seen) in [(None, 50.0), (Some(90), 50.0), (Some(20), 20.0)] {
        let call = client.call::<_, Option<f64>>("Time.Left", ());
        let call = match asked {
            Some(seconds) => call.timeout(seconds * SECOND),
            None => call,
        };
        assert_eq!(within(call).await.unwrap(), Some(seen), "{asked:?}");
    }
}

/// A server that was told the client's own deadline says so, and not that it was its own.
#[tokio::test(start_paused = true)]
async fn a_call_is_told_whose_time_was_over() {
    let gate = Gate::new();
    let (mut raw, _server, _served) = enter(gate.register(arith()).call_timeout(MINUTE)).await;
    let mut request = Frame::request(1, "Gate.Pass", &1i64);
    let name = 10 + 1 + "Gate.Pass".len();
    request.flags |= 0x02;
    request.body.splice(name..name, 1_000_000u64.to_be_bytes());
    let end = Instant::now() + SECOND;
    raw.send(&request).await;
    let (code, _, message) = raw.frame().await.status();
    assert_eq!((code, message.as_str()), (Code::DeadlineExceeded.to_wire(), "the call's deadline passed"));
    assert!(Instant::now() >= end);
}

/// Carries a kilobyte a second from its clients.
struct Slow(Server, Arc<AtomicUsize>);

impl Connector for Slow {
    type Io = DuplexStream;

    async fn connect(&self) -> io::Result<DuplexStream> {
        self.1.fetch_add(1, Ordering::Relaxed);
        let (near, link) = tokio::io::duplex(1024);
        let ((mut from, mut to), (mut answers, mut requests)) = (split(link), split(pipe(&self.0)));
        tokio::spawn(async move {
            let _ = tokio::io::copy(&mut answers, &mut to).await;
            to.shutdown().await
        });
        tokio::spawn(async move {
            let mut kilobyte = [0; 1024];
            while let Ok(count @ 1..) = from.read(&mut kilobyte).await
                && requests.write_all(&kilobyte[..count]).await.is_ok()
            {
                sleep(SECOND).await;
            }
            requests.shutdown().await
        });
        Ok(near)
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_server_finds_too_slow_is_sent_five_times_and_no_more() {
    for builder in [arith(), arith().frame_timeout(Duration::MAX).max_connection_age(MINUTE)] {
        let server = builder.build().unwrap();
        let dials = Arc::new(AtomicUsize::new(0));
        let client = Client::builder().seed(1).lazy_with(Slow(server, dials.clone()), "slow:1");
        let call = client.call::<_, ()>("Arith.Multiply", vec![0_u8; 200_000]);
        let error = timeout(60 * MINUTE, call.into_future()).await.unwrap().unwrap_err();
        assert!(matches!(error, Error::ConnectionLost { executed: Executed::No, .. }), "{error:?}");
        let dials = dials.load(Ordering::Relaxed);
        assert!((5..=6).contains(&dials), "{dials} dials");
    }
}

/// A handler that blocks its thread, and a frame behind it that has come whole meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_time_that_handlers_take_is_no_time_of_the_frame_behind_them() {
    let block = |_: Context, _: i64| async {
        std::thread::sleep(Duration::from_millis(300));
        Ok::<_, Status>(1_i64)
    };
    let take = |_: Context, bytes: Vec<u8>| async move { Ok::<_, Status>(bytes.len()) };
    let builder = arith().register_fn("Some.Block", block).register_fn("Take.Bytes", take);
    let server = builder.frame_timeout(Duration::from_millis(100)).build().unwrap();
    let (near, far) = tokio::io::duplex(8 << 20);
    let served = tokio::spawn(async move { server.serve_connection(far).await });
    let mut raw = Raw::enter(near, "").await;
    let mut both = Frame::request(1, "Some.Block", &1_i64).to_bytes();
    both.extend(Frame::request(2, "Take.Bytes", &vec![0_u8; 3 << 20]).to_bytes());
    raw.say(&both).await;
    for _ in 0..2 {
        assert_eq!(raw.frame().await.kind, Frame::RESPONSE);
    }
    drop(raw);
    within(served).await.unwrap().unwrap();
}
