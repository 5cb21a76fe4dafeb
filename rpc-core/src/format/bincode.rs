//! The one place that names the `bincode` crate.

use std::io::{self, Read};
use std::str;

use bincode::{BincodeRead, DefaultOptions, Deserializer, ErrorKind, Options};
use serde::de::{Deserialize, Visitor};
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
pub(super) fn decode<'de, T>(body: &'de [u8]) -> Result<T, DecodeError>
where
    T: Deserialize<'de>,
{
    let mut rest = body;
    let mut guard = Guard::new(body.len());
    let mut deserializer = Deserializer::with_bincode_read(Rest(&mut rest), DefaultOptions::new());
    match T::deserialize(guard.wrap(&mut deserializer)) {
        Ok(value) => match guard.verdict() {
            None if rest.is_empty() => Ok(value),
            None => Err(DecodeError::Trailing),
            Some(error) => Err(error),
        },
        Err(error) => Err(guard.verdict().unwrap_or_else(|| translate(*error))),
    }
}

#[cold]
fn translate(error: ErrorKind) -> DecodeError {
    match error {
        ErrorKind::Io(_) => DecodeError::Truncated,
        other => DecodeError::invalid(other),
    }
}

/// What is still to be read of a body. The crate's own slice reader does not let anybody else see it.
struct Rest<'a, 'de>(&'a mut &'de [u8]);

impl<'de> Rest<'_, 'de> {
    #[inline]
    fn take(&mut self, length: usize) -> io::Result<&'de [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(io::ErrorKind::UnexpectedEof)?;
        *self.0 = rest;
        Ok(taken)
    }
}

impl Read for Rest<'_, '_> {
    #[inline]
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.0.read(out)
    }

    #[inline]
    fn read_exact(&mut self, out: &mut [u8]) -> io::Result<()> {
        out.copy_from_slice(self.take(out.len())?);
        Ok(())
    }
}

impl<'de> BincodeRead<'de> for Rest<'_, 'de> {
    #[inline]
    fn forward_read_str<V: Visitor<'de>>(&mut self, length: usize, visitor: V) -> bincode::Result<V::Value> {
        let text = str::from_utf8(self.take(length)?).map_err(ErrorKind::InvalidUtf8Encoding)?;
        visitor.visit_borrowed_str(text)
    }

    #[inline]
    fn get_byte_buffer(&mut self, length: usize) -> bincode::Result<Vec<u8>> {
        Ok(self.take(length)?.to_vec())
    }

    #[inline]
    fn forward_read_bytes<V: Visitor<'de>>(
        &mut self,
        length: usize,
        visitor: V,
    ) -> bincode::Result<V::Value> {
        visitor.visit_borrowed_bytes(self.take(length)?)
    }
}
