//! From bytes, however they were sliced, to whole frames.

use std::ops::Range;

use bytes::Bytes;

use crate::body::{Body, LARGE_BODY};
use crate::error::ProtocolError;
use crate::frame::{self, Frame, Header, LENGTH_LEN, PREFIX_LEN};
use crate::spare::{Borrower, Spare};

/// A read grows the buffer of an unfinished frame by at least this, or doubles it: memory follows
/// the bytes that arrived, never the length that was claimed.
const GROWTH: usize = 64 * 1024;

/// So many bytes at the end of a frame are not worth a read of their own: a body of a round size has
/// a header before it.
const LAST: usize = 1024;

/// The receiving end of a frame stream.
///
/// Bytes are read into a chunk of the caller's. Frames that lie whole in the chunk are borrowed
/// from it; only an unfinished one is kept here.
///
/// ```
/// use rpc_core::{frame::Kind, input::Input, output::Output, CallId};
///
/// let mut out = Output::default();
/// out.put(Kind::Ping, 0, CallId::from_wire(7), &[]);
/// let chunk = out.to_vec();
///
/// let (mut input, mut at) = (Input::new(1 << 20), 0);
/// while let Some(frame) = input.next(&chunk, &mut at)? {
///     assert_eq!(frame.kind, Kind::Ping);
/// }
/// # Ok::<(), rpc_core::ProtocolError>(())
/// ```
#[derive(Debug)]
pub struct Input {
    /// What could not be handed on yet; starts with a frame at `pos`.
    tail: Vec<u8>,
    pos: usize,
    limit: u32,
    /// Where the memory of large frames comes from and goes to.
    spare: Option<Borrower>,
    /// Numbers the frames that are kept here, one after the other.
    kept: u64,
}

enum Place {
    Chunk(Range<usize>),
    Tail(Range<usize>),
    Own(Bytes),
}

impl Input {
    /// Takes frames of up to `limit` bytes behind their length field.
    #[must_use]
    pub const fn new(limit: u32) -> Self {
        Self { tail: Vec::new(), pos: 0, limit, spare: None, kept: 0 }
    }

    /// Reads large frames into `spare` memory where it has some, and leaves theirs to it.
    #[must_use]
    pub fn with_spare(self, spare: &'static Spare) -> Self {
        Self { spare: Some(Borrower::new(spare)), ..self }
    }

    /// The next whole frame of what was kept and of `chunk` from `at` on; moves `at`.
    ///
    /// `None` means that the chunk is used up: what it left unfinished is kept. A caller that stops
    /// before that hands the rest to [`keep`](Self::keep).
    ///
    /// # Errors
    /// A length, kind or flags that break the protocol. The stream cannot go on after that.
    #[inline]
    pub fn next<'a>(
        &'a mut self,
        chunk: &'a [u8],
        at: &mut usize,
    ) -> Result<Option<Frame<'a>>, ProtocolError> {
        loop {
            let Some((header, place)) = self.locate(chunk, at)? else { return Ok(None) };
            let Some(kind) = header.kind else { continue };
            let body = match place {
                Place::Chunk(range) => Body::Borrowed(&chunk[range]),
                Place::Tail(range) => Body::Borrowed(&self.tail[range]),
                Place::Own(bytes) => Body::Owned(bytes),
            };
            return Ok(Some(Frame { kind, flags: header.flags, id: header.id, body }));
        }
    }

    #[inline]
    fn locate(&mut self, chunk: &[u8], at: &mut usize) -> Result<Option<(Header, Place)>, ProtocolError> {
        if self.pos < self.tail.len() {
            return self.locate_in_tail(chunk, at);
        }
        self.tail.clear();
        self.pos = 0;
        let start = *at;
        let rest = &chunk[start..];
        if let Some(length) = rest.first_chunk::<LENGTH_LEN>() {
            let total = frame::frame_len(*length, self.limit)?;
            if rest.len() >= total
                && let Some(prefix) = rest.first_chunk::<PREFIX_LEN>()
            {
                *at = start + total;
                let body = start + PREFIX_LEN..start + total;
                return Ok(Some((Header::parse(prefix)?, Place::Chunk(body))));
            }
        }
        self.tail.extend_from_slice(rest);
        self.kept = self.kept.wrapping_add(1);
        *at = chunk.len();
        Ok(None)
    }

    fn locate_in_tail(
        &mut self,
        chunk: &[u8],
        at: &mut usize,
    ) -> Result<Option<(Header, Place)>, ProtocolError> {
        loop {
            let held = &self.tail[self.pos..];
            let total = match held.first_chunk::<LENGTH_LEN>() {
                Some(length) => frame::frame_len(*length, self.limit)?,
                None => LENGTH_LEN,
            };
            let missing = total.saturating_sub(held.len());
            if missing > 0 {
                let rest = &chunk[*at..];
                if rest.is_empty() {
                    return Ok(None);
                }
                let taken = missing.min(rest.len());
                self.tail.extend_from_slice(&rest[..taken]);
                *at += taken;
                continue;
            }
            let Some(prefix) = held.first_chunk::<PREFIX_LEN>() else { continue };
            let header = Header::parse(prefix)?;
            self.kept = self.kept.wrapping_add(1);
            if total >= LARGE_BODY && self.pos == 0 && self.tail.len() == total {
                let buffer = std::mem::take(&mut self.tail);
                let bytes = match &mut self.spare {
                    Some(spare) if total >= GROWTH => spare.filled(buffer),
                    _ => Bytes::from(buffer),
                };
                return Ok(Some((header, Place::Own(bytes.slice(PREFIX_LEN..)))));
            }
            let body = self.pos + PREFIX_LEN..self.pos + total;
            self.pos += total;
            return Ok(Some((header, Place::Tail(body))));
        }
    }

    /// Keeps what the caller did not get to, for the calls of [`next`](Self::next) that follow.
    pub fn keep(&mut self, rest: &[u8]) {
        // What is held already is not moved again each time that a caller stops.
        if !rest.is_empty() {
            self.compact();
            self.tail.extend_from_slice(rest);
        }
    }

    fn compact(&mut self) {
        self.tail.drain(..self.pos);
        self.pos = 0;
    }

    /// Where to read the rest of a large unfinished frame, and how many bytes at the most, so that
    /// they need not pass through a chunk; `None` when a chunk serves better.
    pub fn direct(&mut self) -> Option<(&mut Vec<u8>, usize)> {
        let held = self.tail.get(self.pos..)?;
        let total = frame::frame_len(*held.first_chunk::<LENGTH_LEN>()?, self.limit).ok()?;
        let missing = total.checked_sub(held.len())?;
        if missing == 0 || total < GROWTH {
            return None;
        }
        if self.tail.capacity() < total
            && let Some(mut buffer) = self.spare.as_mut().and_then(|spare| spare.borrow(total))
        {
            buffer.extend_from_slice(&self.tail[self.pos..]);
            (self.tail, self.pos) = (buffer, 0);
        }
        self.compact();
        let room = self.tail.len().max(GROWTH);
        // However much memory is there already: with the same bytes, reads are the same, and so is a simulation.
        let room = if missing <= room + LAST { missing } else { room };
        self.tail.reserve_exact(room);
        Some((&mut self.tail, room))
    }

    /// Whether nothing is held: the stream stands between two frames.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pos == self.tail.len()
    }

    /// A number for the frame that is unfinished, while [`next`](Self::next) has no more whole ones: the
    /// same until it has come whole, and another for the one after it. `None` between two frames.
    #[must_use]
    pub fn unfinished(&self) -> Option<u64> {
        (!self.is_empty()).then_some(self.kept)
    }

    /// Lets go of memory beyond `keep` bytes while nothing is held.
    pub fn shrink(&mut self, keep: usize) {
        if self.is_empty() && self.tail.capacity() > keep {
            self.tail = Vec::new();
            self.pos = 0;
            self.spare.as_mut().map(Borrower::settle);
        }
    }

    /// Bytes of memory held.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.tail.capacity()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::call_id::CallId;
    use crate::frame::Kind;
    use crate::output::Output;

    type Seen = (Kind, CallId, Vec<u8>);

    fn stream(bodies: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Output::default();
        for (at, body) in bodies.iter().enumerate() {
            out.put(Kind::Response, 0, CallId::client(at as u64 + 1, 0), body);
        }
        out.to_vec()
    }

    fn read_all(
        bytes: &[u8],
        cuts: &[usize],
        stop_after: usize,
        direct: bool,
    ) -> Result<Vec<Seen>, ProtocolError> {
        let (mut input, mut seen, mut rest, mut cuts) =
            (Input::new(1 << 20), Vec::new(), bytes, cuts.iter().cycle());
        while !rest.is_empty() {
            let step = cuts.next().map_or(rest.len(), |cut| *cut).clamp(1, rest.len());
            if direct && let Some((tail, most)) = input.direct() {
                let step = step.min(most);
                tail.extend_from_slice(&rest[..step]);
                rest = &rest[step..];
            } else {
                let (chunk, after) = rest.split_at(step);
                rest = after;
                let (mut at, mut count) = (0, 0);
                while count < stop_after {
                    let Some(frame) = input.next(chunk, &mut at)? else { break };
                    seen.push((frame.kind, frame.id, frame.body.as_slice().to_vec()));
                    count += 1;
                }
                input.keep(&chunk[at..]);
            }
        }
        while let Some(frame) = input.next(&[], &mut 0)? {
            seen.push((frame.kind, frame.id, frame.body.as_slice().to_vec()));
        }
        Ok(seen)
    }

    proptest! {
        #[test]
        fn any_split_of_the_bytes_gives_the_same_frames(
            lens in prop::collection::vec(prop_oneof![0..40usize, 60_000..140_000usize], 0..6),
            cuts in prop::collection::vec(prop_oneof![1..20usize, 1..100_000usize], 1..8),
            stop_after in 1..4usize,
            direct: bool,
        ) {
            let bodies: Vec<_> = lens.iter().enumerate().map(|(at, len)| vec![at as u8; *len]).collect();
            let seen = read_all(&stream(&bodies), &cuts, stop_after, direct).unwrap();
            prop_assert_eq!(seen.into_iter().map(|(_, _, body)| body).collect::<Vec<_>>(), bodies);
        }

        #[test]
        fn random_bytes_give_the_same_outcome_however_they_are_split(
            bytes in prop::collection::vec(prop_oneof![Just(0u8), 0..12u8, any::<u8>()], 0..200),
            cut in 1..20usize,
        ) {
            prop_assert_eq!(
                read_all(&bytes, &[cut], usize::MAX, true),
                read_all(&bytes, &[bytes.len().max(1)], usize::MAX, true)
            );
        }
    }

    #[test]
    fn a_claimed_length_reserves_nothing_before_bytes_arrive() {
        let mut input = Input::new(4 << 20);
        let mut at = 0;
        assert!(input.next(&[0, 0x3f, 0xff, 0xff, 1], &mut at).unwrap().is_none());
        assert!(input.capacity() <= 64, "{}", input.capacity());
        let (_, most) = input.direct().unwrap();
        assert!(most <= GROWTH + 64);
        assert!(input.capacity() <= GROWTH + 64, "{}", input.capacity());
    }

    #[test]
    fn an_unfinished_frame_reserves_no_more_than_it_has_and_a_step() {
        for body in [70_000, 130_000, 200_000, 1 << 20] {
            let bytes = stream(&[vec![7; body]]);
            let mut input = Input::new(4 << 20);
            assert!(input.next(&bytes[..20_000], &mut 0).unwrap().is_none());
            input.direct().unwrap();
            assert!(input.capacity() <= 2 * 20_000 + GROWTH + LAST, "{} for {body}", input.capacity());
        }
    }

    #[test]
    fn an_unfinished_frame_has_a_number_until_it_is_whole() {
        let (bytes, mut input) = (stream(&[vec![1], vec![2], vec![3]]), Input::new(1 << 20));
        let frame = bytes.len() / 3;
        let mut feed = |from, to| {
            let mut at = 0;
            while input.next(&bytes[from..to], &mut at).unwrap().is_some() {}
            input.unfinished()
        };
        assert_eq!(feed(0, 0), None);
        let first = feed(0, 1);
        assert!(first.is_some() && feed(1, frame - 1) == first);
        let second = feed(frame - 1, frame + 5);
        assert!(second.is_some() && second != first);
        let third = feed(frame + 5, 3 * frame - 1);
        assert!(third.is_some() && third != second);
        assert_eq!(feed(3 * frame - 1, 3 * frame), None);
    }

    #[test]
    fn a_large_frame_owns_its_bytes() {
        let bytes = stream(&[vec![7; LARGE_BODY]]);
        let mut input = Input::new(1 << 20);
        assert!(input.next(&bytes[..100], &mut 0).unwrap().is_none());
        let frame = input.next(&bytes, &mut 100).unwrap().unwrap();
        assert!(matches!(frame.body, Body::Owned(_)));
    }

    #[test]
    fn the_memory_of_a_large_body_is_used_for_the_next_one() {
        static SPARE: Spare = Spare::new(1 << 20);
        let (bytes, mut input) = (stream(&[vec![7; 200_000]]), Input::new(1 << 20).with_spare(&SPARE));
        let mut body_at = |chunk: usize| {
            assert!(input.next(&bytes[..chunk], &mut 0).unwrap().is_none());
            let mut at = chunk;
            while at < bytes.len() {
                let (tail, most) = input.direct().unwrap();
                let step = most.min(bytes.len() - at);
                tail.extend_from_slice(&bytes[at..at + step]);
                at += step;
            }
            let frame = input.next(&[], &mut 0).unwrap().unwrap();
            assert_eq!(frame.body.as_slice(), &bytes[PREFIX_LEN..]);
            frame.body.as_slice().as_ptr()
        };
        let first = body_at(5000);
        assert_eq!((body_at(70_000), body_at(100)), (first, first));
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_from_its_length_alone() {
        let error = Input::new(100).next(&[0, 0, 0, 101], &mut 0).unwrap_err();
        assert_eq!(error, ProtocolError::FrameTooLarge { len: 101, limit: 100 });
    }
}
