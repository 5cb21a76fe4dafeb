//! A stream with manners: reads and writes in pieces, pauses, fails.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};
use turmoil::net::TcpStream;

use crate::network::Place;
use crate::script::millis;
use crate::window::Window;

/// More than anybody sends at once.
const WIDE: usize = 1 << 20;

/// How the streams of a world behave.
#[derive(Clone, Debug)]
pub struct Manners {
    /// How often a read or write takes a few bytes only.
    pub in_pieces: f64,
    /// How often an operation is not ready though it could be.
    pub hesitant: f64,
    /// How often a read pauses first, for up to this long.
    pub pauses: (f64, Duration),
    /// How often a connection fails after some bytes.
    pub frail: f64,
    /// Bytes that may be on their way, each way.
    pub window: usize,
}

impl Manners {
    /// Mostly good ones.
    pub fn random(rng: &mut SmallRng) -> Self {
        let mut often = |share: f64, most: f64| {
            if rng.random_bool(share) { rng.random_range(0.0..most) } else { 0.0 }
        };
        let (in_pieces, hesitant, slow, frail) =
            (often(0.4, 0.6), often(0.4, 0.3), often(0.3, 0.2), often(0.3, 0.6));
        Self {
            in_pieces,
            hesitant,
            pauses: (slow, millis(rng, 1..30)),
            frail,
            window: if rng.random_bool(0.3) { rng.random_range(6_000..60_000) } else { WIDE },
        }
    }

    /// Whether a large body takes many times the way there and back.
    #[must_use]
    pub fn is_narrow(&self) -> bool {
        self.window < WIDE
    }
}

/// One end of a connection.
pub struct Stream {
    tcp: TcpStream,
    rng: SmallRng,
    manners: Manners,
    incoming: Arc<Window>,
    outgoing: Arc<Window>,
    pause: Option<Pin<Box<Sleep>>>,
    /// It fails once that many more bytes went through.
    left: Option<u64>,
    place: Place,
}

impl Stream {
    pub(crate) fn new(
        tcp: TcpStream,
        manners: Manners,
        seed: u64,
        incoming: Arc<Window>,
        outgoing: Arc<Window>,
        place: Place,
    ) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        // Half of them within the handshake and the first calls.
        let left = rng.random_bool(manners.frail).then(|| match rng.random_bool(0.5) {
            true => rng.random_range(1..2_000),
            false => rng.random_range(1..100_000),
        });
        Self { tcp, rng, manners, incoming, outgoing, pause: None, left, place }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.place.is_healed() {
            self.left = None;
        }
        if self.left == Some(0) {
            self.place.failed();
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, "the connection failed")));
        }
        if self.rng.random_bool(self.manners.hesitant) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn piece(&mut self, most: usize) -> usize {
        let left = self.left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
        let most = most.min(left);
        if self.manners.in_pieces > 0.0 && self.rng.random_bool(self.manners.in_pieces) {
            return most.min(self.rng.random_range(1..40));
        }
        most
    }

    fn passed(&mut self, bytes: usize) {
        if let Some(left) = &mut self.left {
            *left -= bytes as u64;
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_ready(cx))?;
        let (slow, longest) = this.manners.pauses;
        if this.pause.is_none() && this.rng.random_bool(slow) {
            let pause = longest.mul_f64(this.rng.random());
            this.pause = Some(Box::pin(sleep(pause)));
        }
        if let Some(pause) = &mut this.pause {
            ready!(pause.as_mut().poll(cx));
            this.pause = None;
        }
        let most = this.piece(buf.remaining());
        let mut some = ReadBuf::new(buf.initialize_unfilled_to(most));
        ready!(Pin::new(&mut this.tcp).poll_read(cx, &mut some))?;
        let count = some.filled().len();
        buf.advance(count);
        this.incoming.read(count);
        this.passed(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_ready(cx))?;
        let room = ready!(this.outgoing.poll_room(cx));
        let most = this.piece(bytes.len().min(room));
        let count = ready!(Pin::new(&mut this.tcp).poll_write(cx, &bytes[..most]))?;
        this.outgoing.sent(count);
        this.passed(count);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(cx)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.incoming.abandon();
    }
}
