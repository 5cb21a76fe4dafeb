//! The task that owns a connection's socket.

use std::future::poll_fn;
use std::mem;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use rpc_core::ProtocolError;
use rpc_core::input::Input;
use rpc_core::liveness::{Check, Liveness};
use rpc_core::output::Output;
use rpc_io::{FULL, Timer, now};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::error::Lost;
use crate::shared::{Demand, Received, Shared};

/// What is left to say to a server that does not listen is dropped after this.
const FAREWELL: Duration = Duration::from_secs(1);

/// Reads in a row before it is the writes' turn, which share tokio's budget of a poll with them.
const READS: usize = 16;

/// Items of streams are added to the output up to so many bytes, so that no call waits behind more.
const FILL: usize = 64 * 1024;

/// A larger input buffer is given back while the connection is idle.
const KEPT_INPUT: usize = 4096;

pub(crate) struct Connection<IO> {
    io: IO,
    input: Input,
    /// What was taken from the callers and is on its way.
    writing: Output,
    /// So much at its end are items of streams, which say nothing about Requests.
    items: usize,
    /// The server did not take all of it.
    blocked: bool,
    /// `input` holds answers that were read but not taken.
    kept: bool,
    /// More answers may be at hand than were taken, whose callers have their turn first.
    callers_first: bool,
    woken: Vec<Waker>,
    /// The last answers woke more than one caller.
    many: bool,
    shared: Arc<Shared>,
    liveness: Liveness,
    /// The last Ping stands among the output that the callers left, and not yet in `writing`.
    ping_waits: bool,
    /// When the next call expires, as far as this task knows.
    next_deadline: Option<Instant>,
    timer: Timer,
    /// Cancelled when the server takes no new calls.
    leaving: CancellationToken,
    /// Cancels that and the other one when all has ended.
    _ended: [DropGuard; 2],
    /// The calls were told that it is over.
    ended: bool,
}

/// How long a silent server is left alone, and how long it may take to answer when it is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PingTimes {
    pub(crate) interval: Option<Duration>,
    pub(crate) timeout: Duration,
}

impl Default for PingTimes {
    fn default() -> Self {
        Self { interval: Some(Duration::from_secs(30)), timeout: Duration::from_secs(10) }
    }
}

/// Why a turn ended.
enum Turn {
    /// Callers have left output; that many calls are in flight.
    Output(u32),
    Over(Lost),
}

/// Ends the calls also when the task is dropped with its runtime, before it ever ran perhaps.
impl<IO> Drop for Connection<IO> {
    fn drop(&mut self) {
        self.end(Lost::Stopped);
    }
}

impl<IO> Connection<IO> {
    /// Ends the calls, unless that was done.
    fn end(&mut self, lost: Lost) {
        if !mem::replace(&mut self.ended, true) {
            self.shared.end(lost, self.writing.len().saturating_sub(self.items));
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Connection<IO> {
    /// A connection that cancels `leaving` when it takes no new calls, and `over` when it has ended.
    pub(crate) fn new(
        dialled: (IO, Input),
        shared: Arc<Shared>,
        ping: PingTimes,
        leaving: &CancellationToken,
        over: &CancellationToken,
    ) -> Self {
        let (io, input) = dialled;
        Self {
            io,
            input,
            writing: Output::default(),
            items: 0,
            blocked: false,
            kept: false,
            callers_first: false,
            woken: Vec::new(),
            many: false,
            shared,
            liveness: Liveness::new(ping.interval, ping.timeout, now()),
            ping_waits: false,
            next_deadline: None,
            timer: Timer::default(),
            leaving: leaving.clone(),
            _ended: [leaving, over].map(|token| token.clone().drop_guard()),
            ended: false,
        }
    }

    /// Serves the calls until the connection ends.
    pub(crate) async fn run(mut self: Box<Self>) {
        let lost = match (self.serve().await, self.shared.going_away()) {
            // The server had said why.
            (Lost::Eof | Lost::Io(_), Some(go_away)) => Lost::GoingAway(Some(go_away)),
            (lost, _) => lost,
        };
        tracing::debug!(%lost, "connection ends");
        let last_words = match &lost {
            Lost::Closed => {
                self.shared.cancel_all();
                true
            }
            Lost::Protocol(error) => {
                self.end(lost.clone());
                self.shared.blame(error);
                // What is written from here on would go out although its call was told that it did not.
                self.writing.is_empty()
            }
            _ => false,
        };
        if last_words {
            let _ = tokio::time::timeout(FAREWELL, self.say_farewell()).await;
        }
        self.end(lost);
    }

    async fn serve(&mut self) -> Lost {
        // Frames that came right behind the answer to CONNECT.
        if let ControlFlow::Break(lost) = self.take_kept() {
            return lost;
        }
        loop {
            match poll_fn(|cx| self.poll_turn(cx)).await {
                Turn::Over(lost) => {
                    // Answers that came before it ended are answers all the same; behind a breach there are none.
                    if !matches!(lost, Lost::Protocol(_)) {
                        let _ = poll_fn(|cx| Poll::Ready(self.take_all(cx))).await;
                    }
                    return lost;
                }
                Turn::Output(in_flight) => {
                    // The first caller to append wakes this task, which tokio's threads then run
                    // before the other callers. One step back lets them append too, and all goes out
                    // in one write: without it there are two to four times as many. With more answers at hand
                    // they have had their turn.
                    if (in_flight > 1 || self.many) && !self.callers_first {
                        step_back().await;
                    }
                    rpc_io::lend_buffer(&mut self.writing);
                    self.items = self.shared.take_output(&mut self.writing, FILL);
                    self.ping_waits = false;
                }
            }
        }
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        loop {
            // What the callers of the last answers have left goes out before the next answers are taken.
            if !self.callers_first {
                if let ControlFlow::Break(lost) = self.take_answers(cx) {
                    return Poll::Ready(Turn::Over(lost));
                }
                if self.callers_first {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
            if let Poll::Ready(turn) = self.poll_output(cx) {
                return Poll::Ready(turn);
            }
            if !mem::take(&mut self.callers_first) {
                self.input.shrink(KEPT_INPUT);
                return Poll::Pending;
            }
        }
    }

    /// Ready when there is something to do first.
    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        let waits = self.writing.len();
        let can_write = match rpc_io::poll_send(&mut self.io, cx, &mut self.writing) {
            Poll::Ready(Ok(())) => {
                rpc_io::reclaim_buffer(&mut self.writing);
                true
            }
            Poll::Ready(Err(error)) => return Poll::Ready(Turn::Over(Lost::Io(Arc::new(error)))),
            Poll::Pending => false,
        };
        // Of what a transport keeps, as TLS does, is seen only that all of it has gone.
        let progressed = self.writing.len() < waits || can_write && self.blocked;
        self.blocked = !can_write;
        if self.liveness.is_asking() && progressed {
            self.liveness.wrote(now(), can_write && !self.ping_waits);
        }
        loop {
            let (demand, next_deadline) = self.shared.poll_demand(cx.waker(), can_write);
            self.next_deadline = next_deadline;
            let timer = self.poll_timer(cx);
            match (demand, timer) {
                (Demand::Close, _) => return Poll::Ready(Turn::Over(Lost::Closed)),
                (_, Poll::Ready(ControlFlow::Break(lost))) => return Poll::Ready(Turn::Over(lost)),
                (Demand::Write(in_flight), _) => return Poll::Ready(Turn::Output(in_flight)),
                (Demand::Leave, _) => return Poll::Ready(Turn::Over(self.shared.lost())),
                // It may have left output, and the next deadline is another one.
                (Demand::Nothing, Poll::Ready(ControlFlow::Continue(()))) => {}
                (Demand::Nothing, Poll::Pending) => break,
            }
        }
        Poll::Pending
    }

    /// Takes what has come, until no more has or until it is the callers' turn.
    fn take_answers(&mut self, cx: &mut Context<'_>) -> ControlFlow<Lost> {
        for _ in 0..READS {
            match self.poll_frames(cx) {
                Poll::Ready(flow) => flow?,
                Poll::Pending => return ControlFlow::Continue(()),
            }
            if self.callers_first {
                return ControlFlow::Continue(());
            }
        }
        self.callers_first = true;
        ControlFlow::Continue(())
    }

    /// Takes what has come, whoever's turn it is.
    fn take_all(&mut self, cx: &mut Context<'_>) -> ControlFlow<Lost> {
        for _ in 0..READS {
            match self.poll_frames(cx) {
                Poll::Ready(flow) => flow?,
                Poll::Pending => return ControlFlow::Continue(()),
            }
            while self.kept {
                self.take_kept()?;
            }
        }
        self.callers_first = true;
        ControlFlow::Continue(())
    }

    /// Ready when the time has come for something, which is done then.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<ControlFlow<Lost>> {
        let due = self.liveness.due().into_iter().chain(self.next_deadline).min();
        ready!(self.timer.poll(due, cx));
        // What came in time is in time, though its callers' turn has not come.
        if let ControlFlow::Break(lost) = self.take_all(cx) {
            return Poll::Ready(ControlFlow::Break(lost));
        }
        let now = now();
        self.shared.expire(now);
        match self.liveness.check(now) {
            Check::Alive => {}
            Check::Ask => {
                // Without one of its own, because callers have asked so often: theirs are as good.
                let _ = self.shared.ping(now);
                self.ping_waits = true;
            }
            Check::Dead => return Poll::Ready(ControlFlow::Break(Lost::Unresponsive)),
        }
        Poll::Ready(ControlFlow::Continue(()))
    }

    fn poll_frames(&mut self, cx: &mut Context<'_>) -> Poll<ControlFlow<Lost>> {
        if self.kept {
            return Poll::Ready(self.take_kept());
        }
        let Self { io, input, woken, many, shared, liveness, leaving, .. } = self;
        let received = rpc_io::poll_receive(io, cx, input, |input, chunk| {
            let now = now();
            liveness.heard(now);
            (chunk.len(), take_frames(now, input, chunk, shared, woken, many, leaving))
        });
        Poll::Ready(match ready!(received) {
            Ok(Some((count, taken))) => {
                self.callers_first = count >= FULL;
                self.after_batch(taken)
            }
            Ok(None) => ControlFlow::Break(Lost::Eof),
            Err(error) => ControlFlow::Break(Lost::Io(Arc::new(error))),
        })
    }

    fn take_kept(&mut self) -> ControlFlow<Lost> {
        let Self { input, woken, many, shared, leaving, .. } = self;
        let taken = take_frames(now(), input, &[], shared, woken, many, leaving);
        self.after_batch(taken)
    }

    fn after_batch(&mut self, taken: Result<bool, ProtocolError>) -> ControlFlow<Lost> {
        match taken {
            Ok(kept) => {
                self.kept = kept;
                self.callers_first |= kept;
                ControlFlow::Continue(())
            }
            Err(error) => {
                self.kept = false;
                ControlFlow::Break(Lost::Protocol(error))
            }
        }
    }

    /// Sends what is left, then that this was all.
    async fn say_farewell(&mut self) {
        let sent = poll_fn(|cx| rpc_io::poll_send(&mut self.io, cx, &mut self.writing)).await;
        if sent.is_ok() {
            self.items = self.shared.take_output(&mut self.writing, 0);
            let _ = poll_fn(|cx| rpc_io::poll_send(&mut self.io, cx, &mut self.writing)).await;
            let _ = self.io.shutdown().await;
        }
    }
}

/// Lets those run that were woken before. Not tokio's `yield_now`, in which a task waits until the sockets were looked at: its
/// own wakes it early, and with one more task awake the thread looks at them more often.
async fn step_back() {
    let mut back = false;
    poll_fn(|cx| {
        if mem::replace(&mut back, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Whether the input holds more of them.
fn take_frames(
    now: Instant,
    input: &mut Input,
    chunk: &[u8],
    shared: &Shared,
    woken: &mut Vec<Waker>,
    many: &mut bool,
    leaving: &CancellationToken,
) -> Result<bool, ProtocolError> {
    let received = shared.receive(now, woken, input, chunk);
    // Before the callers wake, which look for another connection then.
    if let Ok(Received { leaving: true, .. }) = received {
        leaving.cancel();
    }
    *many = woken.len() > 1;
    woken.drain(..).for_each(Waker::wake);
    received.map(|received| received.kept)
}
