//! Key-value pairs that travel beside a body, in a layout of their own.

use std::fmt;

use crate::error::MetadataError;

/// Pairs in one block.
pub const MAX_ENTRIES: usize = 64;

/// Bytes of one block on the wire, behind its length field.
pub const MAX_BLOCK: usize = u16::MAX as usize;

/// Key-value pairs of a request or an answer.
///
/// Keys are 1 to 255 of `a-z 0-9 _ . -`, folded to lower case; values are any bytes. At most 64
/// pairs and 65,535 bytes in all. The order is kept; a key may stand more than once.
///
/// ```
/// let mut metadata = rpc_core::Metadata::new();
/// metadata.insert("Tenant", "a")?;
/// assert_eq!(metadata.text("tenant"), Some("a"));
/// # Ok::<(), rpc_core::MetadataError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Most calls have none, and a pointer is moved sooner than a vector.
    pairs: Option<Box<Pairs>>,
}

#[derive(Clone, Default, PartialEq, Eq)]
struct Pairs(Vec<(Box<str>, Box<[u8]>)>);

impl Metadata {
    /// No pairs; does not allocate.
    pub const EMPTY: Metadata = Metadata { pairs: None };

    /// No pairs; does not allocate.
    #[must_use]
    pub const fn new() -> Self {
        Self::EMPTY
    }

    /// Adds a pair behind the others.
    ///
    /// # Errors
    /// When the key is not a key, or the block would grow past its limits; nothing is added then.
    pub fn insert(&mut self, key: &str, value: impl AsRef<[u8]>) -> Result<(), MetadataError> {
        let value = value.as_ref();
        if !is_key(key.as_bytes(), true) {
            return Err(MetadataError::Key { key: key.escape_default().take(64).collect() });
        }
        if self.len() == MAX_ENTRIES {
            return Err(MetadataError::TooMany { limit: MAX_ENTRIES });
        }
        if self.block_len() + 3 + key.len() + value.len() > MAX_BLOCK {
            return Err(MetadataError::TooLarge { limit: MAX_BLOCK });
        }
        self.pairs.get_or_insert_default().0.push((key.to_ascii_lowercase().into(), value.into()));
        Ok(())
    }

    /// The first value under `key`, in upper or lower case.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&[u8]> {
        self.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value)
    }

    /// The first value under `key`, in upper or lower case, if it is UTF-8.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.value(key).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// All pairs in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.entries().iter().map(|(key, value)| (&**key, &**value))
    }

    /// About how many bytes of memory the pairs take.
    #[must_use]
    #[inline]
    pub fn memory(&self) -> usize {
        self.block_len() + self.len() * size_of::<(Box<str>, Box<[u8]>)>()
    }

    /// Whether there is no pair.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_none()
    }

    /// The number of pairs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries().len()
    }

    #[inline]
    fn entries(&self) -> &[(Box<str>, Box<[u8]>)] {
        self.pairs.as_ref().map_or(&[], |pairs| &pairs.0)
    }

    fn block_len(&self) -> usize {
        self.entries().iter().map(|(key, value)| 3 + key.len() + value.len()).sum()
    }

    /// Appends the block: its length in 2 bytes, then for each pair the key's length (1), the key,
    /// the value's length (2), the value.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        // `insert` and `read` keep every length within its field.
        out.extend_from_slice(&(self.block_len() as u16).to_be_bytes());
        for (key, value) in self.entries() {
            out.push(key.len() as u8);
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(&(value.len() as u16).to_be_bytes());
            out.extend_from_slice(value);
        }
    }

    /// Reads the inside of a block.
    pub(crate) fn read(mut block: &[u8]) -> Result<Self, MetadataError> {
        let mut entries = Vec::new();
        while !block.is_empty() {
            if entries.len() == MAX_ENTRIES {
                return Err(MetadataError::TooMany { limit: MAX_ENTRIES });
            }
            let (key, rest) = take_prefixed::<1>(block).ok_or(MetadataError::Truncated)?;
            let (value, rest) = take_prefixed::<2>(rest).ok_or(MetadataError::Truncated)?;
            if !is_key(key, false) {
                return Err(MetadataError::Key {
                    key: key.escape_ascii().take(64).map(char::from).collect(),
                });
            }
            let key = std::str::from_utf8(key).map_err(|_| MetadataError::Truncated)?;
            entries.push((key.into(), value.into()));
            block = rest;
        }
        Ok(Self { pairs: (!entries.is_empty()).then(|| Box::new(Pairs(entries))) })
    }
}

fn take_prefixed<const N: usize>(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<N>()?;
    let len = len.iter().fold(0, |len, &byte| len << 8 | usize::from(byte));
    rest.split_at_checked(len)
}

fn is_key(key: &[u8], upper: bool) -> bool {
    (1..=255).contains(&key.len())
        && key.iter().all(|byte| match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-' => true,
            b'A'..=b'Z' => upper,
            _ => false,
        })
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(key, value)| (key, value.escape_ascii().to_string())))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Metadata {
        let mut metadata = Metadata::new();
        metadata.insert("tenant", "a").unwrap();
        metadata.insert("x-trace", [0, 255]).unwrap();
        metadata
    }

    #[test]
    fn a_block_has_the_bytes_of_the_specification_and_reads_back() {
        let mut out = Vec::new();
        sample().write(&mut out);
        assert_eq!(out, b"\x00\x16\x06tenant\x00\x01a\x07x-trace\x00\x02\x00\xff");
        assert_eq!(Metadata::read(&out[2..]).unwrap(), sample());
    }

    #[test]
    fn every_truncation_of_a_block_is_an_error_or_a_shorter_block() {
        let mut out = Vec::new();
        sample().write(&mut out);
        for end in 3..out.len() {
            match Metadata::read(&out[2..end]) {
                Ok(short) => assert_eq!(short.len(), 1, "cut at {end}"),
                Err(error) => assert_eq!(error, MetadataError::Truncated),
            }
        }
    }

    #[test]
    fn bad_keys_and_too_many_pairs_are_refused_both_ways() {
        let mut metadata = Metadata::new();
        assert!(matches!(metadata.insert("a b", ""), Err(MetadataError::Key { .. })));
        assert!(matches!(metadata.insert("", ""), Err(MetadataError::Key { .. })));
        assert!(matches!(Metadata::read(b"\x01A\0\0"), Err(MetadataError::Key { .. })));
        for _ in 0..MAX_ENTRIES {
            metadata.insert("k", "").unwrap();
        }
        assert!(matches!(metadata.insert("k", ""), Err(MetadataError::TooMany { .. })));
        assert!(matches!(Metadata::read(&b"\x01k\0\0".repeat(65)), Err(MetadataError::TooMany { .. })));
        let mut metadata = Metadata::new();
        assert!(matches!(metadata.insert("k", vec![0; 65_532]), Err(MetadataError::TooLarge { .. })));
        metadata.insert("k", vec![0; 65_531]).unwrap();
    }
}
