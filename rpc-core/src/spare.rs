//! Memory that large bodies were read into, for the next ones.

use std::fmt;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Buffers of large bodies that nobody needs any more, up to so many bytes.
///
/// To a large body, memory that is new costs as much as being read: the allocator gets it from the system and gives it
/// back, and each of its pages is cleared and mapped again. What is kept here was filled before. All peers that claim long
/// bodies and do not send them hold no more than that together: what they borrow is not made up for while they have it.
pub struct Spare {
    state: Mutex<State>,
    most: usize,
}

struct State {
    /// The one that was given back last stands last.
    buffers: Vec<Vec<u8>>,
    /// In `buffers`.
    kept: usize,
    /// In bodies that have not come whole.
    borrowed: usize,
}

impl Spare {
    /// Keeps up to `most` bytes.
    #[must_use]
    pub const fn new(most: usize) -> Self {
        Self { state: Mutex::new(State { buffers: Vec::new(), kept: 0, borrowed: 0 }), most }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a buffer, in place of the oldest ones if there is no room.
    fn put(&self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        buffer.clear();
        let mut dropped = Vec::new();
        let mut state = self.lock();
        if state.borrowed.saturating_add(capacity) > self.most {
            drop(state);
            return;
        }
        while state.kept + state.borrowed + capacity > self.most {
            let oldest = state.buffers.remove(0);
            state.kept -= oldest.capacity();
            dropped.push(oldest);
        }
        state.kept += capacity;
        state.buffers.push(buffer);
        drop(state);
    }
}

/// What one reader has of it: a buffer for a body that is on its way, until that has come whole.
pub(crate) struct Borrower {
    spare: &'static Spare,
    borrowed: usize,
}

impl Borrower {
    pub(crate) const fn new(spare: &'static Spare) -> Self {
        Self { spare, borrowed: 0 }
    }

    /// An empty buffer for so many bytes, if there is one: the smallest, so that small bodies leave the others to large
    /// ones, and none half as large again, because a body may be kept for long and counts by its length. It is in place
    /// of the one from before.
    pub(crate) fn borrow(&mut self, capacity: usize) -> Option<Vec<u8>> {
        let fits = capacity..=capacity.saturating_add(capacity / 2);
        let mut state = self.spare.lock();
        let fitting =
            state.buffers.iter().enumerate().filter(|(_, buffer)| fits.contains(&buffer.capacity()));
        let (at, _) = fitting.min_by_key(|(_, buffer)| buffer.capacity())?;
        let buffer = state.buffers.remove(at);
        state.kept -= buffer.capacity();
        state.borrowed = state.borrowed - self.borrowed + buffer.capacity();
        self.borrowed = buffer.capacity();
        Some(buffer)
    }

    /// The buffer is no longer one for a body that is to come.
    pub(crate) fn settle(&mut self) {
        if self.borrowed > 0 {
            self.spare.lock().borrowed -= mem::take(&mut self.borrowed);
        }
    }

    /// What was read into `buffer`, which goes back with the last of its clones.
    pub(crate) fn filled(&mut self, buffer: Vec<u8>) -> Bytes {
        self.settle();
        Bytes::from_owner(Filled { buffer, spare: self.spare })
    }
}

impl Drop for Borrower {
    fn drop(&mut self) {
        self.settle();
    }
}

impl fmt::Debug for Borrower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Borrower").field("borrowed", &self.borrowed).finish_non_exhaustive()
    }
}

impl fmt::Debug for Spare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let State { kept, borrowed, .. } = *self.lock();
        let mut shown = f.debug_struct("Spare");
        shown.field("kept", &kept).field("borrowed", &borrowed).field("most", &self.most).finish()
    }
}

struct Filled {
    buffer: Vec<u8>,
    spare: &'static Spare,
}

impl AsRef<[u8]> for Filled {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        self.spare.put(mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests;
