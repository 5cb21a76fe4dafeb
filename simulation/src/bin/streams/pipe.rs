//! A connection in memory, with manners: it takes and gives a part of what it could, hesitates, pauses,
//! and is cut.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::time::{Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::plan::millis;

/// So many operations take the bytes of a schedule, at the most about.
const OPERATIONS: u64 = 2_000;

/// How the connection behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manners {
    /// Bytes that may be on their way, each way.
    capacity: usize,
    /// How often a read or write takes a part, and of how many bytes that is at the most.
    in_parts: (f64, usize),
    /// How often an operation is not ready though it could be.
    hesitant: f64,
    /// How often a read pauses first, and for how long at the most.
    pauses: (f64, Duration),
}

impl Manners {
    /// For so many bytes.
    pub(crate) fn random(rng: &mut SmallRng, bytes: u64) -> Self {
        let least = (bytes / OPERATIONS) as usize;
        let mut often = |most: f64| if rng.random_bool(0.4) { rng.random_range(0.0..most) } else { 0.0 };
        let (in_parts, hesitant, slow) = (often(0.9), often(0.4), often(0.1));
        let mut size = |range: Range<usize>| {
            let most = [16, 200, 4_000, 65_536, 1 << 20][rng.random_range(range)];
            least + rng.random_range(1..most)
        };
        let (capacity, part) = (size(1..5), size(0..4));
        Self { capacity, in_parts: (in_parts, part), hesitant, pauses: (slow, millis(rng, 1..20)) }
    }
}

/// What ends a connection from outside.
#[derive(Debug)]
pub(crate) struct Scissors {
    left: AtomicU64,
    cut: CancellationToken,
}

impl Scissors {
    pub(crate) fn cut(&self) {
        self.cut.cancel();
    }
}

/// Both ends, which are cut after `bytes`, if not before.
pub(crate) fn pipe(manners: Manners, seed: u64, bytes: Option<u64>) -> (Pipe, Pipe, Arc<Scissors>) {
    let (one, other) = duplex(manners.capacity);
    let scissors =
        Arc::new(Scissors { left: bytes.unwrap_or(u64::MAX).into(), cut: CancellationToken::new() });
    let end = |inner, seed| Pipe {
        inner,
        manners,
        rng: SmallRng::seed_from_u64(seed),
        pause: None,
        scissors: scissors.clone(),
        cut: Box::pin(scissors.cut.clone().cancelled_owned()),
    };
    (end(one, seed), end(other, !seed), scissors)
}

pub(crate) struct Pipe {
    inner: DuplexStream,
    manners: Manners,
    rng: SmallRng,
    pause: Option<Pin<Box<Sleep>>>,
    scissors: Arc<Scissors>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Pipe {
    fn poll_there(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::ConnectionReset,
                "the connection was cut",
            )));
        }
        if self.manners.hesitant > 0.0 && self.rng.random_bool(self.manners.hesitant) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn part(&mut self, most: usize) -> usize {
        let (often, part) = self.manners.in_parts;
        match often > 0.0 && self.rng.random_bool(often) {
            true => most.min(self.rng.random_range(1..=part)),
            false => most,
        }
    }

    fn passed(&self, bytes: usize) {
        let before = self.scissors.left.load(Relaxed);
        if before != u64::MAX {
            let left = before.saturating_sub(bytes as u64);
            self.scissors.left.store(left, Relaxed);
            if left == 0 {
                self.scissors.cut();
            }
        }
    }
}

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_there(cx))?;
        let (slow, longest) = this.manners.pauses;
        if this.pause.is_none() && slow > 0.0 && this.rng.random_bool(slow) {
            this.pause = Some(Box::pin(sleep(longest.mul_f64(this.rng.random()))));
        }
        if let Some(pause) = &mut this.pause {
            ready!(pause.as_mut().poll(cx));
            this.pause = None;
        }
        let most = this.part(buf.remaining());
        let mut some = ReadBuf::new(buf.initialize_unfilled_to(most));
        ready!(Pin::new(&mut this.inner).poll_read(cx, &mut some))?;
        let count = some.filled().len();
        buf.advance(count);
        this.passed(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_there(cx))?;
        let most = this.part(bytes.len());
        Pin::new(&mut this.inner).poll_write(cx, &bytes[..most])
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}
