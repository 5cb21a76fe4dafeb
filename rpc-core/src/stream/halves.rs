//! One stream, as its two halves see it.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::Outcome;
use super::duplex::{Duplex, Step};
use super::hub::Side;
use super::inbox::Batch;
use super::outbox::{OUTBOX_MARK, item_cost};
use crate::frame::{HEADER_LEN, Kind, flags};
use crate::message::write_metadata;
use crate::metadata::Metadata;
use crate::output::TooLarge;
#[cfg(planted)]
use crate::planted::{Bug, bites};

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
    /// Ready when an item may be sent.
    pub fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        let mut state = self.state();
        if state.over || state.finish != Step::No {
            return Poll::Ready(Err(Closed));
        }
        if state.credit.may_begin() && state.outbox.len() < OUTBOX_MARK {
            return Poll::Ready(Ok(()));
        }
        let old = state.sender.replace(cx.waker().clone());
        drop(state);
        drop(old);
        Poll::Pending
    }

    /// Sends an item, `encoded` and behind it `shared`, once [`poll_ready`](Self::poll_ready) said that
    /// it may be. `encoded` may be taken.
    ///
    /// # Errors
    /// When the call is over; nothing is sent then.
    pub fn send(self: &Arc<Self>, encoded: &mut Vec<u8>, shared: Option<Bytes>) -> Result<(), Closed> {
        let len = encoded.len() + shared.as_ref().map_or(0, Bytes::len);
        let mut state = self.state();
        if state.over || state.finish != Step::No {
            return Err(Closed);
        }
        state.credit.charge(item_cost(len));
        state.outbox.push(self.id, encoded, shared);
        self.announce(state, true);
        Ok(())
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
        let flags = flags::MORE | write_metadata(&mut body, metadata);
        let len = HEADER_LEN + body.len();
        if len > self.hub.peer.max_frame as usize {
            return Err(TooLarge { len });
        }
        let mut state = self.state();
        if !state.over {
            state.outbox.put(Kind::Response, flags, self.id, &body);
            self.announce(state, true);
        }
        Ok(())
    }

    /// Ready when nothing waits to go out any more.
    pub(crate) fn poll_flushed(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        #[cfg(planted)]
        if !state.outbox.is_empty() && bites(Bug::LostItems) {
            state.outbox.clear();
        }
        if state.over || state.outbox.is_empty() {
            return Poll::Ready(());
        }
        let old = state.flusher.replace(cx.waker().clone());
        drop(state);
        drop(old);
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
        woken.into_iter().for_each(std::task::Waker::wake);
    }

    /// Ready when the server has begun to answer, or the call has ended without that.
    pub fn poll_opened(&self, cx: &mut Context<'_>) -> Poll<Result<(), Outcome>> {
        let mut state = self.state();
        // The head came before whatever ended it.
        if state.opened.is_some() {
            return Poll::Ready(Ok(()));
        }
        if let Some(outcome) = &state.incoming {
            return Poll::Ready(Err(outcome.clone()));
        }
        let old = state.reader.replace(cx.waker().clone());
        drop(state);
        drop(old);
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
        let old = state.reader.replace(cx.waker().clone());
        drop(state);
        drop(old);
        Poll::Pending
    }

    /// Items that cost so much were consumed: the peer may send more.
    pub fn consume(self: &Arc<Self>, cost: u64) {
        let mut state = self.state();
        let cost = cost.min(state.held);
        state.held -= cost;
        self.hub.release(cost);
        let due = match state.window.consume(cost) {
            #[cfg(planted)]
            Some(_) if bites(Bug::CreditLeak) => false,
            Some(increment) if !state.discards && state.incoming.is_none() && !state.over => {
                state.owed = state.owed.saturating_add(increment);
                true
            }
            _ => false,
        };
        self.announce(state, due);
    }

    /// Half of this side's window: what has to be [consumed](Self::consume) for the peer to be told.
    #[must_use]
    pub fn half_window(&self) -> u64 {
        u64::from(self.hub.own.window / 2)
    }

    /// Nobody takes items any more. At the client that gives the call up, unless it is over.
    pub fn stop_reading(self: &Arc<Self>) {
        let mut state = self.state();
        state.discards = true;
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
