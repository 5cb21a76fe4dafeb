//! What stands behind the lock.

use std::collections::BTreeMap;
use std::mem;
use std::task::Waker;
use std::time::Instant;

use rpc_core::Limits;
use rpc_core::client::Calls;
use rpc_core::message::GoAway;
use rpc_core::output::Output;

use super::pings::Pings;
use crate::error::Lost;

/// Callers wait for the writer once this many bytes do.
const OUTPUT_MARK: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct State {
    pub(super) calls: Calls,
    pub(super) out: Output,
    /// Bytes that the writer took out of `out` so far.
    pub(super) taken: u64,
    /// Set by the task when it saw `out` empty; cleared by the one caller that wakes it.
    pub(super) idle: bool,
    pub(super) writer: Option<Waker>,
    /// When the task will look for calls whose time is up.
    pub(super) timer: Option<Instant>,
    /// Callers without a slot, in the order in which they came.
    pub(super) queue: BTreeMap<u64, Waker>,
    next_ticket: u64,
    pub(super) pings: Pings,
    pub(super) closing: bool,
    pub(super) going_away: Option<GoAway>,
    pub(super) lost: Option<Lost>,
}

impl State {
    pub(super) fn new(limits: Limits, own: Limits) -> Self {
        Self {
            calls: Calls::new(limits, own),
            out: Output::default(),
            taken: 0,
            idle: false,
            writer: None,
            timer: None,
            queue: BTreeMap::new(),
            next_ticket: 0,
            pings: Pings::default(),
            closing: false,
            going_away: None,
            lost: None,
        }
    }

    #[inline]
    pub(super) fn may_open(&self, ticket: Option<u64>) -> bool {
        let first = match (self.queue.keys().next(), ticket) {
            (None, _) => true,
            (Some(first), Some(ticket)) => ticket <= *first,
            (Some(_), None) => false,
        };
        // A connection that takes no new calls says so at once.
        self.calls.is_going_away() || first && self.has_room()
    }

    #[inline]
    fn has_room(&self) -> bool {
        self.calls.room() > 0 && self.out.len() < OUTPUT_MARK
    }

    pub(super) fn enqueue(&mut self, ticket: Option<u64>, waker: Waker) -> (u64, Option<Waker>) {
        let ticket = ticket.unwrap_or_else(|| {
            self.next_ticket += 1;
            self.next_ticket
        });
        (ticket, self.queue.insert(ticket, waker))
    }

    /// Those to wake because there is room. They leave the queue, so that one who is not polled
    /// holds up nobody; who comes too late queues again, in its old place.
    #[inline]
    pub(super) fn next_in_queue(&mut self) -> Vec<Waker> {
        if self.queue.is_empty() {
            return Vec::new();
        }
        let room = match self.calls.is_going_away() {
            true => usize::MAX,
            false if self.has_room() => self.calls.room() as usize,
            false => 0,
        };
        let count = room.min(self.queue.len());
        (0..count).filter_map(|_| self.queue.pop_first()).map(|(_, waker)| waker).collect()
    }

    /// The connection is over: nobody gets what they wait for.
    pub(super) fn dismiss(&mut self, woken: &mut Vec<Waker>) {
        woken.extend(mem::take(&mut self.queue).into_values());
        self.pings.dismiss(woken);
    }

    /// Returns the waker it replaces, to be dropped outside the lock.
    pub(super) fn set_writer(&mut self, waker: &Waker) -> Option<Waker> {
        match &self.writer {
            Some(old) if old.will_wake(waker) => None,
            _ => self.writer.replace(waker.clone()),
        }
    }

    /// The task's waker, if the task has to know of new output or of a sooner deadline.
    #[inline]
    pub(super) fn wake_writer(&mut self) -> Option<Waker> {
        let next = self.calls.next_deadline();
        let sooner = next.is_some_and(|next| self.timer.is_none_or(|timer| next < timer));
        if !sooner && (!self.idle || self.out.is_empty()) {
            return None;
        }
        self.timer = next;
        self.idle = false;
        self.writer.clone()
    }
}
