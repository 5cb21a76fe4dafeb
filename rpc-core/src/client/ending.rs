//! How calls end, other than by being taken.

use std::task::Waker;
use std::time::Instant;

use super::Calls;
use super::slot::{Done, Slot, State};
use crate::call_id::CallId;
use crate::frame::Kind;
use crate::output::Output;
#[cfg(planted)]
use crate::planted::{Bug, bites};
use crate::status::Executed;
use crate::stream::Outcome;

impl Calls {
    /// Gives a call that was just opened its time: at `deadline` it [expires](Self::expire).
    pub fn set_deadline(&mut self, id: CallId, deadline: Instant) {
        let at = usize::from(id.slot());
        if self.slots.get(at).is_some_and(|slot| slot.id == id) {
            if self.deadlines.len() <= at {
                self.deadlines.resize(at + 1, None);
            }
            self.deadlines[at] = Some(deadline);
            self.next_deadline = self.next_deadline.into_iter().chain([deadline]).min();
        }
    }

    /// No open call expires before this.
    #[must_use]
    #[inline]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.next_deadline
    }

    /// Ends the open calls whose time is up, as [`Outcome::Expired`](super::Outcome::Expired), and
    /// asks the server to give them up.
    ///
    /// Looks at every slot, but only when the first deadline that was set since it looked last has
    /// come: a call that is answered in time costs a comparison.
    pub fn expire(&mut self, now: Instant, out: &mut Output, woken: &mut Vec<Waker>) {
        if self.next_deadline.is_none_or(|next| now < next) {
            return;
        }
        self.next_deadline = None;
        for (slot, deadline) in self.slots.iter_mut().zip(&mut self.deadlines) {
            let (State::Open, Some(due)) = (&slot.state, *deadline) else { continue };
            if due <= now
                && let Some(duplex) = &slot.stream
            {
                *deadline = None;
                duplex.expire(Outcome::Expired, woken);
            } else if due <= now {
                slot.state = State::Expired;
                out.put(Kind::Cancel, 0, slot.id, &[]);
                woken.extend(slot.waker.take());
            } else {
                self.next_deadline = self.next_deadline.into_iter().chain([due]).min();
            }
        }
    }

    /// The connection is gone after `written` bytes: ends every call. One whose last byte was
    /// never written cannot have run.
    pub fn disconnect(&mut self, written: u64, woken: &mut Vec<Waker>) {
        #[cfg(planted)]
        let written = if bites(Bug::MaybeAsNo) { 0 } else { written };
        self.lose(|slot| Some(if slot.end > written { Executed::No } else { Executed::Maybe }), woken);
        // The task that it would wake is the one that ends.
        woken.extend(self.hub.close());
    }

    /// Ends every open call here, as [`Executed::Maybe`], and asks the server to give it up.
    pub fn cancel_all(&mut self, out: &mut Output, woken: &mut Vec<Waker>) {
        for slot in &self.slots {
            let is_open = match &slot.stream {
                Some(duplex) => duplex.take_cancel(),
                None => matches!(slot.state, State::Open),
            };
            if is_open {
                out.put(Kind::Cancel, 0, slot.id, &[]);
            }
        }
        self.lose(|_| Some(Executed::Maybe), woken);
    }

    pub(super) fn lose(&mut self, verdict: impl Fn(&Slot) -> Option<Executed>, woken: &mut Vec<Waker>) {
        for at in 0..self.slots.len() {
            let slot = &self.slots[at];
            if matches!(slot.state, State::Open | State::Expired | State::Abandoned)
                && let Some(executed) = verdict(slot)
            {
                self.end(slot.id, Done::Lost(executed), woken);
            }
        }
    }

    #[inline]
    pub(super) fn end(&mut self, id: CallId, done: Done, woken: &mut Vec<Waker>) {
        self.in_flight -= 1;
        let slot = &mut self.slots[usize::from(id.slot())];
        if let Some(duplex) = slot.stream.take() {
            duplex.end(done.into(), woken);
            self.streams -= 1;
            slot.release(id.slot());
            self.free.push(id.slot());
            return;
        }
        match slot.state {
            State::Abandoned => {
                slot.release(id.slot());
                self.free.push(id.slot());
                return;
            }
            // An answer after that is too late, whoever is first to see it.
            State::Expired => slot.state = State::Done(Done::Expired),
            _ => slot.state = State::Done(done),
        }
        #[cfg(planted)]
        if bites(Bug::LostWakeUp) {
            return;
        }
        woken.extend(slot.waker.take());
    }
}
