//! What goes out with one write.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use rpc_client::Client;
use tests::{Frame, Raw, within};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

const CALLERS: i64 = 16;
const ROUNDS: usize = 20;

/// A pipe that counts the writes to it.
struct Counted(DuplexStream, Arc<AtomicUsize>);

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.1.fetch_add(1, Relaxed);
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Its thread runs the task that was woken last before the others: the connection's, after the first
/// of the callers whom a batch of answers has woken, with whose call alone it would go out.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn callers_that_are_answered_together_ask_again_with_one_write() {
    let (near, far) = tokio::io::duplex(1 << 16);
    let writes = Arc::new(AtomicUsize::new(0));
    let admitted = tokio::spawn(Raw::admit(far, ""));
    let client = within(Client::new(Counted(near, writes.clone()))).await.unwrap();
    let mut raw = within(admitted).await.unwrap();
    for _ in 0..CALLERS {
        let client = client.clone();
        tokio::spawn(async move { while client.call::<_, i64>("Any.Name", 1).await.is_ok() {} });
    }
    // Not on that thread: what wakes the connection is something from outside, as sockets are.
    let mut before = 0;
    for round in 0..ROUNDS {
        let mut answers = Vec::new();
        for _ in 0..CALLERS {
            answers.extend(Frame::response(raw.frame().await.id, &1).to_bytes());
        }
        if round == 0 {
            before = writes.load(Relaxed);
        }
        raw.say(&answers).await;
    }
    let writes = writes.load(Relaxed) - before;
    assert!(writes < ROUNDS * 3 / 2, "{writes} writes in {ROUNDS} rounds");
}
