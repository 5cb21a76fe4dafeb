//! Frames on their way out: one buffer that everything is appended to, and large bodies by reference.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

use crate::call_id::CallId;
use crate::frame::{HEADER_LEN, Kind, PREFIX_LEN, prefix};

/// Written bytes in front of a tail that never runs empty are dropped from here on, once they are
/// half of it: each byte is moved at most once on average.
const COMPACT: usize = 64 * 1024;

/// Bytes that wait to be written.
///
/// Small frames lie one behind the other in one buffer; a large body stands as a segment of its own
/// between two such buffers.
#[derive(Debug, Default)]
pub struct Output {
    segments: VecDeque<Bytes>,
    segments_len: usize,
    tail: Vec<u8>,
    /// Bytes of the first segment, or of the tail when there is none, that are written already.
    written: usize,
}

/// A frame that would be longer than the peer takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge {
    /// The length it would have, in bytes behind the length field.
    pub len: usize,
}

impl Output {
    /// Bytes that wait.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.segments_len + self.tail.len() - self.written
    }

    /// Whether nothing waits.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends bytes that are no frame (a head).
    pub fn extend(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
    }

    /// Appends a frame whose body is known to be small.
    #[inline]
    pub fn put(&mut self, kind: Kind, flags: u8, id: CallId, body: &[u8]) {
        self.tail.extend_from_slice(&prefix(kind, flags, id, body.len()));
        self.tail.extend_from_slice(body);
    }

    /// Starts a frame. Until [`Draft::finish`] it does not count: a dropped draft leaves no trace.
    #[inline]
    pub fn draft(&mut self, kind: Kind, id: CallId) -> Draft<'_> {
        let start = self.tail.len();
        self.tail.extend_from_slice(&prefix(kind, 0, id, 0));
        Draft { output: self, start, finished: false }
    }

    /// Appends bytes by reference.
    pub fn push(&mut self, segment: Bytes) {
        self.seal();
        self.segments_len += segment.len();
        self.segments.push_back(segment);
    }

    fn seal(&mut self) {
        if self.tail.is_empty() {
            return;
        }
        let mut sealed = Bytes::from(std::mem::take(&mut self.tail));
        if self.segments.is_empty() {
            sealed = sealed.split_off(self.written);
            self.written = 0;
        }
        self.segments_len += sealed.len();
        self.segments.push_back(sealed);
    }

    /// The bytes that wait, when they lie in one piece.
    #[must_use]
    #[inline]
    pub fn single(&self) -> Option<&[u8]> {
        self.segments.is_empty().then(|| &self.tail[self.written..])
    }

    /// Fills `slices` with what waits, in order, for a vectored write.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let parts = self.segments.iter().map(|segment| &segment[..]).chain([&self.tail[..]]);
        let (mut count, mut skip) = (0, self.written);
        for (slot, part) in slices.iter_mut().zip(parts) {
            *slot = IoSlice::new(&part[skip..]);
            skip = 0;
            count += 1;
        }
        count
    }

    /// Forgets the first `count` bytes, which were written.
    ///
    /// # Panics
    /// When there are fewer.
    pub fn advance(&mut self, count: usize) {
        assert!(count <= self.len(), "advanced past the end");
        self.written += count;
        while let Some(first) = self.segments.front()
            && self.written >= first.len()
        {
            self.written -= first.len();
            self.segments_len -= first.len();
            self.segments.pop_front();
        }
        if self.segments.is_empty() && self.written == self.tail.len() {
            self.tail.clear();
            self.written = 0;
        } else if self.segments.is_empty() && self.written >= COMPACT && self.written >= self.tail.len() / 2 {
            self.tail.drain(..self.written);
            self.written = 0;
        }
    }

    /// Bytes of memory held by the buffer that small frames go into.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.tail.capacity()
    }

    /// Hands out the memory for small frames while nothing waits, for others to use meanwhile.
    #[must_use]
    pub fn give_buffer(&mut self) -> Vec<u8> {
        if self.is_empty() { std::mem::take(&mut self.tail) } else { Vec::new() }
    }

    /// Takes memory for small frames; its content is forgotten.
    pub fn take_buffer(&mut self, mut buffer: Vec<u8>) {
        if self.tail.is_empty() && self.tail.capacity() < buffer.capacity() {
            buffer.clear();
            self.tail = buffer;
        }
    }

    /// A copy of what waits, in one piece.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.written + self.len());
        self.segments.iter().for_each(|segment| all.extend_from_slice(segment));
        all.extend_from_slice(&self.tail);
        all.split_off(self.written)
    }
}

/// A frame that is being written.
#[derive(Debug)]
pub struct Draft<'a> {
    output: &'a mut Output,
    start: usize,
    finished: bool,
}

impl Draft<'_> {
    /// Where the body goes. Bytes before the frame must not be touched.
    #[inline]
    pub fn body(&mut self) -> &mut Vec<u8> {
        &mut self.output.tail
    }

    /// Completes the frame with these flags and, behind what was written, `shared` by reference.
    ///
    /// # Errors
    /// When it is longer than `limit` bytes behind the length field; nothing is appended then.
    #[inline]
    pub fn finish(mut self, flags: u8, shared: Option<Bytes>, limit: u32) -> Result<(), TooLarge> {
        let tail = &mut self.output.tail;
        let len = tail.len() - self.start - PREFIX_LEN
            + HEADER_LEN
            + shared.as_ref().map_or(0, |shared| shared.len());
        match u32::try_from(len) {
            Ok(short) if short <= limit => {
                tail[self.start..self.start + 4].copy_from_slice(&short.to_be_bytes());
                tail[self.start + 5] = flags;
            }
            _ => return Err(TooLarge { len }),
        }
        self.finished = true;
        if let Some(shared) = shared {
            self.output.push(shared);
        }
        Ok(())
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.output.tail.truncate(self.start);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_dropped_draft_leaves_no_trace() {
        let mut out = Output::default();
        out.put(Kind::Ping, 0, CallId::NONE, &[]);
        let before = out.to_vec();
        out.draft(Kind::Response, CallId::NONE).body().extend_from_slice(b"half");
        assert_eq!(out.to_vec(), before);
        let mut draft = out.draft(Kind::Response, CallId::NONE);
        draft.body().extend_from_slice(&[0; 10]);
        assert_eq!(draft.finish(0, Some(Bytes::from_static(b"x")), 20), Err(TooLarge { len: 21 }));
        assert_eq!(out.to_vec(), before);
    }

    proptest! {
        #[test]
        fn whatever_was_appended_comes_out_once_and_in_order(
            steps in prop::collection::vec((any::<bool>(), 0..50usize, 0..80usize), 0..40),
        ) {
            let (mut out, mut expected, mut seen) = (Output::default(), Vec::new(), Vec::new());
            for (at, (shared, len, write)) in steps.into_iter().enumerate() {
                let bytes = vec![at as u8; len];
                expected.extend_from_slice(&bytes);
                if shared { out.push(bytes.into()) } else { out.extend(&bytes) }
                prop_assert_eq!(out.len(), expected.len() - seen.len());
                let mut slices = [IoSlice::new(&[]); 3];
                let count = out.slices(&mut slices);
                let flat: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.iter().copied()).collect();
                prop_assert!(out.to_vec().starts_with(&flat));
                let write = write.min(flat.len());
                seen.extend_from_slice(&flat[..write]);
                out.advance(write);
            }
            seen.extend_from_slice(&out.to_vec());
            prop_assert_eq!(seen, expected);
        }
    }
}
