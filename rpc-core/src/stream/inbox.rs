//! Items that came and that nobody has taken yet.

use std::collections::VecDeque;
use std::mem;

use bytes::Bytes;

use crate::body::{Body, LARGE_BODY};
#[cfg(planted)]
use crate::planted::{Bug, bites};

/// Before each small item: what it cost, and its length.
const ENTRY_HEAD: usize = 12;

/// In place of a length: the item is the next of the large ones.
const LARGE: u32 = u32::MAX;

/// A larger buffer is given back once it is empty: a stream that rests holds little.
const KEPT: usize = 8 * 1024;

/// Items in the order in which they came, to be taken one after the other. Many small ones lie in one
/// buffer; a large one stands by itself.
#[derive(Debug, Default)]
pub struct Batch {
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

    fn push(&mut self, cost: u64, body: Body<'_>) {
        let (len, small) = match &body {
            Body::Owned(bytes) if bytes.len() >= LARGE_BODY => (LARGE, &[][..]),
            body => (body.as_slice().len() as u32, body.as_slice()),
        };
        self.entries.extend_from_slice(&cost.to_le_bytes());
        self.entries.extend_from_slice(&len.to_le_bytes());
        self.entries.extend_from_slice(small);
        if let Body::Owned(bytes) = body
            && len == LARGE
        {
            self.large.push_back(bytes);
        }
    }

    /// The next item, and what it cost.
    pub fn pop(&mut self) -> Option<(u64, Body<'_>)> {
        let (head, rest) = self.entries.get(self.at..)?.split_first_chunk::<ENTRY_HEAD>()?;
        let [c0, c1, c2, c3, c4, c5, c6, c7, len @ ..] = *head;
        let (cost, len) = (u64::from_le_bytes([c0, c1, c2, c3, c4, c5, c6, c7]), u32::from_le_bytes(len));
        self.at += ENTRY_HEAD;
        if len == LARGE {
            return Some((cost, Body::Owned(self.large.pop_front()?)));
        }
        let body = rest.get(..len as usize)?;
        self.at += body.len();
        Some((cost, Body::Borrowed(body)))
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

/// What has come on one direction of a stream.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    batch: Batch,
    /// The parts of an item whose last part has not come.
    partial: Vec<u8>,
    partial_cost: u64,
    in_item: bool,
}

impl Inbox {
    /// Whether the next Data frame goes on with an item.
    pub(crate) fn is_in_item(&self) -> bool {
        self.in_item
    }

    /// Whether there is no whole item.
    pub(crate) fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// How long the item is that would come to be with a part of `len` bytes.
    pub(crate) fn item_len(&self, len: usize) -> usize {
        self.partial.len() + len
    }

    /// Takes a part of an item, the `last` one perhaps.
    pub(crate) fn push(&mut self, cost: u64, body: Body<'_>, last: bool) {
        if last && !self.in_item {
            return self.batch.push(cost, body);
        }
        #[cfg(planted)]
        let body = if self.in_item && bites(Bug::LostPart) { Body::Borrowed(b"") } else { body };
        self.in_item = !last;
        self.partial.extend_from_slice(body.as_slice());
        self.partial_cost += cost;
        if last {
            let item = Bytes::from(mem::take(&mut self.partial));
            self.batch.push(mem::take(&mut self.partial_cost), Body::Owned(item));
        }
    }

    /// Hands all whole items over, in exchange for an empty batch.
    pub(crate) fn take(&mut self, batch: &mut Batch) {
        batch.clear();
        mem::swap(&mut self.batch, batch);
    }

    /// Forgets everything but where in an item the stream stands.
    pub(crate) fn discard(&mut self) {
        *self = Self { in_item: self.in_item, ..Self::default() };
    }

    /// A part of an item that nobody wants.
    pub(crate) fn skip(&mut self, last: bool) {
        self.in_item = !last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(batch: &mut Batch) -> Vec<(u64, Vec<u8>)> {
        std::iter::from_fn(|| batch.pop().map(|(cost, body)| (cost, body.as_slice().to_vec()))).collect()
    }

    #[test]
    fn items_come_out_in_order_whatever_their_size_and_parts() {
        let mut inbox = Inbox::default();
        let large = vec![7; LARGE_BODY];
        inbox.push(1, Body::Borrowed(b"small"), true);
        inbox.push(2, Body::Owned(large.clone().into()), true);
        inbox.push(3, Body::Borrowed(b"in "), false);
        inbox.push(4, Body::Borrowed(b""), true);
        inbox.push(5, Body::Borrowed(b""), true);
        inbox.push(6, Body::Borrowed(b"unfinished"), false);
        let mut batch = Batch::default();
        inbox.take(&mut batch);
        let expected = [(1, b"small".to_vec()), (2, large), (7, b"in ".to_vec()), (5, Vec::new())];
        assert_eq!(items(&mut batch), expected);
        assert!(batch.is_empty() && inbox.is_empty() && inbox.is_in_item());
        inbox.push(1, Body::Borrowed(b", and now whole"), true);
        inbox.take(&mut batch);
        assert_eq!(items(&mut batch), [(7, b"unfinished, and now whole".to_vec())]);
    }
}
