//! The one place that names the `serde_json` crate.

use serde::de::Deserialize;
use serde::ser::Serialize;

use super::guard::Guard;
use super::{DecodeError, EncodeError};

pub(super) fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    serde_json::to_writer(out, value).map_err(EncodeError::invalid)
}

pub(super) fn decode<'de, T>(body: &'de [u8], guard: &mut Guard) -> Result<T, DecodeError>
where
    T: Deserialize<'de>,
{
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = T::deserialize(guard.wrap(&mut deserializer))
        .map_err(|error| if error.is_eof() { DecodeError::Truncated } else { DecodeError::invalid(error) })?;
    deserializer.end().map_err(|_| DecodeError::Trailing)?;
    Ok(value)
}
