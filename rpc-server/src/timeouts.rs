//! What is due on a connection, and when.

use std::io;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use rpc_core::CallId;
use rpc_core::liveness::{Check, Liveness};
use rpc_io::{Timer, now};

use crate::config::Config;
use crate::error::ConnectionError;
use crate::lifetime::Lifetime;
use crate::shutdown::Phase;

/// A client that has closed its side may be waiting for answers or be gone. Only a write tells, so
/// it is asked this often when others are not asked at all.
const HALF_CLOSED_INTERVAL: Duration = Duration::from_secs(30);

/// What is to be done now.
pub(crate) enum Due {
    /// The client is to be asked whether it is there.
    Ping,
    /// The next phase has begun for the connection's age.
    Phase,
    /// Deadlines up to this time have passed.
    Deadlines(Instant),
    /// Nobody has used the connection for this long.
    Idle(Duration),
    /// A frame has begun to arrive, and is not there whole after this long.
    Late(Duration),
    /// The connection has failed.
    Failure(ConnectionError),
}

/// The times of one connection. They move with most turns, so they are set without a clock where
/// that can be, and one timer serves them all.
pub(crate) struct Timeouts {
    liveness: Liveness,
    lifetime: Lifetime,
    /// The client has taken nothing since then.
    stalled: Option<Instant>,
    /// However slowly the client takes the last answers, the end does not wait longer.
    last_end: Option<Instant>,
    /// The frame that has begun to arrive, and when.
    arriving: Option<(u64, Instant)>,
    /// Since when nothing is owed for any call, and the last of them. Only if that is limited.
    unused: Option<(CallId, Instant)>,
    timer: Timer,
}

impl Timeouts {
    /// For a connection that may get so old.
    pub(crate) fn new(config: &Config, age: Option<Duration>) -> Self {
        let now = now();
        let liveness = Liveness::new(config.ping_interval, config.ping_timeout, now);
        let lifetime = Lifetime::new(age, now);
        Self {
            liveness,
            lifetime,
            stalled: None,
            last_end: None,
            arriving: None,
            unused: None,
            timer: Timer::default(),
        }
    }

    /// How far the connection's end has come for its age.
    pub(crate) fn phase(&self) -> Phase {
        self.lifetime.phase()
    }

    /// Bytes came.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.liveness.heard(now);
    }

    /// The client has closed its side.
    pub(crate) fn closed(&mut self, config: &Config) {
        let now = now();
        if config.ping_interval.is_none() {
            self.liveness = Liveness::new(Some(HALF_CLOSED_INTERVAL), config.ping_timeout, now);
        }
        self.liveness.fell_silent(now);
    }

    /// Of the frame with this number a part has come. `None`: of none, or nobody reads the rest now.
    pub(crate) fn arriving(&mut self, frame: Option<u64>, now: impl FnOnce() -> Instant) {
        if self.arriving.map(|(number, _)| number) != frame {
            self.arriving = frame.map(|number| (number, now()));
        }
    }

    /// Calls up to `last` have come. `quiet`: nothing is owed for any of them.
    pub(crate) fn used(&mut self, config: &Config, quiet: bool, last: CallId) {
        let known = self.unused.is_some_and(|(before, _)| before == last);
        if config.idle_timeout.is_some() && !(quiet && known) {
            self.unused = quiet.then(|| (last, now()));
        }
    }

    /// When a connection that nobody uses is to end. Not while a frame comes in, which may be a request.
    fn idle_end(&self, config: &Config) -> Option<Instant> {
        let (_, since) = self.unused.filter(|_| self.arriving.is_none())?;
        since.checked_add(config.idle_timeout?)
    }

    /// The client took bytes; `all` that there were.
    pub(crate) fn wrote(&mut self, all: bool) {
        self.stalled = (!all).then(now);
        if self.liveness.is_asking() {
            self.liveness.wrote(now(), all);
        }
    }

    /// The client takes nothing of what waits for it.
    pub(crate) fn stuck(&mut self) {
        self.stalled.get_or_insert_with(now);
    }

    /// The handlers were given up: what is left to say is to be taken in time.
    pub(crate) fn end(&mut self, config: &Config) {
        self.last_end = now().checked_add(config.write_timeout);
    }

    /// Ready when something is due, on a connection where so many bytes wait to be taken.
    /// `all_read`: none wait to be read.
    pub(crate) fn poll(
        &mut self,
        config: &Config,
        waits: usize,
        all_read: bool,
        deadline: Option<Instant>,
        cx: &mut Context<'_>,
    ) -> Poll<Due> {
        let stall_end = self.stalled.and_then(|since| since.checked_add(config.write_timeout));
        let last_end = self.last_end.filter(|_| waits > 0);
        let write_end = stall_end.into_iter().chain(last_end).min();
        let arriving = self.arriving.filter(|_| all_read);
        let frame_end = arriving.and_then(|(_, since)| since.checked_add(config.frame_timeout));
        let idle_end = self.idle_end(config);
        let (asks, phase) = (self.liveness.due(), self.lifetime.due());
        let next = [write_end, frame_end, asks, phase, idle_end, deadline].into_iter().flatten().min();
        ready!(self.timer.poll(next, cx));
        let now = now();
        if write_end.is_some_and(|end| end <= now) {
            let within = config.write_timeout;
            // TLS keeps some itself.
            let what = if waits > 0 { format!("{waits} bytes of answers") } else { "what was sent".into() };
            let text = format!("the client did not take {what} within {within:?}");
            let timed_out = io::Error::new(io::ErrorKind::TimedOut, text);
            return Poll::Ready(Due::Failure(ConnectionError::Io(timed_out)));
        }
        if frame_end.is_some_and(|end| end <= now) {
            return Poll::Ready(Due::Late(config.frame_timeout));
        }
        if self.lifetime.advance(now, config.grace) {
            return Poll::Ready(Due::Phase);
        }
        if let (Some(idle), Some(_)) = (config.idle_timeout, idle_end.filter(|end| *end <= now)) {
            self.unused = None;
            return Poll::Ready(Due::Idle(idle));
        }
        Poll::Ready(match self.liveness.check(now) {
            Check::Alive => Due::Deadlines(now),
            Check::Ask => Due::Ping,
            Check::Dead => Due::Failure(ConnectionError::Unresponsive { after: config.ping_timeout }),
        })
    }
}
