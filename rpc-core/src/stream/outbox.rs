//! Items that wait to go out.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};

use super::credit::cost;
use crate::call_id::CallId;
use crate::frame::{HEADER_LEN, Kind, LENGTH_LEN, flags, prefix};
use crate::limits::MIN_MAX_FRAME;
use crate::output::Output;

/// Items go out in parts of so many bytes at the most, so that nobody waits behind a whole large one, and
/// the frame of each fits into the smallest limit that a peer can announce.
pub(crate) const PART: usize = MIN_MAX_FRAME as usize - HEADER_LEN;

/// A sender waits while so many bytes of its items do, whatever its credit: how much that is, the peer decides.
pub(crate) const OUTBOX_MARK: usize = 64 * 1024;

/// An empty buffer larger than this is given back.
const KEPT: usize = 8 * 1024;

/// Frames of one direction of a stream, whose credit is spent already.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// Whole frames, one behind the other.
    frames: Vec<u8>,
    at: usize,
    /// Empty when there are frames only.
    order: VecDeque<Piece>,
    len: usize,
}

#[derive(Debug)]
enum Piece {
    /// So many bytes of whole frames.
    Frames(usize),
    /// An item that is still to be cut: what was encoded, and what goes by reference.
    Item(Bytes, Bytes),
}

/// What an item of `len` bytes costs, cut as it will be.
pub(crate) fn item_cost(len: usize) -> u64 {
    let parts = len.div_ceil(PART).max(1);
    len as u64 + parts as u64 * cost(0)
}

impl Outbox {
    /// Bytes that wait, about.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends a frame.
    pub(crate) fn put(&mut self, kind: Kind, flags: u8, id: CallId, body: &[u8]) {
        let prefix = prefix(kind, flags, id, body.len());
        self.frames.extend_from_slice(&prefix);
        self.frames.extend_from_slice(body);
        self.appended(prefix.len() + body.len());
    }

    fn appended(&mut self, len: usize) {
        self.len += len;
        match self.order.back_mut() {
            Some(Piece::Frames(run)) => *run += len,
            _ => self.order.push_back(Piece::Frames(len)),
        }
    }

    /// Appends an item: `encoded`, and behind it `shared`.
    pub(crate) fn push(&mut self, id: CallId, encoded: &mut Vec<u8>, shared: Option<Bytes>) {
        let len = encoded.len() + shared.as_ref().map_or(0, Bytes::len);
        match shared {
            None if len <= PART => self.put(Kind::Data, 0, id, encoded),
            shared => {
                self.len += len + 1;
                let encoded = std::mem::take(encoded).into();
                self.order.push_back(Piece::Item(encoded, shared.unwrap_or_default()));
            }
        }
    }

    /// Moves whole frames to `out`: one at least, and no more than fit into `room` bytes after that.
    pub(crate) fn drain(&mut self, id: CallId, out: &mut Output, room: usize) {
        let end = out.len() + room;
        while out.len() < end
            && let Some(piece) = self.order.front_mut()
        {
            match piece {
                Piece::Frames(run) => {
                    let frames = &self.frames[self.at..self.at + *run];
                    let count = whole_frames(frames, end - out.len());
                    out.extend(&frames[..count]);
                    self.at += count;
                    self.len -= count;
                    *run -= count;
                    if *run == 0 {
                        self.order.pop_front();
                    }
                }
                Piece::Item(encoded, shared) => {
                    let more = cut(id, encoded, shared, out, &mut self.len);
                    if !more {
                        self.len -= 1;
                        self.order.pop_front();
                    }
                }
            }
        }
        if self.at == self.frames.len() {
            self.frames.clear();
            self.at = 0;
            if self.frames.capacity() > KEPT {
                self.frames = Vec::new();
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Moves the next part of an item; whether there are more.
fn cut(id: CallId, encoded: &mut Bytes, shared: &mut Bytes, out: &mut Output, len: &mut usize) -> bool {
    let left = encoded.len() + shared.len();
    let part = left.min(PART);
    let more = left > part;
    let from_encoded = part.min(encoded.len());
    let from_shared = part - from_encoded;
    out.extend(&prefix(Kind::Data, if more { flags::MORE } else { 0 }, id, part));
    out.extend(&encoded[..from_encoded]);
    encoded.advance(from_encoded);
    if from_shared > 0 {
        out.push(shared.split_to(from_shared));
    }
    *len -= part;
    more
}

/// The length of the first frame, and of those after it that fit into `room` with it.
fn whole_frames(frames: &[u8], room: usize) -> usize {
    if frames.len() <= room {
        return frames.len();
    }
    let mut end = 0;
    while let Some(length) = frames.get(end..).and_then(|rest| rest.first_chunk::<LENGTH_LEN>()) {
        let next = end + LENGTH_LEN + u32::from_be_bytes(*length) as usize;
        if end > 0 && next > room {
            break;
        }
        end = next;
    }
    end
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::input::Input;

    proptest! {
        #[test]
        fn items_come_out_whole_and_in_order_however_they_are_drained(
            items in prop::collection::vec((prop_oneof![0..100usize, 60_000..200_000usize], any::<bool>()), 0..8),
            room in prop_oneof![1..200usize, 10_000..300_000usize],
        ) {
            let (id, mut outbox, mut costs) = (CallId::client(1, 2), Outbox::default(), 0);
            let expected: Vec<_> = items.iter().enumerate().map(|(at, (len, _))| vec![at as u8; *len]).collect();
            for (item, (len, by_reference)) in expected.iter().zip(items) {
                match by_reference {
                    true => outbox.push(id, &mut item[..len.min(3)].to_vec(), Some(item[len.min(3)..].to_vec().into())),
                    false => outbox.push(id, &mut item.clone(), None),
                }
                costs += item_cost(len);
            }
            let (mut seen, mut item, mut input) = (Vec::new(), Vec::new(), Input::new(1 << 20));
            while !outbox.is_empty() {
                let mut out = Output::default();
                outbox.drain(id, &mut out, room);
                let (bytes, mut at) = (out.to_vec(), 0);
                prop_assert!(bytes.len() < room + PART + 20);
                while let Some(frame) = input.next(&bytes, &mut at).unwrap() {
                    prop_assert_eq!((frame.kind, frame.id), (Kind::Data, id));
                    item.extend_from_slice(frame.body.as_slice());
                    costs -= cost(frame.body.as_slice().len());
                    if frame.flags == 0 {
                        seen.push(std::mem::take(&mut item));
                    }
                }
                prop_assert!(input.is_empty(), "a frame was cut");
            }
            prop_assert_eq!(seen, expected);
            prop_assert_eq!((costs, outbox.len()), (0, 0));
        }
    }
}
