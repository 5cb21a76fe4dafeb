//! The body of a frame as it was read: borrowed from the read buffer, or owned when it is large.

use bytes::Bytes;

/// Bodies of this many bytes or more are kept by reference instead of being copied.
pub const LARGE_BODY: usize = 16 * 1024;

/// A received body.
#[derive(Clone, Debug)]
pub enum Body<'a> {
    /// Lies in the read buffer; must be used before the next read.
    Borrowed(&'a [u8]),
    /// Stands alone; a `Bytes` value decoded from it shares its memory.
    Owned(Bytes),
}

impl Body<'_> {
    /// The bytes, wherever they lie.
    #[must_use]
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Body::Borrowed(slice) => slice,
            Body::Owned(bytes) => bytes,
        }
    }

    /// The bytes on their own: copied when borrowed, shared when owned.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self {
            Body::Borrowed(slice) => Bytes::copy_from_slice(slice),
            Body::Owned(bytes) => bytes,
        }
    }

    /// Drops the first `count` bytes (all of them when there are fewer).
    #[must_use]
    #[inline]
    pub fn skip(self, count: usize) -> Self {
        match self {
            Body::Borrowed(slice) => Body::Borrowed(slice.get(count..).unwrap_or_default()),
            Body::Owned(mut bytes) => {
                let count = count.min(bytes.len());
                Body::Owned(bytes.split_off(count))
            }
        }
    }
}
