//! How bodies are encoded.
//!
//! A body is one serde value in the [`Format`] that the handshake chose. Everything read from a peer goes
//! through a guard that bounds how deep a body nests and how many elements it claims, so a hostile body is
//! an error and never an abort, a spin or a large allocation.
//!
//! # Bulk data
//!
//! serde takes a `Vec<u8>` byte by byte, as any other sequence. For bulk data use [`Bytes`] (or
//! `serde_bytes`), which is copied in one piece; as the whole body it is not copied at all: see
//! [`Format::encode_split`] and [`Format::decode`]. In bincode all of them have the same bytes on the wire.

mod bincode;
mod error;
mod guard;
#[cfg(feature = "json")]
mod json;

#[cfg(test)]
mod tests;

use std::any::Any;

use bytes::Bytes;
use serde::de::{Deserialize, DeserializeOwned};
use serde::ser::Serialize;

use crate::body::{Body, LARGE_BODY};

pub use error::{DecodeError, EncodeError};

/// How many levels a received body may nest. Every value that can hold another one is a level: a sequence, a
/// map, a tuple, a struct, an enum, a newtype, an option, and bytes.
///
/// 128 levels of ordinary types take less than a quarter of the 2 MiB that threads have as their stack, in
/// debug builds too.
pub const MAX_DEPTH: usize = 128;

/// A received body may hold as many elements of sequences and maps (all of them together) as it has bytes,
/// and this many more. The fields of structs and tuples are not elements: their type bounds them.
///
/// An element takes a byte at least, unless it is as empty as `()`: these are what the spare ones are for.
pub const SPARE_ELEMENTS: usize = 65_536;

/// A body format, chosen once per connection in the handshake.
///
/// ```
/// use rpc_core::{Body, Format};
///
/// let mut out = Vec::new();
/// Format::Bincode.encode(&(7i64, "eight"), &mut out)?;
/// assert_eq!(out, b"\x0e\x05eight");
///
/// let value: (i64, String) = Format::Bincode.decode(Body::Borrowed(&out))?;
/// assert_eq!(value, (7, "eight".to_owned()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// The frozen bincode format: varint, little endian. The default.
    Bincode,
    /// JSON, for peers without a schema.
    #[cfg(feature = "json")]
    Json,
}

impl Format {
    /// Every format of this build, in the order of preference.
    pub const ALL: &'static [Format] = &[
        Format::Bincode,
        #[cfg(feature = "json")]
        Format::Json,
    ];

    /// The id on the wire (`Rpc-Format`), which names the format and not a crate.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Format::Bincode => "bincode",
            #[cfg(feature = "json")]
            Format::Json => "json",
        }
    }

    /// The format of that id, if this build has it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|format| format.name().eq_ignore_ascii_case(name))
    }

    /// Appends the encoding of `value` to `out`, in one pass.
    ///
    /// A value beyond [`MAX_DEPTH`] or [`SPARE_ELEMENTS`] is encoded, but no peer decodes it.
    ///
    /// # Errors
    ///
    /// If the value cannot be expressed in this format, or its own `Serialize` refuses. `out` is then as
    /// long as it was before.
    pub fn encode<T>(self, value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError>
    where
        T: Serialize + ?Sized,
    {
        let start = out.len();
        let result = match self {
            Format::Bincode => bincode::encode(value, out),
            #[cfg(feature = "json")]
            Format::Json => json::encode(value, out),
        };
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    /// Like [`encode`](Self::encode), but without a copy of large bytes: the body is what was appended to
    /// `out`, followed by the returned tail, if any.
    ///
    /// There is a tail when the value is a [`Bytes`] of [`LARGE_BODY`] bytes or more and the format is
    /// bincode. Then only its length is appended, and the tail shares the value's memory. The bytes on the
    /// wire are the same either way.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use rpc_core::{Format, body::LARGE_BODY};
    ///
    /// let picture = Bytes::from(vec![1; LARGE_BODY]);
    /// let mut out = Vec::new();
    /// let tail = Format::Bincode.encode_split(&picture, &mut out)?;
    /// assert_eq!(out, [251, 0x00, 0x40]);
    /// assert_eq!(tail, Some(picture));
    ///
    /// assert_eq!(Format::Bincode.encode_split(&"small", &mut out)?, None);
    /// # Ok::<(), rpc_core::format::EncodeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    pub fn encode_split<T>(self, value: &T, out: &mut Vec<u8>) -> Result<Option<Bytes>, EncodeError>
    where
        T: Serialize + 'static,
    {
        if self == Format::Bincode
            && let Some(bytes) = (value as &dyn Any).downcast_ref::<Bytes>()
            && bytes.len() >= LARGE_BODY
        {
            self.encode(&bytes.len(), out)?;
            return Ok(Some(bytes.clone()));
        }
        self.encode(value, out)?;
        Ok(None)
    }

    /// Decodes a whole body.
    ///
    /// A [`Bytes`] decoded from a [`Body::Owned`] in bincode shares the body's memory, whatever its size.
    ///
    /// # Errors
    ///
    /// If the body is not exactly one value of type `T` (white space may follow in JSON), nests deeper than
    /// [`MAX_DEPTH`], or holds more elements than its length + [`SPARE_ELEMENTS`].
    #[inline]
    pub fn decode<T>(self, body: Body<'_>) -> Result<T, DecodeError>
    where
        T: DeserializeOwned + 'static,
    {
        let mut shared: Option<T> = None;
        if self == Format::Bincode
            && let Body::Owned(bytes) = &body
            && let Some(shared) = (&mut shared as &mut dyn Any).downcast_mut::<Option<Bytes>>()
        {
            *shared = Some(bytes.slice_ref(self.decode_slice(bytes)?));
        }
        match shared {
            Some(value) => Ok(value),
            None => self.decode_slice(body.as_slice()),
        }
    }

    #[inline]
    fn decode_slice<'de, T: Deserialize<'de>>(self, body: &'de [u8]) -> Result<T, DecodeError> {
        match self {
            Format::Bincode => bincode::decode(body),
            #[cfg(feature = "json")]
            Format::Json => json::decode(body),
        }
    }
}
