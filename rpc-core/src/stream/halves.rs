//! One stream, as its two halves see it.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::Outcome;
use super::credit::ITEM_COST;
use super::duplex::{Duplex, State, Step};
use super::hub::Side;
use super::inbox::Batch;
use super::outbox::OUTBOX_MARK;
use super::parcel::{ITEM_HEAD, Large, Parcel};
use crate::frame::HEADER_LEN;
use crate::message::write_metadata;
use crate::metadata::Metadata;
use crate::output::TooLarge;
#[cfg(planted)]
use crate::planted::{Bug, bites};
use crate::sync::MutexGuard;

/// The call is over; why, its receiving half knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

/// What a receiving half gets.
#[derive(Debug)]
pub enum Next {
    /// Items are in the batch.
    Items,
    /// No more will come.
    End(Outcome),
}

impl Duplex {
    /// Ready when items may be sent: how much credit there is, which the last of them may exceed.
    pub(crate) fn poll_credit(&self, cx: &mut Context<'_>) -> Poll<Result<u64, Closed>> {
        let state = self.state();
        match state.may_send() {
            Ok(true) => Poll::Ready(Ok(state.credit.left().unsigned_abs())),
            Ok(false) => {
                wait(state, |state| &mut state.sender, cx);
                Poll::Pending
            }
            Err(closed) => Poll::Ready(Err(closed)),
        }
    }

    /// Sends the items of a parcel, which is empty after that, as soon as one of them may be sent.
    pub(crate) fn poll_send(
        self: &Arc<Self>,
        parcel: &mut Parcel,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Closed>> {
        let mut state = self.state();
        match state.may_send() {
            Ok(true) => {
                state.credit.charge(parcel.cost());
                state.outbox.push(parcel);
                self.announce(state, true);
                Poll::Ready(Ok(()))
            }
            Ok(false) => {
                wait(state, |state| &mut state.sender, cx);
                Poll::Pending
            }
            Err(closed) => Poll::Ready(Err(closed)),
        }
    }

    /// Sends items after [`poll_credit`](Self::poll_credit) said that they may be.
    pub(crate) fn send(self: &Arc<Self>, parcel: &mut Parcel, large: Option<Large>) {
        let mut state = self.state();
        if state.over {
            return;
        }
        state.credit.charge(parcel.cost());
        state.outbox.push(parcel);
        if let Some(large) = large {
            state.credit.charge(large.cost());
            state.outbox.push_large(large);
        }
        let has_something = !state.outbox.is_empty();
        self.announce(state, has_something);
    }

    /// The largest item that the peer takes, in bytes.
    #[must_use]
    pub fn largest_item(&self) -> u32 {
        self.hub.peer.max_frame
    }

    /// Sends the head of the server's answer: items follow.
    ///
    /// # Errors
    /// When it is longer than the peer takes; nothing is sent then.
    pub(crate) fn put_head(self: &Arc<Self>, metadata: &Metadata) -> Result<(), TooLarge> {
        let mut body = Vec::new();
        let flags = write_metadata(&mut body, metadata);
        let len = HEADER_LEN + body.len();
        if len > self.hub.peer.max_frame as usize {
            return Err(TooLarge { len });
        }
        let mut state = self.state();
        if !state.over {
            state.outbox.push_head(flags, body);
            self.announce(state, true);
        }
        Ok(())
    }

    /// Ready when nothing waits to go out any more; an error if it was dropped, for the call is over.
    pub(crate) fn poll_flushed(&self, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        let state = self.state();
        #[cfg(planted)]
        let mut state = state;
        #[cfg(planted)]
        if !state.outbox.is_empty() && bites(Bug::LostItems) {
            state.outbox = Default::default();
        }
        if state.over {
            return Poll::Ready(Err(Closed));
        }
        if state.outbox.is_empty() {
            return Poll::Ready(Ok(()));
        }
        wait(state, |state| &mut state.flusher, cx);
        Poll::Pending
    }

    /// The client has sent all its items.
    pub fn finish(self: &Arc<Self>) {
        let mut state = self.state();
        if !state.over && state.finish == Step::No {
            state.finish = Step::Owed;
            self.announce(state, true);
        }
    }

    /// The client gives the call up, unless it is over.
    pub fn give_up(self: &Arc<Self>) {
        let mut woken = Vec::new();
        self.expire(Outcome::GivenUp, &mut woken);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Ready when the server has begun to answer, or the call has ended without that.
    pub fn poll_opened(&self, cx: &mut Context<'_>) -> Poll<Result<(), Outcome>> {
        let state = self.state();
        // The head came before whatever ended it.
        if state.opened.is_some() {
            return Poll::Ready(Ok(()));
        }
        if let Some(outcome) = &state.incoming {
            return Poll::Ready(Err(outcome.clone()));
        }
        wait(state, |state| &mut state.reader, cx);
        Poll::Pending
    }

    /// Puts the items that have come into `batch`, which is empty.
    pub fn poll_items(&self, cx: &mut Context<'_>, batch: &mut Batch) -> Poll<Next> {
        let mut state = self.state();
        if !state.inbox.is_empty() {
            state.inbox.take(batch);
            return Poll::Ready(Next::Items);
        }
        if let Some(outcome) = &state.incoming {
            return Poll::Ready(Next::End(outcome.clone()));
        }
        wait(state, |state| &mut state.reader, cx);
        Poll::Pending
    }

    /// So many items were consumed, of so many bytes together: the peer may send more.
    pub fn consume(self: &Arc<Self>, items: u64, bytes: u64) {
        let mut state = self.state();
        let held = (bytes + items * ITEM_HEAD as u64).min(state.held);
        state.held -= held;
        self.hub.release(held);
        // What may not come any more needs no credit.
        if state.inbox.discards || state.incoming.is_some() || state.over {
            return;
        }
        let increment = state.window.consume(bytes + items * u64::from(ITEM_COST));
        #[cfg(planted)]
        let increment = increment.filter(|_| !bites(Bug::CreditLeak));
        state.owed = state.owed.saturating_add(increment.unwrap_or_default());
        self.announce(state, increment.is_some());
    }

    /// Half of this side's window: what has to be [consumed](Self::consume) for the peer to be told.
    #[must_use]
    pub fn half_window(&self) -> u64 {
        u64::from(self.hub.own.window / 2)
    }

    /// Nobody takes items any more. At the client that gives the call up, unless it is over.
    pub fn stop_reading(self: &Arc<Self>) {
        let mut state = self.state();
        state.inbox.discard();
        let held = mem::take(&mut state.held);
        drop(state);
        self.hub.release(held);
        if self.hub.side == Side::Client {
            self.give_up();
        }
    }

    /// What came with the beginning of the answer, once that is here.
    #[must_use]
    pub fn metadata(&self) -> Option<Metadata> {
        self.state().opened.clone()
    }

    /// What came with the end of the answer.
    #[must_use]
    pub fn trailers(&self) -> Metadata {
        self.state().trailers.clone()
    }
}

impl State {
    fn may_send(&self) -> Result<bool, Closed> {
        let never = self.no_credit_comes && !self.credit.may_begin();
        match self.over || self.finish != Step::No || never {
            true => Err(Closed),
            false => Ok(self.credit.may_begin() && self.outbox.len() < OUTBOX_MARK),
        }
    }
}

/// Leaves a waker; the one before is dropped outside the lock.
fn wait(
    mut state: MutexGuard<'_, State>,
    place: impl FnOnce(&mut State) -> &mut Option<Waker>,
    cx: &Context<'_>,
) {
    let place = place(&mut state);
    let old = match place {
        Some(old) if old.will_wake(cx.waker()) => None,
        place => place.replace(cx.waker().clone()),
    };
    drop(state);
    drop(old);
}
