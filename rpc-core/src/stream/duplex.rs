//! One stream, as its connection sees it.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::Waker;

use super::credit::{Credit, MAX_CREDIT, Window, cost, late_item};
use super::hub::{Hub, Side};
use super::inbox::{Arrival, Inbox};
use super::outbox::{OUTBOX_MARK, Outbox};
use super::{Fault, Outcome, Shape};
use crate::body::Body;
use crate::call_id::CallId;
use crate::error::ProtocolError;
use crate::frame::{Kind, flags};
use crate::metadata::Metadata;
use crate::output::Output;
#[cfg(planted)]
use crate::planted::{Bug, bites};
use crate::status::Executed;
use crate::sync::{Mutex, MutexGuard, PoisonError};

/// A call whose arguments or answer are many items: what its two halves and its connection share.
///
/// Nothing of the user's runs under its lock.
pub struct Duplex {
    pub(super) id: CallId,
    pub(super) hub: Arc<Hub>,
    /// What is expected of it; the server's side expects nothing.
    shape: Shape,
    /// Items that are ready together go out together. Not where the connection's task could send the first while the
    /// next is still made.
    pub(crate) packs: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) outbox: Outbox,
    pub(super) credit: Credit,
    pub(super) finish: Step,
    /// The server is to be told that the call was given up.
    pub(super) cancel: Step,
    pub(super) inbox: Inbox,
    pub(super) window: Window,
    /// Credit that the peer is to be given.
    pub(super) owed: u64,
    /// Bytes that came and were not consumed.
    pub(super) held: u64,
    /// The client has sent its End.
    half_closed: bool,
    /// The client has closed its side.
    pub(super) no_credit_comes: bool,
    /// The server has begun to answer, with this beside it.
    pub(super) opened: Option<Metadata>,
    pub(super) trailers: Metadata,
    /// How the items that come end, once that is known.
    pub(super) incoming: Option<Outcome>,
    /// The call is over: nothing goes out any more.
    pub(super) over: bool,
    /// It stands in the hub's queue.
    queued: bool,
    pub(super) sender: Option<Waker>,
    pub(super) flusher: Option<Waker>,
    pub(super) reader: Option<Waker>,
}

/// Something that is sent once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    No,
    Owed,
    Sent,
}

impl Duplex {
    /// A stream that the client opens with its Request, and its End if it has no items to send.
    pub(crate) fn opened_by_client(id: CallId, hub: Arc<Hub>, shape: Shape) -> Arc<Self> {
        let finish = if shape.sends() { Step::No } else { Step::Sent };
        Self::new(id, hub, shape, finish, false)
    }

    /// A stream that came to the server.
    pub(crate) fn opened_to_server(id: CallId, hub: Arc<Hub>, packs: bool) -> Arc<Self> {
        Self::new(id, hub, Shape::Bidi, Step::No, packs)
    }

    fn new(id: CallId, hub: Arc<Hub>, shape: Shape, finish: Step, packs: bool) -> Arc<Self> {
        let state = State {
            outbox: Outbox::default(),
            credit: Credit::new(hub.peer.window),
            finish,
            cancel: Step::No,
            inbox: Inbox::default(),
            window: Window::new(hub.own.window),
            owed: 0,
            held: 0,
            half_closed: false,
            no_credit_comes: false,
            opened: None,
            trailers: Metadata::EMPTY,
            incoming: None,
            over: false,
            queued: false,
            sender: None,
            flusher: None,
            reader: None,
        };
        Arc::new(Self { id, hub, shape, packs, state: Mutex::new(state) })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of the lock, and stands in the hub's queue if it has to.
    pub(super) fn announce(self: &Arc<Self>, mut state: MutexGuard<'_, State>, has_something: bool) {
        let queue = has_something && !mem::replace(&mut state.queued, true);
        drop(state);
        if queue {
            self.hub.push(self.clone());
        }
    }

    /// A Data frame came.
    pub(crate) fn receive(
        self: &Arc<Self>,
        flags: u8,
        body: Body<'_>,
    ) -> Result<Option<Waker>, ProtocolError> {
        let len = body.as_slice().len() as u64;
        let mut guard = self.state();
        let state = &mut *guard;
        let expected = match self.hub.side {
            Side::Client => state.opened.is_some(),
            Side::Server => !state.half_closed,
        };
        if !expected {
            return Err(ProtocolError::UnexpectedKind { kind: Kind::Data, id: self.id });
        }
        if flags & flags::COMPRESSED != 0 {
            return Err(ProtocolError::UnknownFlags { kind: Kind::Data, flags });
        }
        let no_memory = !state.inbox.discards && !self.hub.reserve(len);
        state.inbox.discards |= no_memory;
        if !state.inbox.discards {
            state.held += len;
        }
        let (limit, window) = (self.hub.own.max_frame, &mut state.window);
        let arrival = state.inbox.push(&body, limit, |len| window.begin(cost(len)));
        #[cfg(planted)]
        if arrival == Arrival::Items(true) && !state.inbox.is_in_item() && bites(Bug::RepeatedItem) {
            state.inbox.push(&body, limit, |_| true);
        }
        match arrival {
            Arrival::Items(_) if no_memory => Ok(self.fail(guard, Fault::OutOfMemory)),
            Arrival::Items(true) => Ok(state.reader.take()),
            Arrival::Items(false) => Ok(None),
            Arrival::TooLarge => Ok(self.fail(guard, Fault::ItemTooLarge { limit })),
            Arrival::NoCredit => Err(ProtocolError::OverCredit { id: self.id }),
            Arrival::Broken => Err(ProtocolError::Truncated { kind: Kind::Data, field: "item length" }),
        }
    }

    /// What came cannot be taken, and nothing after it; what came before it stays.
    fn fail(self: &Arc<Self>, mut state: MutexGuard<'_, State>, fault: Fault) -> Option<Waker> {
        state.inbox.discards = true;
        state.incoming.get_or_insert(Outcome::Fault(fault));
        let reader = state.reader.take();
        if self.hub.side == Side::Client {
            self.cancel(state);
        }
        reader
    }

    /// The client's End came.
    pub(crate) fn half_close(&self) -> Result<Option<Waker>, ProtocolError> {
        let mut state = self.state();
        if mem::replace(&mut state.half_closed, true) || state.inbox.is_in_item() {
            return Err(ProtocolError::UnexpectedKind { kind: Kind::End, id: self.id });
        }
        state.incoming.get_or_insert(Outcome::Complete);
        Ok(state.reader.take())
    }

    /// A Credit came; whether it was paid for, and whom to wake.
    pub(crate) fn add_credit(&self, increment: u32) -> Result<(bool, Option<Waker>), ProtocolError> {
        let mut state = self.state();
        let paid = state.credit.add(increment)?;
        let may = state.credit.may_begin() && state.outbox.len() < OUTBOX_MARK;
        Ok((paid, if may { state.sender.take() } else { None }))
    }

    /// The head of the server's answer came: items follow.
    pub(crate) fn open(self: &Arc<Self>, metadata: Metadata) -> Result<Option<Waker>, ProtocolError> {
        let mut state = self.state();
        if state.opened.is_some() {
            return Err(ProtocolError::UnexpectedKind { kind: Kind::Response, id: self.id });
        }
        state.opened = Some(metadata);
        let reader = state.reader.take();
        if !self.shape.answers() && !state.over {
            drop(state);
            return Ok(self.fail(self.state(), Fault::WrongShape { stream: true }).or(reader));
        }
        Ok(reader)
    }

    /// The server's answer came in one piece.
    pub(crate) fn reply(&self, metadata: Metadata, body: Body<'_>, woken: &mut Vec<Waker>) {
        let mut state = self.state();
        if self.shape.answers() {
            let fault = Fault::WrongShape { stream: false };
            let left = state.end(Outcome::Fault(fault), Metadata::EMPTY, woken);
            drop(state);
            return drop(left);
        }
        if !state.inbox.discards {
            state.inbox.push_item(body.into_bytes());
        }
        let left = state.end(Outcome::Complete, metadata, woken);
        drop(state);
        drop(left);
    }

    /// The server's End came: the stream is complete.
    pub(crate) fn complete(&self, trailers: Metadata, woken: &mut Vec<Waker>) -> Result<(), ProtocolError> {
        let mut state = self.state();
        if state.opened.is_none() || state.inbox.is_in_item() {
            return Err(ProtocolError::UnexpectedKind { kind: Kind::End, id: self.id });
        }
        let left = state.end(Outcome::Complete, trailers, woken);
        drop(state);
        drop(left);
        Ok(())
    }

    /// The call is over, for this reason unless another was there first.
    pub(crate) fn end(&self, outcome: Outcome, woken: &mut Vec<Waker>) {
        let left = self.state().end(outcome, Metadata::EMPTY, woken);
        drop(left);
    }

    /// The same, and wakes them.
    pub(crate) fn end_now(&self, outcome: Outcome) {
        let mut woken = Vec::new();
        self.end(outcome, &mut woken);
        woken.into_iter().for_each(Waker::wake);
    }

    /// The client has closed its side: if it has not sent its End, that does not come any more.
    pub(crate) fn cut_off(&self) {
        let mut state = self.state();
        state.incoming.get_or_insert(Outcome::Lost(Executed::Maybe));
        state.no_credit_comes = true;
        let woken = [state.reader.take(), state.sender.take()];
        drop(state);
        woken.into_iter().flatten().for_each(Waker::wake);
    }

    /// The call's time is up. Whom to wake goes to `woken`.
    pub(crate) fn expire(self: &Arc<Self>, outcome: Outcome, woken: &mut Vec<Waker>) {
        let mut state = self.state();
        if !state.over {
            state.incoming.get_or_insert(outcome);
            woken.extend(state.reader.take());
            woken.extend(state.sender.take());
            self.cancel(state);
        }
    }

    /// Whether the server is to be told now that the call is given up; it is not told again.
    pub(crate) fn take_cancel(&self) -> bool {
        let mut state = self.state();
        mem::replace(&mut state.cancel, Step::Sent) != Step::Sent
    }

    /// What the peer may have sent before it knew that the call is over, and how many Credits.
    pub(crate) fn late(&self) -> (u64, u32) {
        let state = self.state();
        let left = state.window.left();
        // The eighth is for the lengths of items that come each in a frame of its own.
        let items = if state.half_closed { 0 } else { left + left / 8 + late_item(self.hub.own.max_frame) };
        (items, state.credit.unpaid().saturating_add(1))
    }

    /// Moves what it has to send to `out`; whether there is more.
    pub(super) fn drain(&self, out: &mut Output, room: usize, woken: &mut Vec<Waker>) -> bool {
        let mut state = self.state();
        if state.cancel == Step::Owed {
            out.put(Kind::Cancel, 0, self.id, &[]);
            state.cancel = Step::Sent;
        }
        if state.over {
            state.queued = false;
            // A fault of what came ended it, which woke only whoever reads.
            woken.extend(state.sender.take());
            return false;
        }
        let mut owed = mem::take(&mut state.owed);
        while owed > 0 && state.incoming.is_none() {
            let increment = owed.min(MAX_CREDIT.into()) as u32;
            out.put(Kind::Credit, 0, self.id, &increment.to_be_bytes());
            owed -= u64::from(increment);
        }
        state.outbox.drain(self.id, out, self.hub.peer.max_frame, room);
        if state.outbox.len() < OUTBOX_MARK && state.credit.may_begin() {
            woken.extend(state.sender.take());
        }
        state.queued = !state.outbox.is_empty();
        if !state.queued {
            if state.finish == Step::Owed {
                out.put(Kind::End, 0, self.id, &[]);
                state.finish = Step::Sent;
            }
            woken.extend(state.flusher.take());
        }
        state.queued
    }

    /// The call is over here, and the server is to be told.
    pub(super) fn cancel(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        state.over = true;
        // What came before it stays.
        state.inbox.discards = true;
        let left = mem::take(&mut state.outbox);
        if state.cancel == Step::No {
            state.cancel = Step::Owed;
        }
        self.announce(state, true);
        drop(left);
    }
}

impl State {
    /// Returns what does not go out any more: parts of it are the user's, to be dropped outside the lock.
    fn end(&mut self, outcome: Outcome, trailers: Metadata, woken: &mut Vec<Waker>) -> Outbox {
        if self.incoming.is_none() {
            self.incoming = Some(outcome);
            self.trailers = trailers;
        }
        self.over = true;
        if self.cancel == Step::Owed {
            self.cancel = Step::No;
        }
        let wakers = [self.reader.take(), self.sender.take(), self.flusher.take()];
        woken.extend(wakers.into_iter().flatten());
        mem::take(&mut self.outbox)
    }
}

impl Drop for Duplex {
    fn drop(&mut self) {
        let held = self.state.get_mut().unwrap_or_else(PoisonError::into_inner).held;
        self.hub.release(held);
    }
}

impl fmt::Debug for Duplex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Duplex").field("id", &self.id).finish_non_exhaustive()
    }
}
