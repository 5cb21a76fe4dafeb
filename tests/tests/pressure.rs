//! What keeps a server's memory bounded. Paused time: a sleep ends when nothing else can go on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rpc_core::{Code, Context, Executed, Status};
use rpc_server::{Builder, ConnectionError, Server};
use tests::{Args, Frame, Gate, Raw, arith, join, pipe, within};
use tokio::io::{AsyncReadExt, DuplexStream};

const REPLY: usize = 64 * 1024;
const SECOND: Duration = Duration::from_secs(1);

/// A reply of 64 KiB that counts how often it was encoded, which is when it begins to take memory.
struct Large(Arc<AtomicUsize>);

impl serde::Serialize for Large {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.fetch_add(1, Ordering::Relaxed);
        serializer.serialize_bytes(&[7; REPLY])
    }
}

/// Adds a method that answers with it, and the count.
fn large_replies(builder: Builder) -> (Builder, Arc<AtomicUsize>) {
    let encoded = Arc::new(AtomicUsize::new(0));
    let counted = encoded.clone();
    let reply = move |_: Context, waits: bool| {
        let large = Large(counted.clone());
        async move {
            if waits {
                tokio::time::sleep(SECOND).await;
            }
            Ok::<_, Status>(large)
        }
    };
    (builder.register_fn("Large.Reply", reply), encoded)
}

/// Asks for so many replies without taking any.
async fn greedy(server: &Server, calls: u64, waits: bool) -> Raw<DuplexStream> {
    let mut raw = Raw::enter(pipe(server), "").await;
    for counter in 1..=calls {
        raw.send(&Frame::request(counter, "Large.Reply", &waits)).await;
    }
    raw
}

async fn assert_all_arrive(mut raw: Raw<DuplexStream>, calls: u64) {
    for _ in 0..calls {
        let reply = raw.frame().await;
        assert_eq!((reply.kind, reply.body.len() > REPLY), (Frame::RESPONSE, true));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_not_answered_above_the_output_mark() {
    let (builder, encoded) = large_replies(arith().output_mark(4 * REPLY));
    let raw = greedy(&builder.build().unwrap(), 500, false).await;
    tokio::time::sleep(SECOND).await;
    // What the pipe holds, the mark, and one more.
    assert!((4..=7).contains(&encoded.load(Ordering::Relaxed)), "{encoded:?}");
    assert_all_arrive(raw, 500).await;
    assert_eq!(encoded.load(Ordering::Relaxed), 500);
}

#[tokio::test(start_paused = true)]
async fn answers_of_handlers_that_waited_are_not_encoded_above_the_output_mark() {
    let (builder, encoded) = large_replies(arith().output_mark(4 * REPLY));
    let raw = greedy(&builder.build().unwrap(), 500, true).await;
    tokio::time::sleep(5 * SECOND).await;
    assert!((4..=7).contains(&encoded.load(Ordering::Relaxed)), "{encoded:?}");
    assert_all_arrive(raw, 500).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_disconnected_in_time() {
    let (builder, _) = large_replies(arith().write_timeout(3 * SECOND));
    let (server, (near, far)) = (builder.build().unwrap(), tokio::io::duplex(1024));
    let served = tokio::spawn(async move { server.serve_connection(far).await });
    let mut raw = Raw::enter(near, "").await;
    raw.send(&Frame::request(1, "Large.Reply", &false)).await;
    match within(served).await.unwrap() {
        Err(ConnectionError::Io(error)) => assert_eq!(error.kind(), io::ErrorKind::TimedOut),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_little_at_a_time_is_not_disconnected() {
    let (builder, _) = large_replies(arith().write_timeout(3 * SECOND));
    let (server, (near, far)) = (builder.build().unwrap(), tokio::io::duplex(1024));
    tokio::spawn(async move { server.serve_connection(far).await });
    let mut raw = Raw::enter(near, "").await;
    raw.send(&Frame::request(1, "Large.Reply", &false)).await;
    for _ in 0..REPLY / 1024 {
        tokio::time::sleep(2 * SECOND).await;
        within(raw.0.read_exact(&mut [0; 1024])).await.unwrap();
    }
}

#[tokio::test]
async fn a_call_beyond_the_servers_memory_is_refused_and_has_not_run() {
    let gate = Gate::new();
    // Each call counts for 1 KiB and its argument of one byte.
    let (client, _server) = join(gate.register(arith()).max_memory(2 * 1025)).await;
    let calls = [client.start::<i64>("Gate.Pass", 1), client.start::<i64>("Gate.Pass", 2)];
    let error = within(client.call::<_, i64>("Gate.Pass", 3)).await.unwrap_err();
    assert_eq!(error.status().unwrap().code(), Code::ResourceExhausted);
    assert_eq!(error.executed(), Executed::No);
    assert_eq!(gate.ran(), 2);
    gate.open(3);
    for call in calls {
        within(call).await.unwrap();
    }
    assert_eq!(within(client.call::<_, i64>("Gate.Pass", 3)).await.unwrap(), 3);
}

#[tokio::test]
async fn calls_beyond_the_limit_are_refused_and_who_does_not_listen_is_sent_away() {
    let gate = Gate::new();
    let server = gate.register(arith()).concurrency_limit_per_connection(2).build().unwrap();
    let mut raw = Raw::enter(pipe(&server), "").await;
    for counter in 1..=4 {
        raw.send(&Frame::request(counter, "Gate.Pass", &1i64)).await;
    }
    for counter in 3..=4u64 {
        let refusal = raw.frame().await;
        assert_eq!(refusal.id, counter << 16);
        let (code, executed, _) = refusal.status();
        assert_eq!((code, executed), (Code::ResourceExhausted.to_wire(), 0));
    }
    raw.send(&Frame::request(5, "Gate.Pass", &1i64)).await;
    let go_away = raw.frame().await;
    assert_eq!((go_away.kind, go_away.body[0]), (Frame::GO_AWAY, 3), "{go_away:?}");
    assert_eq!(raw.next().await, None);
    drop(raw);
    gate.dropped().await;
    gate.dropped().await;
}

#[tokio::test]
async fn one_connections_trouble_is_not_anothers() {
    let gate = Gate::new();
    let (builder, _) = large_replies(gate.register(arith()).concurrency_limit_per_connection(2));
    let (client, server) = join(builder).await;
    let full = [client.start::<i64>("Gate.Pass", 1), client.start::<i64>("Gate.Pass", 2)];
    let mut stuck = Raw::enter(pipe(&server), "").await;
    stuck.send(&Frame::request(1, "Large.Reply", &false)).await;
    stuck.send(&Frame::request(2, "Large.Reply", &false)).await;
    let other = within(rpc_client::Client::new(pipe(&server))).await.unwrap();
    let product: i64 = within(other.call("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap();
    assert_eq!(product, 56);
    drop(full);
}

#[tokio::test(start_paused = true)]
async fn a_write_timeout_may_be_for_ever() {
    let (builder, _) = large_replies(arith().write_timeout(Duration::MAX).ping_interval(None));
    let (server, (near, far)) = (builder.build().unwrap(), tokio::io::duplex(1024));
    let served = tokio::spawn(async move { server.serve_connection(far).await });
    let mut raw = Raw::enter(near, "").await;
    raw.send(&Frame::request(1, "Large.Reply", &false)).await;
    tokio::time::sleep(3600 * SECOND).await;
    assert!(!served.is_finished());
    let reply = raw.frame().await;
    assert_eq!((reply.kind, reply.body.len() > REPLY), (Frame::RESPONSE, true));
}

#[tokio::test]
async fn metadata_is_memory_of_its_call() {
    let gate = Gate::new();
    let (client, _server) = join(gate.register(arith()).max_memory(125 * 1024)).await;
    let call = |number: i64| client.call::<_, i64>("Gate.Pass", number).metadata("key", vec![7; 60_000]);
    let first = call(1).start();
    gate.entered().await;
    let second = call(2).start();
    gate.entered().await;
    let error = within(call(3)).await.unwrap_err();
    assert_eq!(error.status().unwrap().code(), Code::ResourceExhausted);
    gate.open(2);
    assert_eq!((within(first).await.unwrap(), within(second).await.unwrap()), (1, 2));
    assert_eq!(gate.ran(), 2);
}
