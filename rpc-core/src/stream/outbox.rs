//! Items that wait to go out.

use std::collections::VecDeque;

use bytes::Buf;

use super::parcel::{Large, PACK, Parcel};
use crate::call_id::CallId;
use crate::frame::{HEADER_LEN, Kind, flags, prefix};
use crate::limits::MIN_MAX_FRAME;
use crate::output::Output;

/// Items go out in parts of so many bytes, so that nobody waits behind a whole large one. The frame of each
/// fits into the smallest limit that a peer can announce.
pub(crate) const PART: usize = MIN_MAX_FRAME as usize - HEADER_LEN;

/// A last part of less is not worth a frame: items of a round size have their length before them.
const LAST: usize = 16 * 1024;

/// A sender waits while so many bytes of its items do, whatever its credit: how much that is, the peer
/// decides.
pub(crate) const OUTBOX_MARK: usize = 64 * 1024;

/// What one direction of a stream has to send; its credit is spent already.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pieces: VecDeque<Piece>,
    len: usize,
}

#[derive(Debug)]
enum Piece {
    /// The head of the answer: its metadata block, if it has one.
    Head(u8, Vec<u8>),
    /// Small items as they stand on the wire, for one frame.
    Packed(Vec<u8>),
    Large(Large),
}

impl Outbox {
    /// Bytes of items that wait.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Appends the head of an answer.
    pub(crate) fn push_head(&mut self, flags: u8, body: Vec<u8>) {
        self.pieces.push_back(Piece::Head(flags | flags::MORE, body));
    }

    /// Appends the items of a parcel, which is empty after that.
    #[inline]
    pub(crate) fn push(&mut self, parcel: &mut Parcel) {
        let items = &parcel.bytes;
        self.len += items.len();
        match self.pieces.back_mut() {
            _ if items.is_empty() => {}
            Some(Piece::Packed(packed)) if packed.len() + items.len() <= PACK => {
                packed.extend_from_slice(items)
            }
            _ => self.pieces.push_back(Piece::Packed(items.clone())),
        }
        parcel.clear();
    }

    /// Appends an item that goes by itself.
    pub(crate) fn push_large(&mut self, large: Large) {
        self.len += large.encoded.len() + large.shared.len();
        self.pieces.push_back(Piece::Large(large));
    }

    /// Moves frames of up to `max_frame` bytes to `out` until about `room` bytes are there.
    pub(crate) fn drain(&mut self, id: CallId, out: &mut Output, max_frame: u32, room: usize) {
        let end = out.len() + room;
        while out.len() < end
            && let Some(piece) = self.pieces.front_mut()
        {
            let more = match piece {
                Piece::Head(flags, body) => {
                    out.put(Kind::Response, *flags, id, body);
                    false
                }
                Piece::Packed(packed) => {
                    out.put(Kind::Data, 0, id, packed);
                    self.len -= packed.len();
                    false
                }
                Piece::Large(large) => {
                    let before = large.encoded.len() + large.shared.len();
                    cut(id, large, out, max_frame);
                    let left = large.encoded.len() + large.shared.len();
                    self.len -= before - left;
                    left > 0
                }
            };
            if !more {
                self.pieces.pop_front();
            }
        }
    }
}

/// Moves the next part of an item.
fn cut(id: CallId, large: &mut Large, out: &mut Output, max_frame: u32) {
    let Large { encoded, shared } = large;
    let left = encoded.len() + shared.len();
    let last = (PART + LAST).min(max_frame as usize - HEADER_LEN);
    let part = if left <= last { left } else { PART };
    out.extend(&prefix(Kind::Data, 0, id, part));
    let (from_encoded, from_shared) = (part.min(encoded.len()), part.saturating_sub(encoded.len()));
    // Small, as a rule: the length of what goes by reference.
    if from_encoded < PACK {
        out.extend(&encoded[..from_encoded]);
        encoded.advance(from_encoded);
    } else {
        out.push(encoded.split_to(from_encoded));
    }
    if from_shared > 0 {
        out.push(shared.split_to(from_shared));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use bytes::Bytes;

    use crate::body::Body;
    use crate::format::Format;
    use crate::input::Input;
    use crate::stream::credit::cost;
    use crate::stream::inbox::{Arrival, Batch, Inbox};

    proptest! {
        #[test]
        fn items_come_out_whole_and_in_order_however_they_are_packed_and_cut(
            sizes in prop::collection::vec(prop_oneof![0..100usize, 10_000..20_000usize, 60_000..200_000usize], 0..12),
            room in prop_oneof![1..200usize, 10_000..300_000usize],
            together in 1..4usize,
            max_frame in prop_oneof![Just(MIN_MAX_FRAME), Just(1 << 20)],
        ) {
            let (id, mut outbox, mut parcel, mut costs) = (CallId::client(1, 2), Outbox::default(), Parcel::default(), 0);
            let items: Vec<_> = sizes.iter().enumerate().map(|(at, len)| Bytes::from(vec![at as u8; *len])).collect();
            for (at, item) in items.iter().enumerate() {
                if let Some(large) = parcel.pack(Format::Bincode, item, 1 << 20).unwrap() {
                    costs += parcel.cost() + large.cost();
                    outbox.push(&mut parcel);
                    outbox.push_large(large);
                } else if at % together == 0 {
                    costs += parcel.cost();
                    outbox.push(&mut parcel);
                }
            }
            costs += parcel.cost();
            outbox.push(&mut parcel);
            let (mut seen, mut inbox, mut batch, mut input) = (Vec::new(), Inbox::default(), Batch::default(), Input::new(max_frame));
            while !outbox.is_empty() {
                let mut out = Output::default();
                outbox.drain(id, &mut out, max_frame, room);
                let (bytes, mut at) = (out.to_vec(), 0);
                prop_assert!(bytes.len() < room + PART + LAST + PACK);
                while let Some(frame) = input.next(&bytes, &mut at).unwrap() {
                    let body = Body::Owned(frame.body.into_bytes());
                    let arrival = inbox.push(&body, 1 << 20, |_| true);
                    prop_assert!(!matches!(arrival, Arrival::Broken | Arrival::TooLarge), "{arrival:?}");
                }
                prop_assert!(input.is_empty(), "a frame was cut");
                inbox.take(&mut batch);
                while let Some((len, body)) = batch.pop() {
                    costs -= cost(len);
                    seen.push(Format::Bincode.decode::<Bytes>(body).unwrap());
                }
            }
            prop_assert_eq!(seen, items);
            prop_assert!(inbox.is_empty() && !inbox.is_in_item());
            prop_assert_eq!(outbox.len(), 0);
            prop_assert_eq!(costs, 0);
        }
    }
}
