//! The one place that names the `serde_json` crate.

use serde::de::Deserialize;
use serde::ser::Serialize;

use super::guard::Guard;
use super::{DecodeError, EncodeError};

pub(super) fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    serde_json::to_writer(out, value).map_err(EncodeError::invalid)
}

pub(super) fn decode<'de, T>(body: &'de [u8]) -> Result<T, DecodeError>
where
    T: Deserialize<'de>,
{
    let mut guard = Guard::new(body.len());
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    match T::deserialize(guard.wrap(&mut deserializer)) {
        Ok(value) => match guard.verdict() {
            None if deserializer.end().is_ok() => Ok(value),
            None => Err(DecodeError::Trailing),
            Some(error) => Err(error),
        },
        Err(error) => Err(guard.verdict().unwrap_or_else(|| translate(error))),
    }
}

#[cold]
fn translate(error: serde_json::Error) -> DecodeError {
    if error.is_eof() { DecodeError::Truncated } else { DecodeError::invalid(error) }
}
