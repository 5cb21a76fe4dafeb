//! What happened to every call, written down at both ends. It survives the hosts.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rpc_client::{Error, Lost};
use rpc_core::message::GoAwayReason;
use rpc_core::{Code, Executed};

use crate::oracle::Violation;
use crate::script::Uid;
use crate::streams::StreamRecord;

/// What a call is told that was made on a connection when its server ended that for want of calls.
pub const UNUSED: &str = "connection unused";

/// How a call ended for its caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With an answer; whether it was the one to this call.
    Answered {
        /// The right one.
        right: bool,
    },
    /// With an error.
    Failed {
        /// What it says of having run.
        executed: Executed,
        /// What it is counted as.
        kind: &'static str,
        /// In full.
        text: String,
    },
    /// The caller dropped it.
    GivenUp,
}

/// One call.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// How often a handler was made for it.
    pub begun: u32,
    /// How often its handler was gone again.
    pub over: u32,
    /// Its arguments arrived as others than were sent.
    pub garbled: bool,
    /// When it was made.
    pub made: Option<Duration>,
    /// How it ended, how long after it was made; once, that is.
    pub ended: Vec<(Outcome, Duration)>,
}

impl Record {
    /// Whether its caller still waits.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.made.is_some() && self.ended.is_empty()
    }

    /// Handlers that run.
    #[must_use]
    pub fn running(&self) -> u32 {
        self.begun - self.over
    }
}

#[derive(Debug, Default)]
struct State {
    now: Duration,
    records: Vec<Record>,
    streams: Vec<StreamRecord>,
    made: usize,
    open: usize,
    running: usize,
    violations: Vec<Violation>,
    events: Option<Vec<String>>,
}

/// All calls of a world.
#[derive(Debug)]
pub struct Journal {
    state: Mutex<State>,
}

impl Journal {
    /// For so many calls, and so many with items; with a log of what happens, if that is wanted.
    #[must_use]
    pub fn new(calls: usize, streams: usize, traced: bool) -> Self {
        let records = vec![Record::default(); calls];
        let streams = vec![StreamRecord::default(); streams];
        let state = State { records, streams, events: traced.then(Vec::new), ..State::default() };
        Self { state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is that late.
    pub fn set_time(&self, now: Duration) {
        self.lock().now = now;
    }

    /// Adds a line to the log, if one is kept.
    pub fn note(&self, line: impl FnOnce() -> String) {
        self.lock().note(line);
    }

    /// A caller makes the call.
    pub fn made(&self, uid: Uid) {
        let mut state = self.lock();
        state.made += 1;
        state.open += 1;
        let now = state.now;
        state.records[uid].made = Some(now);
        state.note(|| format!("call {uid}: made"));
    }

    /// It ended for its caller, so long after it was made.
    pub fn ended(&self, uid: Uid, outcome: Outcome, took: Duration) {
        let mut state = self.lock();
        state.note(|| format!("call {uid}: {outcome:?} after {took:?}"));
        state.open -= usize::from(state.records[uid].is_open());
        state.records[uid].ended.push((outcome, took));
    }

    /// A handler is made for it.
    pub fn begun(&self, uid: Uid, server: usize) {
        let mut state = self.lock();
        state.running += 1;
        state.records[uid].begun += 1;
        state.note(|| format!("call {uid}: begun by instance {server}"));
    }

    /// Its arguments are not what was sent.
    pub fn garbled(&self, uid: Uid) {
        let mut state = self.lock();
        state.records[uid].garbled = true;
        state.note(|| format!("call {uid}: garbled"));
    }

    /// Its handler is gone.
    pub fn over(&self, uid: Uid) {
        let mut state = self.lock();
        state.running -= 1;
        state.records[uid].over += 1;
        state.note(|| format!("call {uid}: its handler is gone"));
    }

    /// A caller makes a call with items.
    pub fn stream_made(&self, uid: Uid) {
        let mut state = self.lock();
        state.made += 1;
        state.open += 1;
        state.note(|| format!("stream {uid}: made"));
    }

    /// It ended for its caller, so long after it was made.
    pub fn stream_ended(&self, uid: Uid, outcome: Outcome, took: Duration) {
        let mut state = self.lock();
        state.note(|| format!("stream {uid}: {outcome:?} after {took:?}"));
        state.open -= usize::from(state.streams[uid].ended.is_empty());
        state.streams[uid].ended.push((outcome, took));
    }

    /// A handler is made for it.
    pub fn stream_begun(&self, uid: Uid, server: usize) {
        let mut state = self.lock();
        state.running += 1;
        state.streams[uid].begun += 1;
        state.note(|| format!("stream {uid}: begun by instance {server}"));
    }

    /// Its handler is gone.
    pub fn stream_over(&self, uid: Uid) {
        let mut state = self.lock();
        state.running -= 1;
        state.streams[uid].over += 1;
        state.note(|| format!("stream {uid}: its handler is gone"));
    }

    /// Something else happened to it.
    pub fn stream(&self, uid: Uid, change: impl FnOnce(&mut StreamRecord)) {
        let mut state = self.lock();
        change(&mut state.streams[uid]);
        let StreamRecord { handed: [up, down], taken, .. } = &state.streams[uid];
        let counts = [up.len(), taken[0], down.len(), taken[1]];
        state.note(|| format!("stream {uid}: handed over and taken: {counts:?}"));
    }

    /// All calls with items, by uid.
    #[must_use]
    pub fn streams(&self) -> Vec<StreamRecord> {
        self.lock().streams.clone()
    }

    /// Calls that were made.
    #[must_use]
    pub fn made_so_far(&self) -> usize {
        self.lock().made
    }

    /// Calls that have not ended for their callers.
    #[must_use]
    pub fn open(&self) -> usize {
        self.lock().open
    }

    /// Handlers that run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.lock().running
    }

    /// All calls, by uid.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.lock().records.clone()
    }

    /// A promise was broken on the way.
    pub fn broken(&self, violation: Violation) {
        let mut state = self.lock();
        state.note(|| format!("{violation}"));
        state.violations.push(violation);
    }

    /// What was broken on the way.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.lock().violations.clone()
    }

    /// Those of these calls that have not ended.
    #[must_use]
    pub fn open_among(&self, calls: &[Uid]) -> Vec<Uid> {
        let state = self.lock();
        calls.iter().copied().filter(|uid| state.records[*uid].is_open()).collect()
    }

    /// The log.
    #[must_use]
    pub fn events(&self) -> Vec<String> {
        self.lock().events.clone().unwrap_or_default()
    }
}

impl State {
    fn note(&mut self, line: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(events) = &mut self.events {
            events.push(format!("{:>9.3} ms  {}", now.as_secs_f64() * 1e3, line()));
        }
    }
}

impl Outcome {
    /// What an error of the client's means here.
    #[must_use]
    pub fn of_error(error: &Error) -> Self {
        let kind = match error {
            Error::Status { status, .. } => match status.code() {
                Code::DataLoss => "failed by its handler",
                Code::DeadlineExceeded => "deadline, seen by the server",
                Code::Unavailable => "unavailable",
                Code::ResourceExhausted => "refused for want of room",
                _ => "unexpected status",
            },
            Error::Connect { .. } => "not connected",
            Error::ConnectionLost { source, .. } => match source {
                Lost::GoingAway(Some(go_away)) => match go_away.reason {
                    GoAwayReason::Shutdown | GoAwayReason::ConnectionAge => "server went away",
                    GoAwayReason::Idle => UNUSED,
                    _ => "unexpected going away",
                },
                Lost::GoingAway(None) | Lost::Eof | Lost::Io(_) => "connection lost",
                Lost::Unresponsive => "connection dead",
                _ => "unexpected loss",
            },
            Error::Shutdown { .. } => "client closed",
            Error::DeadlineExceeded { .. } => "deadline",
            Error::Cancelled { .. } => "cancelled with its parent",
            _ => "unexpected error",
        };
        Outcome::Failed { executed: error.executed(), kind, text: error.to_string() }
    }
}
