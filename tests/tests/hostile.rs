//! Peers that never stop sending, break off, or stay where they are not wanted.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rpc_client::Client;
use rpc_core::Status;
use rpc_server::ConnectionError;
use tests::{Args, Frame, Gate, Raw, arith, encoded, eventually, listen, pipe, read_head, within};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::task::coop::poll_proceed;

/// What is seen of a stream that is always ready.
#[derive(Clone, Default)]
struct Seen {
    bytes: Arc<AtomicUsize>,
    reads: Arc<AtomicUsize>,
    /// Reads up to the last write.
    written_at: Arc<AtomicUsize>,
}

/// A stream that always has more to read, and takes all that is written.
struct Endless<M> {
    now: io::Cursor<Vec<u8>>,
    more: M,
    /// Whether it takes part in tokio's budgets, as a socket does.
    cooperative: bool,
    seen: Seen,
}

impl<M: FnMut() -> Vec<u8>> Endless<M> {
    fn new(first: &[u8], cooperative: bool, more: M) -> (Self, Seen) {
        let seen = Seen::default();
        (Self { now: io::Cursor::new(first.to_vec()), more, cooperative, seen: seen.clone() }, seen)
    }

    fn poll_budget(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.cooperative {
            ready!(poll_proceed(cx)).made_progress();
        }
        Poll::Ready(())
    }
}

impl<M: FnMut() -> Vec<u8> + Unpin> AsyncRead for Endless<M> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_budget(cx));
        let Self { now, more, .. } = &mut *self;
        if now.position() == now.get_ref().len() as u64 {
            *now = io::Cursor::new(more());
        }
        let before = buf.filled().len();
        ready!(Pin::new(now).poll_read(cx, buf))?;
        let count = buf.filled().len() - before;
        self.seen.reads.fetch_add(1, Ordering::Relaxed);
        self.seen.bytes.fetch_add(count, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<M: FnMut() -> Vec<u8> + Unpin> AsyncWrite for Endless<M> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_budget(cx));
        self.seen.written_at.store(self.seen.reads.load(Ordering::Relaxed), Ordering::Relaxed);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A kind that may be skipped.
const SKIPPED: u8 = 0x80;

#[tokio::test]
async fn requests_leave_while_the_server_never_stops_sending() {
    for cooperative in [false, true] {
        let noise = Frame::new(SKIPPED, 0, []).to_bytes();
        let (io, seen) = Endless::new(b"HTTP/1.0 200 Connected\r\n\r\n", cooperative, move || noise.clone());
        let client = within(Client::new(io)).await.unwrap();
        tokio::task::yield_now().await;
        let begun = seen.reads.load(Ordering::Relaxed);
        let call = client.start::<i64>("Any.Name", 1);
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        let written_at = seen.written_at.load(Ordering::Relaxed);
        assert!((begun..begun + 1000).contains(&written_at), "{begun} {written_at}");
        drop(call);
    }
}

/// The most bytes that were read between two turns of another task of the same thread.
async fn longest_turn(more: impl FnMut() -> Vec<u8> + Unpin + Send + 'static) -> usize {
    let length = |_: rpc_core::Context, bytes: Vec<u8>| async move { Ok::<_, Status>(bytes.len()) };
    let server = arith().register_fn("Length.Of", length).build().unwrap();
    let (io, seen) = Endless::new(b"CONNECT /_rpc_ HTTP/1.0\r\n\r\n", false, more);
    let serving = server.clone();
    tokio::spawn(async move { serving.serve_connection(io).await });
    let (mut longest, mut before) = (0, 0);
    for _ in 0..5 {
        tokio::task::yield_now().await;
        let now = seen.bytes.load(Ordering::Relaxed);
        longest = longest.max(now - before);
        before = now;
    }
    assert_eq!(server.connections(), 1, "it goes on");
    longest
}

#[tokio::test]
async fn a_client_that_never_stops_sending_leaves_turns_to_others_whatever_it_sends() {
    for size in [0, 1000, 1 << 18] {
        let skipped = Frame::new(SKIPPED, 0, vec![0; size]).to_bytes();
        let turn = longest_turn(move || skipped.clone()).await;
        assert!((1..2 << 20).contains(&turn), "{turn} bytes in a turn of skipped frames of {size}");
        let mut request = Frame::request(0, "Length.Of", &vec![7u8; size]);
        let turn = longest_turn(move || {
            request.id += 1 << 16;
            request.to_bytes()
        })
        .await;
        assert!((1..2 << 20).contains(&turn), "{turn} bytes in a turn of requests of {size}");
    }
}

#[tokio::test]
async fn a_client_that_never_stops_sending_does_not_hold_up_the_end() {
    let noise = Frame::new(SKIPPED, 0, []).to_bytes();
    let (io, seen) = Endless::new(b"CONNECT /_rpc_ HTTP/1.0\r\n\r\n", true, move || noise.clone());
    let server = arith().build().unwrap();
    let serving = server.clone();
    tokio::spawn(async move { serving.serve_connection(io).await });
    eventually("it sends", || seen.reads.load(Ordering::Relaxed) > 1000).await;
    within(server.shutdown(Duration::ZERO)).await;
    assert_eq!(server.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_deadlines_of_a_client_that_never_stops_sending_pass_like_all_others() {
    let gate = Gate::new();
    let mut first = b"CONNECT /_rpc_ HTTP/1.0\r\n\r\n".to_vec();
    let mut request = Frame::request(1, "Gate.Pass", &1i64);
    request.flags |= 0x02;
    let name_end = request.body.len() - encoded(&1i64).len();
    request.body.splice(name_end..name_end, 1_000_000u64.to_be_bytes());
    first.extend(request.to_bytes());
    let noise = Frame::new(SKIPPED, 0, []).to_bytes();
    let (io, _seen) = Endless::new(&first, false, move || noise.clone());
    let server = gate.register(arith()).build().unwrap();
    tokio::spawn(async move { server.serve_connection(io).await });
    gate.entered().await;
    tokio::time::advance(Duration::from_secs(1)).await;
    let mut dropped = pin!(gate.dropped());
    for _ in 0..1000 {
        if futures_util::poll!(&mut dropped).is_ready() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("its handler goes on");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_stops_sending_gets_no_older_than_others() {
    let noise = Frame::new(SKIPPED, 0, []).to_bytes();
    let (io, _seen) = Endless::new(b"CONNECT /_rpc_ HTTP/1.0\r\n\r\n", false, move || noise.clone());
    let server = arith().max_connection_age(Duration::from_secs(10)).build().unwrap();
    let serving = server.clone();
    tokio::spawn(async move { serving.serve_connection(io).await });
    tokio::task::yield_now().await;
    tokio::time::advance(Duration::from_secs(8)).await;
    assert_eq!(server.connections(), 1);
    tokio::time::advance(Duration::from_secs(4)).await;
    for _ in 0..1000 {
        if server.connections() == 0 {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it goes on");
}

#[tokio::test]
async fn a_request_that_is_cut_off_is_no_end_in_good_order() {
    let server = arith().build().unwrap();
    let (near, far) = tokio::io::duplex(64 * 1024);
    let served = tokio::spawn(async move { server.serve_connection(far).await });
    let mut raw = Raw::enter(near, "").await;
    let bytes = Frame::request(1, "Arith.Multiply", &Args { a: 7, b: 8 }).to_bytes();
    raw.say(&bytes[..bytes.len() - 1]).await;
    raw.0.shutdown().await.unwrap();
    match within(served).await.unwrap() {
        Err(ConnectionError::Io(error)) => assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_refused_connection_that_does_not_go_away_takes_nobodys_place() {
    let (address, server) = listen(arith().max_connections(1)).await;
    let served = Raw::enter(Raw::dial(address).await.0, "").await;
    let mut refused = Raw::dial(address).await;
    refused.say(b"CONNECT /_rpc_ HTTP/1.0\r\n\r\n").await;
    assert!(read_head(&mut refused.0).await.starts_with("HTTP/1.0 503 "));
    drop(served);
    eventually("the only place is free", || server.connections() == 0).await;
    Raw::enter(Raw::dial(address).await.0, "").await;
    drop(refused);
}

#[tokio::test]
async fn a_client_that_says_goodbye_for_ever_is_told_to_calm_down() {
    let server = arith().build().unwrap();
    let mut raw = Raw::enter(pipe(&server), "").await;
    let goodbyes = Frame::new(Frame::GO_AWAY, 0, [0]).to_bytes().repeat(2000);
    raw.say(&goodbyes).await;
    let go_away = raw.frame().await;
    assert_eq!((go_away.kind, go_away.body[0]), (Frame::GO_AWAY, 3), "{go_away:?}");
    assert_eq!(raw.next().await, None);
}
