//! Memory that large bodies were read into, for the next ones.

use std::fmt;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Buffers of large bodies that nobody needs any more, up to so many bytes.
///
/// To a large body, memory that is new costs as much as being read: the allocator gets it from the system and gives it
/// back, and each of its pages is cleared and mapped again. What is kept here was filled before; a peer that claims a long
/// body and does not send it holds no more than that.
pub struct Spare {
    kept: Mutex<Kept>,
    most: usize,
}

struct Kept {
    /// The one that was given back last stands last.
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

impl Spare {
    /// Keeps up to `most` bytes.
    #[must_use]
    pub const fn new(most: usize) -> Self {
        Self { kept: Mutex::new(Kept { buffers: Vec::new(), bytes: 0 }), most }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An empty buffer for so many bytes, if there is one: the smallest, so that small bodies leave the others to large ones.
    pub(crate) fn take(&self, capacity: usize) -> Option<Vec<u8>> {
        let mut kept = self.lock();
        let fitting = kept.buffers.iter().enumerate().filter(|(_, buffer)| buffer.capacity() >= capacity);
        let (at, _) = fitting.min_by_key(|(_, buffer)| buffer.capacity())?;
        let buffer = kept.buffers.remove(at);
        kept.bytes -= buffer.capacity();
        Some(buffer)
    }

    /// Keeps a buffer, in place of the oldest ones if there is no room.
    fn put(&self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        if capacity > self.most {
            return;
        }
        buffer.clear();
        let mut dropped = Vec::new();
        let mut kept = self.lock();
        while kept.bytes + capacity > self.most {
            let oldest = kept.buffers.remove(0);
            kept.bytes -= oldest.capacity();
            dropped.push(oldest);
        }
        kept.bytes += capacity;
        kept.buffers.push(buffer);
        drop(kept);
    }

    /// What was read into `buffer`, which comes back here with the last of its clones.
    pub(crate) fn lend(&'static self, buffer: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent { buffer, spare: self })
    }
}

impl fmt::Debug for Spare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spare").field("bytes", &self.lock().bytes).field("most", &self.most).finish()
    }
}

struct Lent {
    buffer: Vec<u8>,
    spare: &'static Spare,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.spare.put(mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_with_the_last_clone_of_its_bytes() {
        static SPARE: Spare = Spare::new(1000);
        let buffer = vec![7; 100];
        let place = buffer.as_ptr();
        let bytes = SPARE.lend(buffer);
        let part = bytes.slice(90..);
        drop(bytes);
        assert!(SPARE.take(100).is_none());
        assert_eq!(&part[..], [7; 10]);
        drop(part);
        let again = SPARE.take(100).unwrap();
        assert!(again.as_ptr() == place && again.is_empty());
    }

    #[test]
    fn the_oldest_buffers_make_room_and_one_that_is_too_large_is_not_kept() {
        let spare = Spare::new(1000);
        for capacity in [300, 400, 300, 250, 1001] {
            spare.put(Vec::with_capacity(capacity));
        }
        let kept: Vec<_> = spare.lock().buffers.iter().map(Vec::capacity).collect();
        assert_eq!((kept, spare.lock().bytes), (vec![400, 300, 250], 950));
    }

    #[test]
    fn the_smallest_that_fits_is_taken() {
        let spare = Spare::new(1000);
        for capacity in [300, 100, 200] {
            spare.put(Vec::with_capacity(capacity));
        }
        let taken = [150, 150, 150, 50].map(|capacity| spare.take(capacity).map(|buffer| buffer.capacity()));
        assert_eq!(taken, [Some(200), Some(300), None, Some(100)]);
    }
}
