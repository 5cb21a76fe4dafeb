//! The client's half of a connection: which calls are open, and what became of them.

mod ending;
mod pings;
mod receiving;
mod slot;

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::budget::Budget;
use crate::call_id::{CallId, MAX_COUNTER};
use crate::frame::{Kind, flags};
use crate::limits::{Limits, MAX_MAX_CALLS};
use crate::message::{self, GoAway, MAX_METHODS};
use crate::metadata::Metadata;
use crate::output::{Output, TooLarge};
#[cfg(planted)]
use crate::planted::{Bug, bites};
use crate::stream::{Duplex, Hub, Shape, Side};

pub use slot::Outcome;
use slot::{Done, Slot, State};

/// The calls of one connection, seen from the client.
///
/// A slab: the slot's number is part of the call id, so an answer finds its call without a hash.
/// Every call is in one of these states: open; expired (its time is up, and its caller does not know
/// yet); abandoned (its caller is gone, but slot and count are held until the server's terminal
/// frame, so that both sides count alike); done (waiting to be taken by [`poll`](Self::poll)).
#[derive(Debug)]
pub struct Calls {
    limits: Limits,
    counter: u64,
    names: HashMap<Arc<str>, u16>,
    /// The name used last: most calls go on with it, and a comparison is cheaper than a hash.
    last_name: (Arc<str>, u16),
    slots: Vec<Slot>,
    /// Of the calls in the slots of the same number, as far as one ever had one. Apart from them, so that
    /// calls without a deadline do not carry it through the caches.
    deadlines: Vec<Option<Instant>>,
    free: Vec<u16>,
    in_flight: u32,
    /// Of those in flight, calls with streams.
    streams: u32,
    hub: Arc<Hub>,
    going_away: Option<CallId>,
    /// Not later than the first deadline of an open call.
    next_deadline: Option<Instant>,
    budget: Budget,
    /// For Pings of our own: what the server allows.
    asking: Budget,
    pong: Option<u64>,
}

/// A request, without its body.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The full name, `Service.Method`; at most 255 bytes go on the wire.
    pub method: &'a str,
    /// Time left for the call.
    pub time_left: Option<Duration>,
    /// What goes beside the arguments.
    pub metadata: &'a Metadata,
    /// Which directions have items.
    pub stream: Option<Shape>,
}

/// Why a call could not be opened. Nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// As many calls are in flight as the server takes; wait for one to end.
    #[error("as many calls are in flight as the server takes")]
    Full,
    /// The server takes no new calls on this connection.
    #[error("the server takes no new calls on this connection")]
    GoingAway,
    /// The connection has used up its call ids.
    #[error("the connection has used up its call ids")]
    Exhausted,
    /// The request is longer than the server takes.
    #[error("request of {len} bytes is over the server's limit of {limit}")]
    TooLarge {
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        limit: u32,
    },
    /// As many streams are open as the server takes.
    #[error("{limit} streams are open, and the server takes no more on one connection")]
    TooManyStreams {
        /// The limit in streams.
        limit: u32,
    },
    /// The method name does not fit its field.
    #[error("method name is longer than 255 bytes")]
    NameTooLong,
}

/// What a frame meant, beyond the calls that it ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing more.
    Nothing,
    /// The answer to a Ping of ours, with its token.
    Pong(u64),
    /// No new calls. Those above the last id that may have started have ended as
    /// [`Executed::No`](crate::Executed::No).
    GoAway(GoAway),
}

impl Calls {
    /// No calls yet, on a connection whose server announced `limits`, from a client that announced `own`.
    #[must_use]
    pub fn new(limits: Limits, own: Limits) -> Self {
        Self {
            limits,
            counter: 0,
            names: HashMap::new(),
            last_name: ("".into(), 0),
            slots: Vec::new(),
            deadlines: Vec::new(),
            free: Vec::new(),
            in_flight: 0,
            streams: 0,
            hub: Hub::new(Side::Client, own, limits, None),
            going_away: None,
            next_deadline: None,
            budget: Budget::new(),
            asking: Budget::half(),
            pong: None,
        }
    }

    /// Calls whose terminal frame has not come.
    #[must_use]
    #[inline]
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// What the streams among the calls share.
    #[must_use]
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// The stream of a call that was just opened with one.
    #[must_use]
    pub fn stream(&self, id: CallId) -> Option<&Arc<Duplex>> {
        self.slots.get(usize::from(id.slot())).filter(|slot| slot.id == id)?.stream.as_ref()
    }

    /// How many more calls may be opened now.
    #[must_use]
    #[inline]
    pub fn room(&self) -> u32 {
        let slots = self.free.len() + MAX_MAX_CALLS as usize - self.slots.len();
        self.limits.max_calls.saturating_sub(self.in_flight).min(slots as u32)
    }

    /// Whether the server said that it takes no new calls.
    #[must_use]
    #[inline]
    pub fn is_going_away(&self) -> bool {
        self.going_away.is_some()
    }

    /// Whether every call id was used.
    #[must_use]
    #[inline]
    pub fn is_exhausted(&self) -> bool {
        self.counter == MAX_COUNTER
    }

    /// Opens a call: appends its Request to `out`. `sent` is the number of bytes that left `out`
    /// before, so that the call knows where in the stream its frame ends.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing was appended then, and no name or id used up.
    #[inline]
    pub fn open(
        &mut self,
        head: RequestHead<'_>,
        body: &[u8],
        shared: Option<Bytes>,
        waker: Option<Waker>,
        out: &mut Output,
        sent: u64,
    ) -> Result<CallId, OpenError> {
        if self.going_away.is_some() {
            return Err(OpenError::GoingAway);
        }
        if self.is_exhausted() {
            return Err(OpenError::Exhausted);
        }
        if self.room() == 0 {
            return Err(OpenError::Full);
        }
        if head.stream.is_some() && self.streams >= self.limits.max_streams {
            return Err(OpenError::TooManyStreams { limit: self.limits.max_streams });
        }
        let (index, introduces) = self.index_of(head.method)?;
        let slot = self.free.last().copied().unwrap_or(self.slots.len() as u16);
        let id = CallId::client(self.counter + 1, slot);
        let mut draft = out.draft(Kind::Request, id);
        let name = introduces.then_some(head.method);
        let mut flags = message::write_request_head(draft.body(), index, name, head.time_left, head.metadata);
        if head.stream.is_some() {
            flags |= flags::MORE;
        }
        draft.body().extend_from_slice(body);
        let limit = self.limits.max_frame;
        draft.finish(flags, shared, limit).map_err(|TooLarge { len }| OpenError::TooLarge { len, limit })?;

        self.counter += 1;
        self.in_flight += 1;
        if introduces && index != 0 {
            self.names.insert(head.method.into(), index);
        }
        if self.free.pop().is_none() {
            self.slots.push(Slot::new());
        }
        let entry = &mut self.slots[usize::from(slot)];
        entry.id = id;
        entry.state = State::Open;
        // A stream has wakers of its own.
        entry.waker = waker.filter(|_| head.stream.is_none());
        entry.end = sent + out.len() as u64;
        entry.stream = head.stream.map(|shape| Duplex::opened_by_client(id, self.hub.clone(), shape));
        if let Some(shape) = head.stream {
            self.streams += 1;
            if !shape.sends() {
                out.put(Kind::End, 0, id, &[]);
            }
        }
        if let Some(deadline) = self.deadlines.get_mut(usize::from(slot)) {
            *deadline = None;
        }
        Ok(id)
    }

    #[inline]
    fn index_of(&mut self, method: &str) -> Result<(u16, bool), OpenError> {
        if *self.last_name.0 == *method && self.last_name.1 != 0 {
            return Ok((self.last_name.1, false));
        }
        if let Some((name, index)) = self.names.get_key_value(method) {
            self.last_name = (name.clone(), *index);
            return Ok((*index, false));
        }
        if method.len() > usize::from(u8::MAX) {
            return Err(OpenError::NameTooLong);
        }
        let known = self.names.len() as u16;
        Ok((if known == MAX_METHODS { 0 } else { known + 1 }, true))
    }

    /// Takes what became of a call, or leaves `waker` to be woken. A small body is swapped into
    /// `buffer`. A call that is done is forgotten with this. A waker that is replaced goes to
    /// `replaced`, to be dropped outside any lock.
    ///
    /// # Panics
    /// When the call was taken or abandoned before.
    #[inline]
    pub fn poll(
        &mut self,
        id: CallId,
        waker: &Waker,
        buffer: &mut Vec<u8>,
        replaced: &mut Option<Waker>,
    ) -> Poll<Outcome> {
        let slot = &mut self.slots[usize::from(id.slot())];
        assert!(slot.id == id, "call {id} was taken before");
        match std::mem::replace(&mut slot.state, State::Free) {
            State::Done(done) => {
                if matches!(done, Done::Response { large: None, .. }) {
                    std::mem::swap(buffer, &mut slot.buffer);
                }
                slot.release(id.slot());
                self.free.push(id.slot());
                Poll::Ready(match done {
                    Done::Response { metadata, large } => Outcome::Response { metadata, large },
                    Done::Status(status) => Outcome::Status(*status),
                    Done::Lost(executed) => Outcome::Lost(executed),
                    Done::Expired => Outcome::Expired,
                })
            }
            // Slot and count are held until the terminal frame.
            State::Expired => {
                slot.state = State::Abandoned;
                Poll::Ready(Outcome::Expired)
            }
            state => {
                assert!(matches!(state, State::Open), "call {id} was abandoned before");
                slot.state = state;
                if !slot.waker.as_ref().is_some_and(|old| old.will_wake(waker)) {
                    *replaced = slot.waker.replace(waker.clone());
                }
                Poll::Pending
            }
        }
    }

    /// The caller is gone: asks the server to stop, if the call is still open. Returns the waker
    /// that was left, to be dropped outside any lock.
    pub fn abandon(&mut self, id: CallId, out: &mut Output) -> Option<Waker> {
        let slot = self.slots.get_mut(usize::from(id.slot())).filter(|slot| slot.id == id)?;
        let waker = slot.waker.take();
        match slot.state {
            State::Open => {
                slot.state = State::Abandoned;
                #[cfg(planted)]
                if bites(Bug::ReusedSlot) {
                    self.free.push(id.slot());
                }
                #[cfg(planted)]
                if bites(Bug::UnsentCancel) {
                    return waker;
                }
                out.put(Kind::Cancel, 0, id, &[]);
            }
            State::Done(_) => {
                slot.release(id.slot());
                self.free.push(id.slot());
            }
            // Its Cancel went out when it expired.
            State::Expired => slot.state = State::Abandoned,
            State::Free | State::Abandoned => {}
        }
        waker
    }

    /// Appends a GoAway: why this side ends the connection. Of the server's calls, none has started.
    pub fn go_away(&self, go_away: &GoAway, out: &mut Output) {
        out.put(Kind::GoAway, 0, CallId::NONE, &go_away.to_body());
    }
}

#[cfg(test)]
mod tests;
