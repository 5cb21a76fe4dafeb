//! The one place that names the `bincode` crate.

use std::marker::PhantomData;

use bincode::{DefaultOptions, ErrorKind, Options};
use serde::de::{Deserialize, DeserializeSeed, Deserializer};
use serde::ser::Serialize;

use super::guard::Guard;
use super::{DecodeError, EncodeError};

#[inline]
pub(super) fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    DefaultOptions::new().serialize_into(out, value).map_err(|error| match *error {
        ErrorKind::SequenceMustHaveLength => EncodeError::UnknownLength,
        other => EncodeError::invalid(other),
    })
}

#[inline]
pub(super) fn decode<'de, T>(body: &'de [u8], guard: &mut Guard) -> Result<T, DecodeError>
where
    T: Deserialize<'de>,
{
    let mut complete = false;
    let whole = Whole { guard, complete: &mut complete, value: PhantomData };
    DefaultOptions::new().deserialize_seed(whole, body).map_err(|error| match *error {
        // The reader has no name for it, but once the value is complete nothing else is left to go wrong.
        _ if complete => DecodeError::Trailing,
        ErrorKind::Io(_) => DecodeError::Truncated,
        other => DecodeError::invalid(other),
    })
}

/// The value that is the whole body.
struct Whole<'a, T> {
    guard: &'a mut Guard,
    complete: &'a mut bool,
    value: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Whole<'_, T> {
    type Value = T;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        let value = T::deserialize(self.guard.wrap(deserializer))?;
        *self.complete = true;
        Ok(value)
    }
}
