//! The Pings that callers wait for.

use std::collections::BTreeMap;
use std::mem;
use std::task::Waker;

/// Pings are numbered, and a Pong answers all up to its own: a server merges them.
#[derive(Debug, Default)]
pub(super) struct Pings {
    sent: u64,
    answered: u64,
    waiting: BTreeMap<u64, Waker>,
}

impl Pings {
    /// The number of a Ping that may be sent now.
    pub(super) fn next(&self) -> u64 {
        self.sent + 1
    }

    pub(super) fn sent(&mut self, number: u64) {
        self.sent = number;
    }

    pub(super) fn answered(&mut self, number: u64, woken: &mut Vec<Waker>) {
        // A Pong nobody asked for says nothing.
        if number > self.sent {
            return;
        }
        self.answered = self.answered.max(number);
        let later = self.waiting.split_off(&(number + 1));
        woken.extend(mem::replace(&mut self.waiting, later).into_values());
    }

    pub(super) fn is_answered(&self, number: u64) -> bool {
        number <= self.answered
    }

    /// Returns the waker it replaces, to be dropped outside the lock.
    pub(super) fn wait(&mut self, number: u64, waker: Waker) -> Option<Waker> {
        self.waiting.insert(number, waker)
    }

    pub(super) fn forget(&mut self, number: u64) -> Option<Waker> {
        self.waiting.remove(&number)
    }

    pub(super) fn dismiss(&mut self, woken: &mut Vec<Waker>) {
        woken.extend(mem::take(&mut self.waiting).into_values());
    }
}
