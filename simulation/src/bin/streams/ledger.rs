//! What happened to every stream, written down at both ends.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rpc_client::Error;
use rpc_core::{Code, Executed};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::item::{Item, Place};
use crate::plan::{PATIENCE, Plan};

/// What an item costs of the credit beside its bytes.
const ITEM_COST: u64 = 32;

/// All that happened in a schedule.
pub(crate) struct Ledger {
    pub(crate) plan: Arc<Plan>,
    /// Those who wait to be told may go on.
    pub(crate) release: CancellationToken,
    began: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) streams: Vec<Record>,
    /// Handlers that are there.
    pub(crate) running: usize,
    /// Of all streams: cost of what was handed over and not taken, and the most that it was, with what it
    /// may be.
    outstanding: u64,
    pub(crate) peak: u64,
    pub(crate) items: u64,
    pub(crate) bytes: u64,
    /// Every stream stood still with an item larger than its window.
    pub(crate) jammed: bool,
    /// Calls without streams that have not ended, by when they were made.
    pub(crate) calls: Vec<Instant>,
    pub(crate) violations: Vec<String>,
    pub(crate) events: Option<Vec<String>>,
}

/// One stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub(crate) up: Way,
    pub(crate) down: Way,
    /// How it ended for its caller, and in what order: once, that is.
    pub(crate) ends: Vec<End>,
    /// How the caller's sender ended.
    pub(crate) sender_ends: Vec<SenderEnd>,
    /// The caller gave it up, by dropping something or otherwise.
    pub(crate) given_up: bool,
    pub(crate) begun: usize,
    pub(crate) over: usize,
    /// How the handler's items ended.
    pub(crate) input_ends: Vec<InputEnd>,
    pub(crate) output_end: Option<OutputEnd>,
    /// What a handler of one answer said: items that it took, and whether these were all.
    pub(crate) answer: Option<(usize, bool)>,
}

/// One direction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Way {
    /// Lengths of the items that were handed to the library.
    pub(crate) handed: Vec<u32>,
    /// How many were taken at the other end.
    pub(crate) taken: usize,
    /// Cost of the others.
    outstanding: u64,
    /// Nobody takes any more.
    closed: bool,
    /// Who takes stands still.
    stalled: bool,
}

/// For the caller.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// All items have come.
    Complete,
    /// The answer came: items that the handler took, and whether these were all.
    Answer(usize, bool),
    Failed(Error),
    /// The caller dropped what it had of it.
    Dropped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SenderEnd {
    Finished,
    Closed,
    Dropped,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InputEnd {
    Complete,
    Failed(Code, String),
    Dropped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputEnd {
    Complete,
    Failed,
    /// The caller does not take so large an item.
    TooLarge,
}

fn cost(len: u32) -> u64 {
    u64::from(len) + ITEM_COST
}

impl Ledger {
    pub(crate) fn new(plan: Arc<Plan>, traced: bool) -> Arc<Self> {
        let streams = vec![Record::default(); plan.streams.len()];
        let state = State { streams, events: traced.then(Vec::new), ..State::default() };
        Arc::new(Self {
            plan,
            release: CancellationToken::new(),
            began: Instant::now(),
            state: Mutex::new(state),
        })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&self, line: impl FnOnce() -> String) {
        let now = self.began.elapsed();
        if let Some(events) = &mut self.state().events {
            events.push(format!("{:>11.3} ms  {}", now.as_secs_f64() * 1e3, line()));
        }
    }

    pub(crate) fn broken(&self, text: impl Into<String>) {
        let text = text.into();
        self.note(|| format!("BROKEN: {text}"));
        self.state().violations.push(text);
    }

    /// Changes the record of a stream, and says so.
    pub(crate) fn record(
        &self,
        stream: usize,
        what: impl fmt::Debug,
        change: impl FnOnce(&mut Record, &mut usize),
    ) {
        self.note(|| format!("stream {stream}: {what:?}"));
        let state = &mut *self.state();
        change(&mut state.streams[stream], &mut state.running);
    }

    /// The next item of a direction.
    pub(crate) fn next_place(&self, stream: usize, up: bool, len: u32) -> Place {
        Place { stream, up, index: self.state().streams[stream].way(up).handed.len(), len }
    }

    /// An item is handed to the library, which said that it may be.
    pub(crate) fn handed(&self, Place { stream, up, index, len }: Place) {
        self.note(|| format!("stream {stream}: {} {index} of {len} bytes handed over", name(up)));
        let state = &mut *self.state();
        let way = state.streams[stream].way(up);
        let before = way.outstanding;
        way.handed.push(len);
        if !way.closed {
            way.outstanding += cost(len);
            state.outstanding += cost(len);
        }
        state.peak = state.peak.max(state.outstanding);
        state.items += 1;
        state.bytes += u64::from(len);
        // An item may begin while there is credit, and credit is what was taken less what was sent, and
        // a window: whatever of it is in a buffer, in a pipe, or in the library.
        let window = u64::from(self.plan.receiver(up).window);
        if before >= window {
            let text = format!(
                "stream {stream}: {} {index} was let in while {before} bytes were on their way, with a window of {window}",
                name(up)
            );
            state.violations.push(text);
        }
    }

    /// An item came out of it.
    pub(crate) fn taken(&self, stream: usize, up: bool, item: &impl Item) {
        let state = &mut *self.state();
        let way = state.streams[stream].way(up);
        let index = way.taken;
        way.taken += 1;
        let wrong = match way.handed.get(index).copied() {
            None => Some("was never sent"),
            Some(len) => {
                if !way.closed {
                    way.outstanding -= cost(len);
                    state.outstanding -= cost(len);
                }
                let place = Place { stream, up, index, len };
                (!item.is(place)).then_some("is not what was sent")
            }
        };
        if let Some(wrong) = wrong {
            state.violations.push(format!("stream {stream}: {} {index} {wrong}", name(up)));
        }
    }

    /// Nobody takes items of that direction any more.
    pub(crate) fn closed(&self, stream: usize, up: bool) {
        let state = &mut *self.state();
        let way = state.streams[stream].way(up);
        way.closed = true;
        state.outstanding -= std::mem::take(&mut way.outstanding);
    }

    /// Who takes items of that direction stands still, or goes on.
    pub(crate) fn stalled(&self, stream: usize, up: bool, stalled: bool) {
        self.note(|| format!("stream {stream}: {} stalled: {stalled}", name(up)));
        self.state().streams[stream].way(up).stalled = stalled;
    }

    /// A call without a stream has ended, which was made then.
    pub(crate) fn answered(&self, made: Instant) {
        let calls = &mut self.state().calls;
        if let Some(at) = calls.iter().position(|other| *other == made) {
            calls.swap_remove(at);
        }
    }

    /// Those who wait are told to go on. Before that, whether every stream stands still.
    pub(crate) fn release(&self) {
        let state = &mut *self.state();
        let plan = &self.plan;
        let is_stuck = |stream: usize, up: bool| {
            let (record, planned) = (&state.streams[stream], &plan.streams[stream]);
            let (way, items) =
                if up { (&record.up, &planned.up.items) } else { (&record.down, &planned.down.items) };
            let window = plan.receiver(up).window;
            let large = way.handed[way.taken.min(way.handed.len())..].iter().any(|len| *len > window);
            way.stalled && large && way.outstanding >= window.into() && way.handed.len() < items.len()
        };
        state.jammed = (0..plan.streams.len()).all(|stream| {
            let shape = plan.streams[stream].shape;
            (shape.sends() || shape.answers())
                && (!shape.sends() || is_stuck(stream, true))
                && (!shape.answers() || is_stuck(stream, false))
        });
        let waiting = state.calls.iter().filter(|made| made.elapsed() > PATIENCE).count();
        let room = plan.max_calls as usize > plan.streams.len() + plan.calls.len();
        if state.jammed && room && waiting > 0 {
            state.violations.push(format!("{waiting} calls wait for streams that stand still"));
        }
        self.release.cancel();
    }

    /// The most that all streams may have on their way: a window and the largest item, each way.
    pub(crate) fn bound(&self) -> u64 {
        let ways = self.plan.streams.iter().flat_map(|stream| {
            let largest = |items: &[u32]| cost(items.iter().copied().max().unwrap_or_default());
            let up = u64::from(self.plan.server.window) + largest(&stream.up.items);
            let down = u64::from(self.plan.client.window) + largest(&stream.down.items);
            [stream.shape.sends().then_some(up), stream.shape.answers().then_some(down)]
        });
        ways.flatten().sum()
    }
}

impl Record {
    fn way(&mut self, up: bool) -> &mut Way {
        if up { &mut self.up } else { &mut self.down }
    }
}

impl End {
    pub(crate) fn executed(&self) -> Option<Executed> {
        match self {
            End::Failed(error) => Some(error.executed()),
            _ => None,
        }
    }
}

fn name(up: bool) -> &'static str {
    if up { "item up" } else { "item down" }
}
