//! The task that owns a hijacked connection: frames in, frames out, and the clock.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use rpc_core::input::Input;
use rpc_core::message::GoAwayReason;
use rpc_core::{CancelReason, Limits, Origin, ProtocolError};
use rpc_io::now;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::ConnectionError;
use crate::linger::linger;
use crate::room::Place;
use crate::session::Session;
use crate::shutdown::Phase;
use crate::state::State;
use crate::timeouts::{Due, Timeouts};

/// Frames taken in one turn before other tasks get theirs.
const BATCH: usize = 256;

/// Frames after which the answers go out though more frames are at hand: the client works on them
/// while this side goes on. With one write for all, each side would sleep while the other works.
const FLUSH: usize = 32;

/// Items of streams are added to the output when it has gone, so many bytes at a time, so that no answer
/// waits behind more.
const FILL: usize = 64 * 1024;

/// A read counts as a frame for each so many bytes of it, so that a turn is bounded in bytes too.
const BYTES_PER_FRAME: usize = 4096;

/// A larger input buffer is given back while the connection is idle.
const KEPT_INPUT: usize = 4096;

const ENDING: &str = "the server is shutting down";
const OLD: &str = "the connection reached its largest age";

pub(crate) struct Connection<IO> {
    io: IO,
    input: Input,
    /// `input` holds frames that were read but not taken.
    kept: bool,
    /// The client may still send: it has not closed its side.
    reading: bool,
    session: Session,
    server: Arc<State>,
    phase: Phase,
    timeouts: Timeouts,
    /// Bytes that have gone out since the streams had their turn.
    unfilled: usize,
    _place: Place,
}

enum Turn {
    /// Others first, then more.
    Yield,
    /// In good order.
    Over,
    Broken(ProtocolError),
    /// A frame did not arrive whole within this time.
    Late(Duration),
    Failed(ConnectionError),
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Connection<IO> {
    pub(crate) fn new(
        io: IO,
        input: Input,
        server: Arc<State>,
        origin: Origin,
        limits: Limits,
        place: Place,
    ) -> Self {
        Self {
            io,
            kept: !input.is_empty(),
            input,
            reading: true,
            session: Session::new(server.clone(), origin, limits),
            phase: Phase::Serving,
            unfilled: 0,
            timeouts: Timeouts::new(&server.config, server.connection_age()),
            server,
            _place: place,
        }
    }

    /// Appends the acceptance of the CONNECT request, which goes out before the first frame.
    pub(crate) fn accept(&mut self, acceptance: &[u8]) {
        rpc_io::lend_buffer(&mut self.session.out);
        self.session.out.extend(acceptance);
    }

    /// Serves until the connection ends.
    pub(crate) fn run(mut self) -> impl Future<Output = Result<(), ConnectionError>> {
        // Handlers that are ready must not look as if they were not: this task minds its turns
        // itself.
        tokio::task::coop::unconstrained(async move {
            let last = self.serve().await;
            // In a box of its own: while a connection is idle, there is to be no room for its end.
            Box::pin(self.end(last)).await
        })
    }

    /// The turn with which the connection ends.
    async fn serve(&mut self) -> Turn {
        let server = self.server.clone();
        let shutdown = &server.shutdown;
        let mut next_phase = pin!(shutdown.after(Phase::Serving));
        let mut known: Option<(Phase, Waker)> = None;
        loop {
            let turn = poll_fn(|cx| {
                // Polled only to be woken; that it has begun, the phase tells for less.
                let mut stale = known
                    .as_ref()
                    .is_none_or(|(phase, waker)| *phase != shutdown.phase() || !waker.will_wake(cx.waker()));
                // The phase is looked at again, the waker is not: one may not know its own clone.
                while stale {
                    let phase = shutdown.phase();
                    next_phase.set(shutdown.after(phase));
                    let _ = next_phase.as_mut().poll(cx);
                    known = Some((phase, cx.waker().clone()));
                    stale = phase != shutdown.phase();
                }
                self.poll_turn(cx)
            });
            match turn.await {
                Turn::Yield => tokio::task::yield_now().await,
                last => return last,
            }
        }
    }

    /// Sees to it that the last words arrive.
    async fn end(&mut self, last: Turn) -> Result<(), ConnectionError> {
        match last {
            Turn::Yield | Turn::Over => {
                linger(&mut self.io, &mut self.session.out, self.server.config.write_timeout).await;
                Ok(())
            }
            Turn::Broken(error) => {
                tracing::debug!(%error, "client broke the protocol");
                self.send_away((&error).into(), error.to_string()).await;
                Err(ConnectionError::Protocol(error))
            }
            Turn::Late(after) => {
                let error = ConnectionError::FrameTimeout { after };
                self.send_away(GoAwayReason::Protocol, error.to_string()).await;
                Err(error)
            }
            Turn::Failed(error) => Err(error),
        }
    }

    /// The client is at fault: drops its handlers and tells it why.
    async fn send_away(&mut self, reason: GoAwayReason, message: String) {
        self.session.abandon();
        self.session.blame(reason, message);
        linger(&mut self.io, &mut self.session.out, self.server.config.write_timeout).await;
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        self.follow_phase();
        rpc_io::lend_buffer(&mut self.session.out);
        let mark = self.server.config.output_mark;
        let mut taken = 0;
        loop {
            self.session.poll_waiting(mark, cx);
            let below_mark = self.session.out.len() < mark;
            if below_mark && taken < BATCH {
                match self.poll_frames(FLUSH.min(BATCH - taken), cx) {
                    Poll::Ready(Ok(count)) => {
                        taken += count;
                        if !self.kept {
                            continue;
                        }
                    }
                    Poll::Ready(Err(turn)) => return Poll::Ready(turn),
                    Poll::Pending => {}
                }
            }
            let waits = self.session.out.len();
            let sent = rpc_io::poll_send(&mut self.io, cx, &mut self.session.out);
            // Answers that keep coming must not keep the streams from their turn.
            self.unfilled = self.unfilled.saturating_add(waits - self.session.out.len());
            let turn = matches!(sent, Poll::Ready(Ok(()))) || self.unfilled >= FILL;
            let filled = turn && taken < BATCH && self.session.fill(FILL, cx);
            if turn {
                self.unfilled = 0;
            }
            match sent {
                Poll::Ready(Ok(())) => {
                    self.timeouts.wrote(true);
                    if filled {
                        taken += FLUSH;
                        continue;
                    }
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Turn::Failed(ConnectionError::Io(error))),
                Poll::Pending if self.session.out.len() < waits => self.timeouts.wrote(false),
                Poll::Pending => self.timeouts.stuck(),
            }
            // Whatever else has come by now came after the GoAway.
            if self.session.is_quiet() && self.session.is_draining() {
                return Poll::Ready(Turn::Over);
            }
            if taken >= BATCH && self.session.out.len() < mark {
                // There is no end to a client that never stops sending, but there is to its time.
                let due = self.poll_timer(false, cx);
                return Poll::Ready(match due {
                    Poll::Ready(turn) => turn,
                    Poll::Pending => Turn::Yield,
                });
            }
            let stuck = self.session.out.len() >= mark;
            if stuck || below_mark && !self.kept {
                break;
            }
        }
        if self.session.is_quiet() && !self.kept && !self.reading {
            return Poll::Ready(match self.input.is_empty() {
                true => Turn::Over,
                false => Turn::Failed(ConnectionError::Io(io::ErrorKind::UnexpectedEof.into())),
            });
        }
        rpc_io::reclaim_buffer(&mut self.session.out);
        self.input.shrink(KEPT_INPUT);
        self.poll_timer(true, cx)
    }

    /// Takes up to `most` frames; what that weighed.
    fn poll_frames(&mut self, most: usize, cx: &mut Context<'_>) -> Poll<Result<usize, Turn>> {
        let mark = self.server.config.output_mark;
        let Self { io, input, session, timeouts, .. } = self;
        // The same waker for the socket and for handlers that are polled for the first time.
        let mut frames_cx = Context::from_waker(cx.waker());
        // A large frame is read into the input itself.
        let direct = input.direct().map_or(0, |(_, most)| most);
        let mut take = |input: &mut Input, chunk: &[u8], batch: Instant| {
            let (mut at, mut count) = (0, 0);
            let weight = 1 + chunk.len().max(direct) / BYTES_PER_FRAME;
            let more = loop {
                if count == most || session.out.len() >= mark {
                    input.keep(&chunk[at..]);
                    break !input.is_empty();
                }
                match input.next(chunk, &mut at)? {
                    Some(frame) => session.receive(frame, batch, &mut frames_cx)?,
                    None => break false,
                }
                count += 1;
            };
            session.end_batch(batch);
            Ok((weight.max(count), more))
        };
        let taken = if self.kept {
            take(input, &[], now())
        } else if !self.reading {
            return Poll::Pending;
        } else {
            let take = |input: &mut Input, chunk: &[u8]| {
                let batch = now();
                timeouts.heard(batch);
                take(input, chunk, batch)
            };
            match ready!(rpc_io::poll_receive(io, cx, input, take)) {
                Ok(Some(taken)) => taken,
                Ok(None) => {
                    self.reading = false;
                    self.session.cut_off();
                    self.timeouts.closed(&self.server.config);
                    return Poll::Pending;
                }
                Err(error) => return Poll::Ready(Err(Turn::Failed(ConnectionError::Io(error)))),
            }
        };
        Poll::Ready(match taken {
            Ok((weight, more)) => {
                self.kept = more;
                let frame = self.input.unfinished().filter(|_| !more);
                // Not since the batch, whose handlers may have taken long.
                self.timeouts.arriving(frame, now);
                Ok(weight)
            }
            Err(error) => Err(Turn::Broken(error)),
        })
    }

    fn follow_phase(&mut self) {
        let (server, own) = (self.server.shutdown.phase(), self.timeouts.phase());
        let phase = server.max(own);
        if phase == self.phase {
            return;
        }
        self.phase = phase;
        let (reason, message, cancel) = match own > server {
            true => (GoAwayReason::ConnectionAge, OLD, CancelReason::ConnectionAge),
            false => (GoAwayReason::Shutdown, ENDING, CancelReason::Shutdown),
        };
        self.session.drain(reason, message);
        if phase == Phase::Cancelling {
            self.session.cancel_all(cancel);
            self.timeouts.end(&self.server.config);
        }
    }

    /// `all_read`: more than was taken has not come, so that a frame which is late is so by the client's fault.
    fn poll_timer(&mut self, all_read: bool, cx: &mut Context<'_>) -> Poll<Turn> {
        let Self { server, session, timeouts, input, .. } = self;
        let reads = self.reading && !self.kept && session.out.len() < server.config.output_mark;
        timeouts.arriving(input.unfinished().filter(|_| reads), now);
        timeouts.used(&server.config, session.is_quiet() && !session.is_draining(), session.last_call());
        loop {
            let waits = session.out.len();
            let due = timeouts.poll(&server.config, waits, all_read, session.next_deadline(), cx);
            match ready!(due) {
                // What they gave up is answered in the next turn, which its waker brings about.
                Due::Deadlines(now) => session.expire(now),
                Due::Idle(time) => {
                    let text = format!("the connection was not used for {time:?}");
                    session.drain(GoAwayReason::Idle, &text);
                    return Poll::Ready(Turn::Yield);
                }
                Due::Late(after) => return Poll::Ready(Turn::Late(after)),
                Due::Phase => return Poll::Ready(Turn::Yield),
                Due::Ping => {
                    // To a client that has closed its side, what waits already asks as much.
                    if self.reading || session.out.is_empty() {
                        session.ping();
                    }
                    return Poll::Ready(Turn::Yield);
                }
                Due::Failure(error) => return Poll::Ready(Turn::Failed(error)),
            }
        }
    }
}
