//! Items that came and that nobody has taken yet.

use std::collections::VecDeque;
use std::mem;

use bytes::Bytes;

use super::parcel::ITEM_HEAD;
use crate::body::{Body, LARGE_BODY};
#[cfg(planted)]
use crate::planted::{Bug, bites};

/// In place of a length: the item is the next of the large ones.
const LARGE: u32 = u32::MAX;

/// A larger buffer is given back once it is empty: a stream that rests holds little.
const KEPT: usize = 8 * 1024;

/// Items in the order in which they came, to be taken one after the other.
#[derive(Debug, Default)]
pub struct Batch {
    /// As they stand on the wire, but for the large ones.
    entries: Vec<u8>,
    at: usize,
    large: VecDeque<Bytes>,
}

impl Batch {
    /// Whether all were taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.at == self.entries.len()
    }

    fn push_large(&mut self, item: Bytes) {
        self.entries.extend_from_slice(&LARGE.to_be_bytes());
        self.large.push_back(item);
    }

    /// The next item, and its length.
    #[inline]
    pub fn pop(&mut self) -> Option<(usize, Body<'_>)> {
        let (head, rest) = self.entries.get(self.at..)?.split_first_chunk::<ITEM_HEAD>()?;
        let len = u32::from_be_bytes(*head);
        self.at += ITEM_HEAD;
        if len == LARGE {
            let item = self.large.pop_front()?;
            return Some((item.len(), Body::Owned(item)));
        }
        let item = rest.get(..len as usize)?;
        self.at += item.len();
        Some((item.len(), Body::Borrowed(item)))
    }

    /// Makes it ready to be filled again.
    fn clear(&mut self) {
        self.entries.clear();
        self.at = 0;
        if self.entries.capacity() > KEPT {
            self.entries = Vec::new();
        }
    }
}

/// What a Data frame was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Parts of items; whether the last part of one was among them.
    Items(bool),
    /// It begins an item for which there is no credit.
    NoCredit,
    /// It begins an item that is over the limit; what came before that is kept, and nothing after it.
    TooLarge,
    /// It is empty, or ends inside a length.
    Broken,
}

/// What has come on one direction of a stream.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    batch: Batch,
    /// The beginning of an item whose end has not come.
    partial: Vec<u8>,
    /// Bytes that have not come of the item that has begun.
    missing: usize,
    /// Nobody wants what comes.
    pub(super) discards: bool,
}

impl Inbox {
    /// Whether an item has begun whose end has not come.
    pub(crate) fn is_in_item(&self) -> bool {
        self.missing > 0
    }

    /// Whether there is no whole item.
    pub(crate) fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Takes the body of a Data frame. `begin` is told the length of each item that begins in it, and
    /// says whether it may.
    pub(crate) fn push(
        &mut self,
        body: &Body<'_>,
        limit: u32,
        mut begin: impl FnMut(usize) -> bool,
    ) -> Arrival {
        let bytes = body.as_slice();
        if bytes.is_empty() {
            return Arrival::Broken;
        }
        let mut at = self.missing.min(bytes.len());
        let mut ends = self.is_in_item() && at == self.missing;
        self.go_on(&bytes[..at]);
        // Small items that lie whole in the frame are taken together.
        let (mut run, mut too_large) = (at, false);
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let Some(head) = rest.first_chunk::<ITEM_HEAD>() else { return Arrival::Broken };
            let len = u32::from_be_bytes(*head);
            if !begin(len as usize) {
                return Arrival::NoCredit;
            }
            if (len > limit || len == LARGE) && !self.discards {
                self.keep(&bytes[run..at]);
                (too_large, self.discards) = (true, true);
            }
            let start = at + ITEM_HEAD;
            let whole = len as usize <= bytes.len() - start;
            let end = if whole { start + len as usize } else { bytes.len() };
            ends |= whole;
            if !whole || len as usize >= LARGE_BODY {
                self.keep(&bytes[run..at]);
                match body {
                    Body::Owned(owned) if whole && !self.discards => {
                        self.batch.push_large(owned.slice(start..end));
                    }
                    _ => {
                        self.missing = len as usize;
                        self.go_on(&bytes[start..end]);
                    }
                }
                run = end;
            }
            at = end;
        }
        self.keep(bytes.get(run..).unwrap_or_default());
        match too_large {
            true => Arrival::TooLarge,
            false => Arrival::Items(ends && !self.discards),
        }
    }

    /// Whole small items.
    fn keep(&mut self, items: &[u8]) {
        if !self.discards {
            self.batch.entries.extend_from_slice(items);
        }
    }

    /// A part of the item that has begun.
    fn go_on(&mut self, part: &[u8]) {
        self.missing -= part.len();
        if self.discards {
            return;
        }
        #[cfg(planted)]
        let part = if !self.partial.is_empty() && bites(Bug::LostPart) { &[] } else { part };
        self.partial.extend_from_slice(part);
        if self.missing == 0 && !self.partial.is_empty() {
            // A small item by itself would take many times its size.
            match self.partial.len() {
                LARGE_BODY.. => {
                    let item = mem::take(&mut self.partial).into();
                    self.push_item(item);
                }
                len => {
                    self.batch.entries.extend_from_slice(&(len as u32).to_be_bytes());
                    self.batch.entries.append(&mut self.partial);
                }
            }
        }
    }

    /// An item that came in another way than by Data.
    pub(crate) fn push_item(&mut self, item: Bytes) {
        self.batch.push_large(item);
    }

    /// Hands all whole items over, in exchange for an empty batch.
    pub(crate) fn take(&mut self, batch: &mut Batch) {
        batch.clear();
        mem::swap(&mut self.batch, batch);
    }

    /// Forgets what came, and from now on what comes.
    pub(crate) fn discard(&mut self) {
        *self = Self { missing: self.missing, discards: true, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(items: &[&[u8]]) -> Vec<u8> {
        items.iter().flat_map(|item| [&(item.len() as u32).to_be_bytes(), *item].concat()).collect()
    }

    fn items(inbox: &mut Inbox) -> Vec<Vec<u8>> {
        let mut batch = Batch::default();
        inbox.take(&mut batch);
        std::iter::from_fn(|| batch.pop().map(|(_, body)| body.as_slice().to_vec())).collect()
    }

    #[test]
    fn items_come_out_in_order_however_the_frames_are_cut() {
        let large = vec![7; LARGE_BODY];
        let sent: [&[u8]; 5] = [b"small", &large, b"", b"last but one", &large[1..]];
        let bytes = wire(&sent);
        for owned in [false, true] {
            for cut in [4, 9, 10, 13, 100, LARGE_BODY + 13, LARGE_BODY + 17, LARGE_BODY + 21, bytes.len() - 1]
            {
                let mut inbox = Inbox::default();
                for part in [&bytes[..cut], &bytes[cut..]] {
                    let body = if owned { Body::Owned(part.to_vec().into()) } else { Body::Borrowed(part) };
                    let arrival = inbox.push(&body, 1 << 20, |_| true);
                    if cut == 10 {
                        assert_eq!(arrival, Arrival::Broken, "a length was cut");
                        break;
                    }
                    assert!(matches!(arrival, Arrival::Items(_)), "{arrival:?} at {cut}");
                }
                if cut != 10 {
                    assert!(items(&mut inbox) == sent && !inbox.is_in_item(), "cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn a_small_item_takes_no_more_memory_for_being_cut() {
        let (mut inbox, bytes) = (Inbox::default(), wire(&[&b"1"[..]; 1000]));
        assert_eq!(inbox.push(&Body::Borrowed(&bytes[..4]), 100, |_| true), Arrival::Items(false));
        for frame in bytes[4..].chunks(5) {
            assert_eq!(inbox.push(&Body::Borrowed(frame), 100, |_| true), Arrival::Items(true));
        }
        assert_eq!((inbox.batch.entries.len(), inbox.batch.large.len()), (bytes.len(), 0));
        assert_eq!(items(&mut inbox), [b"1"; 1000]);
    }

    #[test]
    fn an_item_over_the_limit_is_told_from_its_length_and_what_came_before_it_stays() {
        let mut inbox = Inbox::default();
        let bytes = [wire(&[b"one", b"two"]), 101u32.to_be_bytes().to_vec()].concat();
        assert_eq!(inbox.push(&Body::Borrowed(&bytes), 100, |_| true), Arrival::TooLarge);
        assert!(inbox.is_in_item());
        assert_eq!(inbox.push(&Body::Borrowed(&[0; 101]), 100, |_| true), Arrival::Items(false));
        assert!(!inbox.is_in_item());
        assert_eq!(items(&mut inbox), [b"one", b"two"]);
    }

    #[test]
    fn no_item_begins_without_credit_and_those_that_have_begun_go_on() {
        let mut inbox = Inbox::default();
        let bytes = wire(&[b"one", b"two"]);
        assert_eq!(inbox.push(&Body::Borrowed(&bytes[..6]), 100, |_| true), Arrival::Items(false));
        assert_eq!(inbox.push(&Body::Borrowed(&bytes[6..7]), 100, |_| false), Arrival::Items(true));
        assert_eq!(inbox.push(&Body::Borrowed(&bytes[7..]), 100, |_| false), Arrival::NoCredit);
    }
}
