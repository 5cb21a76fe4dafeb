//! Listeners that fail: the server waits a little, tries again, and never gives up.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::collections::VecDeque;
use std::future::{IntoFuture, pending};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rpc_core::Peer;
use rpc_server::{Listener, TcpOptions};
use tests::{Raw, arith, within};
use tokio::io::DuplexStream;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Too many open files.
const EMFILE: i32 = 24;

/// What becomes of one attempt to accept.
enum Attempt {
    Fails(i32),
    Brings(DuplexStream),
}

/// A listener whose attempts were thought up beforehand, and when each was made.
struct Scripted {
    attempts: VecDeque<Attempt>,
    made: Arc<Mutex<Vec<Instant>>>,
    tuned: Arc<Mutex<Vec<Option<Duration>>>>,
}

impl Scripted {
    fn new(attempts: impl IntoIterator<Item = Attempt>) -> Self {
        Self { attempts: attempts.into_iter().collect(), made: Arc::default(), tuned: Arc::default() }
    }
}

impl Listener for Scripted {
    type Io = DuplexStream;

    async fn accept(&mut self) -> io::Result<(DuplexStream, Peer)> {
        self.made.lock().unwrap().push(Instant::now());
        match self.attempts.pop_front() {
            Some(Attempt::Fails(error)) => Err(io::Error::from_raw_os_error(error)),
            Some(Attempt::Brings(stream)) => Ok((stream, Peer::unknown())),
            None => pending().await,
        }
    }

    fn tune(&self, _: &DuplexStream, tcp: &TcpOptions) -> io::Result<()> {
        self.tuned.lock().unwrap().push(tcp.keepalive);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// The milliseconds between attempts.
fn pauses(made: &Mutex<Vec<Instant>>) -> Vec<u128> {
    made.lock().unwrap().windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect()
}

#[tokio::test(start_paused = true)]
async fn accepting_is_tried_again_after_5_ms_doubled_up_to_1_s_and_for_ever() {
    let (near, far) = tokio::io::duplex(1024);
    let (near_later, far_later) = tokio::io::duplex(1024);
    let failures = |count| (0..count).map(|_| Attempt::Fails(EMFILE));
    let script =
        failures(100).chain([Attempt::Brings(far)]).chain(failures(2)).chain([Attempt::Brings(far_later)]);
    let listener = Scripted::new(script);
    let made = listener.made.clone();
    tokio::spawn(arith().serve(listener).into_future());
    tokio::time::sleep(Duration::from_secs(100)).await;
    Raw::enter(near, "").await;
    Raw::enter(near_later, "").await;
    let mut expected = vec![5, 10, 20, 40, 80, 160, 320, 640];
    expected.resize(100, 1000);
    expected.extend([0, 5, 10, 0]);
    assert_eq!(pauses(&made), expected);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_went_away_before_it_was_accepted_makes_nobody_wait() {
    // ECONNABORTED on Linux.
    let listener = Scripted::new((0..10).map(|_| Attempt::Fails(103)));
    let made = listener.made.clone();
    tokio::spawn(arith().serve(listener).into_future());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(pauses(&made), [0; 10]);
}

#[tokio::test(start_paused = true)]
async fn the_signal_ends_a_server_that_waits_to_accept_again() {
    let (signal, listener) = (Arc::new(Notify::new()), Scripted::new([Attempt::Fails(EMFILE)]));
    let signalled = signal.clone();
    let serve = arith().serve(listener).with_graceful_shutdown(async move { signalled.notified().await });
    let serving = tokio::spawn(serve.into_future());
    tokio::time::sleep(Duration::from_millis(2)).await;
    let begun = Instant::now();
    signal.notify_one();
    within(serving).await.unwrap().unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn accepted_connections_get_the_servers_tcp_options_and_are_served_though_they_take_none() {
    let (near, far) = tokio::io::duplex(1024);
    let listener = Scripted::new([Attempt::Brings(far)]);
    let tuned = listener.tuned.clone();
    let mut tcp = TcpOptions::default();
    tcp.keepalive = Some(Duration::from_secs(7));
    tokio::spawn(arith().tcp(tcp).serve(listener).into_future());
    Raw::enter(near, "").await;
    assert_eq!(*tuned.lock().unwrap(), [Some(Duration::from_secs(7))]);
}
