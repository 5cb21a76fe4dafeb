//! What the callers and the task of a connection share. No runtime in here, only a lock.
//!
//! Nothing of the user's runs under the lock: no encoding, no wake-up, no drop of a waker.

mod pings;
mod state;

use std::mem;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use rpc_core::client::{Event, OpenError, Outcome, RequestHead};
use rpc_core::input::Input;
use rpc_core::message::{GoAway, GoAwayReason};
use rpc_core::output::Output;
use rpc_core::stream::{Duplex, Hub};
use rpc_core::{CallId, Limits, ProtocolError};

use crate::error::Lost;
use crate::sync::{Mutex, MutexGuard, PoisonError};
use state::State;

/// A connection, seen from its callers.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Of the streams, which have locks of their own.
    hub: Arc<Hub>,
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

/// What was taken of a read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    /// The server said that it takes no new calls.
    pub(crate) leaving: bool,
    /// The input holds more.
    pub(crate) kept: bool,
}

/// Frames that are taken at once.
const BATCH: u32 = 32;

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

#[inline]
fn wake(writer: Option<Waker>, next: Vec<Waker>) {
    if let Some(writer) = writer {
        writer.wake();
    }
    // A look costs less than an iterator over nothing.
    if !next.is_empty() {
        next.into_iter().for_each(Waker::wake);
    }
}

impl Shared {
    /// Towards a server that announced `limits`, for a client that announced `own`.
    pub(crate) fn new(limits: Limits, own: Limits) -> Self {
        let state = State::new(limits, own);
        Self { hub: state.calls.hub().clone(), state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a call that is over at `deadline`, and its stream if it has one; or queues `waker` until there
    /// is room. `ticket` is the place in the queue that the caller has already.
    pub(crate) fn submit(
        &self,
        head: RequestHead<'_>,
        deadline: Option<Instant>,
        body: &[u8],
        shared: Option<Bytes>,
        waker: Option<&Waker>,
        ticket: Option<u64>,
    ) -> Result<(CallId, Option<Arc<Duplex>>), Rejected> {
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
        let stream = head.stream.is_some();
        let opened = calls.open(head, body, shared, waker, out, *taken);
        if let (Ok(id), Some(deadline)) = (&opened, deadline) {
            calls.set_deadline(*id, deadline);
        }
        let opened = opened.map(|id| (id, if stream { calls.stream(id).cloned() } else { None }));
        let writer = state.wake_writer();
        let next = state.next_in_queue();
        drop(state);
        drop(left);
        wake(writer, next);
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
        wake(None, next);
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
        wake(writer, next);
    }

    /// The caller leaves the queue without a slot.
    pub(crate) fn leave_queue(&self, ticket: u64) {
        let mut state = self.lock();
        let left = state.queue.remove(&ticket);
        // It may have been woken for a slot that it will not take.
        let next = state.next_in_queue();
        drop(state);
        drop(left);
        wake(None, next);
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

    /// Whether the server ended it because nobody used it.
    pub(crate) fn was_unused(&self) -> bool {
        self.lock().going_away.as_ref().is_some_and(|go_away| go_away.reason == GoAwayReason::Idle)
    }

    /// Whether no call can be made any more.
    pub(crate) fn is_over(&self) -> bool {
        let state = self.lock();
        state.closing || state.lost.is_some() || state.going_away.is_some() || state.calls.is_exhausted()
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

    /// What the task has to do, which is woken when that changes, and when to
    /// [`expire`](Self::expire) calls. `can_write`: all that was taken before is written.
    pub(crate) fn poll_demand(&self, waker: &Waker, can_write: bool) -> (Demand, Option<Instant>) {
        let mut state = self.lock();
        let in_flight = state.calls.in_flight();
        let next = state.calls.next_deadline();
        state.timer = next;
        if state.closing {
            return (Demand::Close, next);
        }
        if can_write && (!state.out.is_empty() || self.hub.poll(waker)) {
            return (Demand::Write(in_flight), next);
        }
        // Only here was the output seen empty. While the socket takes nothing, it wakes the task.
        state.idle = can_write;
        let old = state.set_writer(waker);
        let leave = in_flight == 0 && state.calls.is_going_away();
        // Whoever was woken for the room and is not polled has left the queue. If there is still room in
        // the next turn, it is the turn of those behind, so that no slot is free while somebody waits.
        let woken = state.next_in_queue();
        let again = !state.queue.is_empty() && !woken.is_empty();
        drop(state);
        drop(old);
        woken.into_iter().for_each(Waker::wake);
        if again {
            waker.wake_by_ref();
        }
        (if leave { Demand::Leave } else { Demand::Nothing }, next)
    }

    /// Ends the calls whose time is up.
    pub(crate) fn expire(&self, now: Instant) {
        let mut woken = Vec::new();
        let mut state = self.lock();
        let State { calls, out, .. } = &mut *state;
        calls.expire(now, out, &mut woken);
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Sends a Ping; its number. `None`: one more would be more than a server has to bear.
    pub(crate) fn ping(&self, now: Instant) -> Result<Option<u64>, Lost> {
        let mut state = self.lock();
        if let Some(lost) = &state.lost {
            return Err(lost.clone());
        }
        let State { calls, pings, out, .. } = &mut *state;
        let number = pings.next();
        if !calls.ping(number, now, out) {
            return Ok(None);
        }
        pings.sent(number);
        let writer = state.wake_writer();
        drop(state);
        writer.into_iter().for_each(Waker::wake);
        Ok(Some(number))
    }

    /// Waits for the answer to a Ping.
    pub(crate) fn poll_pong(&self, number: u64, waker: &Waker) -> Poll<Result<(), Lost>> {
        let waker = waker.clone();
        let mut state = self.lock();
        if state.pings.is_answered(number) {
            return Poll::Ready(Ok(()));
        }
        if let Some(lost) = &state.lost {
            return Poll::Ready(Err(lost.clone()));
        }
        let old = state.pings.wait(number, waker);
        drop(state);
        drop(old);
        Poll::Pending
    }

    /// Nobody waits for the answer to that Ping any more.
    pub(crate) fn forget_ping(&self, number: u64) {
        let left = self.lock().pings.forget(number);
        drop(left);
    }

    /// Moves all output to the writer's own, which is empty, and behind it what the streams have to send,
    /// about `most` bytes; how much that was.
    pub(crate) fn take_output(&self, writing: &mut Output, most: usize) -> usize {
        // Before the output, in which their Requests are.
        let ready = self.hub.take();
        let mut state = self.lock();
        state.idle = false;
        state.taken += state.out.len() as u64;
        mem::swap(&mut state.out, writing);
        let mut woken = state.next_in_queue();
        drop(state);
        let before = writing.len();
        self.hub.fill(ready, writing, before + most, &mut woken);
        woken.into_iter().for_each(Waker::wake);
        writing.len() - before
    }

    /// Takes frames of a read, and of what was kept of the one before. Wakers of those to wake go to `woken`.
    ///
    /// No more than [`BATCH`] or, if that is more, than half as many as there are calls in flight: so the server works on
    /// what their callers call next while this side works on the other half.
    pub(crate) fn receive(
        &self,
        now: Instant,
        woken: &mut Vec<Waker>,
        input: &mut Input,
        chunk: &[u8],
    ) -> Result<Received, ProtocolError> {
        let (mut at, mut count, mut leaving) = (0, 0, false);
        let mut state = self.lock();
        let most = BATCH.max(state.calls.in_flight() / 2);
        let kept = loop {
            if count == most {
                input.keep(&chunk[at..]);
                break !input.is_empty();
            }
            let Some(frame) = input.next(chunk, &mut at)? else { break false };
            count += 1;
            match state.calls.receive(frame, now, woken)? {
                Event::GoAway(go_away) => {
                    state.going_away = Some(go_away);
                    leaving = true;
                }
                Event::Pong(number) => state.pings.answered(number, woken),
                Event::Nothing => {}
            }
        };
        let State { calls, out, .. } = &mut *state;
        calls.answer_ping(out);
        woken.extend(state.next_in_queue());
        Ok(Received { leaving, kept })
    }

    /// This side ends the connection: asks the server to give up every call that is open.
    pub(crate) fn cancel_all(&self) {
        let mut woken = Vec::new();
        let mut state = self.lock();
        let State { calls, out, .. } = &mut *state;
        calls.cancel_all(out, &mut woken);
        // Those that wake find out from it.
        state.lost = Some(Lost::Closed);
        state.dismiss(&mut woken);
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
        state.lost.get_or_insert(lost);
        state.dismiss(&mut woken);
        let writer = state.writer.take();
        let out = mem::take(&mut state.out);
        drop(state);
        drop((writer, out));
        woken.into_iter().for_each(Waker::wake);
    }
}
