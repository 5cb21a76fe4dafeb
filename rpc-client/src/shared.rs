//! What the callers and the task of a connection share. No runtime in here, only a lock.
//!
//! Nothing of the user's runs under the lock: no encoding, no wake-up, no drop of a waker.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use rpc_core::client::{Calls, Event, OpenError, Outcome, RequestHead};
use rpc_core::input::Input;
use rpc_core::message::GoAway;
use rpc_core::output::Output;
use rpc_core::{CallId, Limits, ProtocolError};

use crate::error::Lost;

/// Callers wait for the writer once this many bytes do.
const OUTPUT_MARK: usize = 1 << 20;

/// A connection, seen from its callers.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    calls: Calls,
    out: Output,
    /// Bytes that the writer took out of `out` so far.
    taken: u64,
    /// Set by the task when it saw `out` empty; cleared by the one caller that wakes it.
    idle: bool,
    writer: Option<Waker>,
    /// Callers without a slot, in the order in which they came.
    queue: BTreeMap<u64, Waker>,
    next_ticket: u64,
    closing: bool,
    going_away: Option<GoAway>,
    lost: Option<Lost>,
}

/// What the callers want of the connection's task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    /// Output waits, with so many calls in flight.
    Write(u32),
    /// Nothing now; the task will be woken.
    Nothing,
    /// To leave: the server takes no new calls, and none is in flight.
    Leave,
    /// To end the connection.
    Close,
}

/// Why a call was not submitted.
#[derive(Debug)]
pub(crate) enum Rejected {
    /// No slot, or too much output: the waker is in the queue, under this ticket.
    Queued(u64),
    /// The same, and there was no waker: somebody who is not polled must not head the queue.
    NoRoom,
    /// Never.
    Open(OpenError),
    /// The connection is over.
    Lost(Lost),
}

impl Shared {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            state: Mutex::new(State {
                calls: Calls::new(limits),
                out: Output::default(),
                taken: 0,
                idle: false,
                writer: None,
                queue: BTreeMap::new(),
                next_ticket: 0,
                closing: false,
                going_away: None,
                lost: None,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a call, or queues `waker` until there is room. `ticket` is the place in the queue that
    /// the caller has already.
    pub(crate) fn submit(
        &self,
        head: RequestHead<'_>,
        body: &[u8],
        shared: Option<Bytes>,
        waker: Option<&Waker>,
        ticket: Option<u64>,
    ) -> Result<CallId, Rejected> {
        let waker = waker.cloned();
        let mut state = self.lock();
        if let Some(lost) = &state.lost {
            return Err(Rejected::Lost(lost.clone()));
        }
        if !state.may_open(ticket) {
            let Some(waker) = waker else { return Err(Rejected::NoRoom) };
            let (ticket, old) = state.enqueue(ticket, waker);
            drop(state);
            drop(old);
            return Err(Rejected::Queued(ticket));
        }
        let left = ticket.and_then(|ticket| state.queue.remove(&ticket));
        let State { calls, out, taken, .. } = &mut *state;
        let opened = calls.open(head, body, shared, waker, out, *taken);
        let writer = state.wake_writer();
        let next = state.next_in_queue();
        drop(state);
        drop(left);
        writer.into_iter().chain(next).for_each(Waker::wake);
        opened.map_err(Rejected::Open)
    }

    pub(crate) fn poll(&self, id: CallId, waker: &Waker, buffer: &mut Vec<u8>) -> Poll<Outcome> {
        let mut replaced = None;
        let mut state = self.lock();
        let polled = state.calls.poll(id, waker, buffer, &mut replaced);
        // A slot is free now, also when no call has ended.
        let next = if polled.is_ready() { state.next_in_queue() } else { Vec::new() };
        drop(state);
        drop(replaced);
        next.into_iter().for_each(Waker::wake);
        polled
    }

    /// The caller of `id` is gone.
    pub(crate) fn abandon(&self, id: CallId) {
        let mut state = self.lock();
        let State { calls, out, .. } = &mut *state;
        let left = calls.abandon(id, out);
        let writer = state.wake_writer();
        let next = state.next_in_queue();
        drop(state);
        drop(left);
        writer.into_iter().chain(next).for_each(Waker::wake);
    }

    /// The caller leaves the queue without a slot.
    pub(crate) fn leave_queue(&self, ticket: u64) {
        let mut state = self.lock();
        let left = state.queue.remove(&ticket);
        // It may have been woken for a slot that it will not take.
        let next = state.next_in_queue();
        drop(state);
        drop(left);
        next.into_iter().for_each(Waker::wake);
    }

    /// Ends the connection; true for the one that was first to say so.
    pub(crate) fn close(&self) -> bool {
        let mut state = self.lock();
        let first = !state.closing && state.lost.is_none();
        state.closing = true;
        let writer = state.writer.clone();
        drop(state);
        writer.into_iter().for_each(Waker::wake);
        first
    }

    /// Why the connection is over, or takes no new calls.
    pub(crate) fn lost(&self) -> Lost {
        let state = self.lock();
        state.lost.clone().unwrap_or_else(|| Lost::GoingAway(state.going_away.clone()))
    }

    /// What the server said when it went away, if it did.
    pub(crate) fn going_away(&self) -> Option<GoAway> {
        self.lock().going_away.clone()
    }

    /// Whether no call can be made any more.
    pub(crate) fn is_over(&self) -> bool {
        let state = self.lock();
        state.closing || state.lost.is_some() || state.going_away.is_some()
    }

    /// Asks for room, or queues `waker` under `ticket` until there is.
    pub(crate) fn poll_room(&self, ticket: u64, waker: &Waker) -> Poll<()> {
        let waker = waker.clone();
        let mut state = self.lock();
        if state.lost.is_some() || state.may_open(Some(ticket)) {
            return Poll::Ready(());
        }
        let (_, old) = state.enqueue(Some(ticket), waker);
        drop(state);
        drop(old);
        Poll::Pending
    }

    /// What the task has to do, which is woken when that changes. `can_write`: all that was taken
    /// before is written.
    pub(crate) fn poll_demand(&self, waker: &Waker, can_write: bool) -> Demand {
        let mut state = self.lock();
        let in_flight = state.calls.in_flight();
        if state.closing {
            return Demand::Close;
        }
        if can_write && !state.out.is_empty() {
            return Demand::Write(in_flight);
        }
        // Only here was the output seen empty. While the socket takes nothing, it wakes the task.
        state.idle = can_write;
        let old = state.set_writer(waker);
        let leave = in_flight == 0 && state.calls.is_going_away();
        drop(state);
        drop(old);
        if leave { Demand::Leave } else { Demand::Nothing }
    }

    /// Moves all output to the writer's own, which is empty.
    pub(crate) fn take_output(&self, writing: &mut Output) {
        let mut state = self.lock();
        state.idle = false;
        state.taken += state.out.len() as u64;
        mem::swap(&mut state.out, writing);
        let next = state.next_in_queue();
        drop(state);
        next.into_iter().for_each(Waker::wake);
    }

    /// Takes all frames of a read. Wakers of those to wake go to `woken`.
    pub(crate) fn receive(
        &self,
        now: Instant,
        woken: &mut Vec<Waker>,
        input: &mut Input,
        chunk: &[u8],
    ) -> Result<(), ProtocolError> {
        let mut at = 0;
        let mut state = self.lock();
        while let Some(frame) = input.next(chunk, &mut at)? {
            match state.calls.receive(frame, now, woken)? {
                Event::GoAway(go_away) => state.going_away = Some(go_away),
                Event::Pong(_) | Event::Nothing => {}
            }
        }
        let State { calls, out, .. } = &mut *state;
        calls.answer_ping(out);
        woken.extend(state.next_in_queue());
        Ok(())
    }

    /// This side ends the connection: asks the server to give up every call that is open.
    pub(crate) fn cancel_all(&self) {
        let mut woken = Vec::new();
        let mut state = self.lock();
        let State { calls, out, .. } = &mut *state;
        calls.cancel_all(out, &mut woken);
        // Those that wake find out from it.
        state.lost = Some(Lost::Closed);
        woken.extend(mem::take(&mut state.queue).into_values());
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Tells the server what it did wrong.
    pub(crate) fn blame(&self, error: &ProtocolError) {
        let go_away = GoAway { reason: error.into(), message: error.to_string() };
        let mut state = self.lock();
        let State { calls, out, .. } = &mut *state;
        calls.go_away(&go_away, out);
    }

    /// The connection is over after `unwritten` of the taken bytes were left: ends every call.
    pub(crate) fn end(&self, lost: Lost, unwritten: usize) {
        let mut woken = Vec::new();
        let mut state = self.lock();
        let written = state.taken - unwritten as u64;
        state.calls.disconnect(written, &mut woken);
        state.lost = Some(lost);
        woken.extend(mem::take(&mut state.queue).into_values());
        let writer = state.writer.take();
        let out = mem::take(&mut state.out);
        drop(state);
        drop((writer, out));
        woken.into_iter().for_each(Waker::wake);
    }
}

impl State {
    fn may_open(&self, ticket: Option<u64>) -> bool {
        let first = match (self.queue.keys().next(), ticket) {
            (None, _) => true,
            (Some(first), Some(ticket)) => ticket <= *first,
            (Some(_), None) => false,
        };
        // A connection that takes no new calls says so at once.
        self.calls.is_going_away() || first && self.has_room()
    }

    fn has_room(&self) -> bool {
        self.calls.room() > 0 && self.out.len() < OUTPUT_MARK
    }

    fn enqueue(&mut self, ticket: Option<u64>, waker: Waker) -> (u64, Option<Waker>) {
        let ticket = ticket.unwrap_or_else(|| {
            self.next_ticket += 1;
            self.next_ticket
        });
        (ticket, self.queue.insert(ticket, waker))
    }

    /// Those to wake because there is room. They leave the queue, so that one who is not polled
    /// holds up nobody; who comes too late queues again, in its old place.
    fn next_in_queue(&mut self) -> Vec<Waker> {
        let room = match self.calls.is_going_away() {
            true => usize::MAX,
            false if self.has_room() => self.calls.room() as usize,
            false => 0,
        };
        let count = room.min(self.queue.len());
        (0..count).filter_map(|_| self.queue.pop_first()).map(|(_, waker)| waker).collect()
    }

    /// Returns the waker it replaces, to be dropped outside the lock.
    fn set_writer(&mut self, waker: &Waker) -> Option<Waker> {
        match &self.writer {
            Some(old) if old.will_wake(waker) => None,
            _ => self.writer.replace(waker.clone()),
        }
    }

    fn wake_writer(&mut self) -> Option<Waker> {
        if !self.idle || self.out.is_empty() {
            return None;
        }
        self.idle = false;
        self.writer.clone()
    }
}
