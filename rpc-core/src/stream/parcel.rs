//! Items as they stand on the wire, on their way to an outbox.

use bytes::Bytes;
use serde::Serialize;

use super::credit::cost;
use crate::format::{EncodeError, Format};

/// Before each item: its length.
pub(crate) const ITEM_HEAD: usize = 4;

/// Items up to this size are put one behind the other into one frame of about this size.
pub(crate) const PACK: usize = 16 * 1024;

/// Small items, one behind the other, each with its length before it.
#[derive(Debug, Default)]
pub struct Parcel {
    pub(super) bytes: Vec<u8>,
    pub(super) cost: u64,
}

/// An item that goes by itself: what was encoded, with the length before it, and what goes by reference.
#[derive(Debug)]
pub struct Large {
    pub(super) encoded: Bytes,
    pub(super) shared: Bytes,
}

/// Why an item was not packed.
#[derive(Debug)]
pub(crate) enum PackError {
    Encode(EncodeError),
    TooLarge { len: usize },
}

impl Parcel {
    /// What its items cost.
    #[must_use]
    pub fn cost(&self) -> u64 {
        self.cost
    }

    /// Whether it is large enough for a frame.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= PACK
    }

    /// Adds an item of up to `limit` bytes, unless it is to go by itself.
    #[inline]
    pub(crate) fn pack<T: Serialize + 'static>(
        &mut self,
        format: Format,
        item: &T,
        limit: u32,
    ) -> Result<Option<Large>, PackError> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; ITEM_HEAD]);
        let shared = format.encode_split(item, &mut self.bytes).map_err(|error| {
            self.bytes.truncate(start);
            PackError::Encode(error)
        })?;
        let len = self.bytes.len() - start - ITEM_HEAD + shared.as_ref().map_or(0, Bytes::len);
        if len > limit as usize {
            self.bytes.truncate(start);
            return Err(PackError::TooLarge { len });
        }
        self.bytes[start..start + ITEM_HEAD].copy_from_slice(&(len as u32).to_be_bytes());
        if shared.is_none() && len <= PACK {
            self.cost += cost(len);
            return Ok(None);
        }
        let encoded = self.bytes.split_off(start).into();
        Ok(Some(Large { encoded, shared: shared.unwrap_or_default() }))
    }

    /// Empties it; much memory is given back.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.cost = 0;
        if self.bytes.capacity() > 2 * PACK {
            self.bytes = Vec::new();
        }
    }
}

#[cfg(test)]
impl Parcel {
    /// An item of these very bytes, packed as it would be.
    pub(crate) fn raw(item: &[u8]) -> (Self, Option<Large>) {
        let bytes = [&(item.len() as u32).to_be_bytes(), item].concat();
        match item.len() <= PACK {
            true => (Self { cost: cost(item.len()), bytes }, None),
            false => (Self::default(), Some(Large { encoded: bytes.into(), shared: Bytes::new() })),
        }
    }
}

impl Large {
    pub(super) fn cost(&self) -> u64 {
        cost(self.encoded.len() + self.shared.len() - ITEM_HEAD)
    }
}
