use std::fmt::Display;

/// Reasons are cut here: some of them quote the peer's data, and they go to logs and back to the peer.
const MAX_REASON: usize = 256;

/// Why a value could not be encoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A sequence or map does not know its length beforehand, as an iterator or `#[serde(flatten)]`, and the
    /// format needs it.
    #[error("a sequence or map of unknown length cannot be encoded")]
    UnknownLength,
    /// The value cannot be expressed in the format, or its own `Serialize` refused. At most 256 characters.
    #[error("the value cannot be encoded: {0}")]
    Invalid(Box<str>),
}

/// Why a body could not be decoded. It fails its call, never the connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The body nests deeper than `limit` levels, see [`MAX_DEPTH`](super::MAX_DEPTH).
    #[error("the body nests deeper than {limit} levels")]
    Depth {
        /// The most levels allowed.
        limit: usize,
    },
    /// The body holds, or claims, more elements of sequences and maps than `limit`: its length in bytes +
    /// [`SPARE_ELEMENTS`](super::SPARE_ELEMENTS).
    #[error("the body holds more than {limit} elements")]
    Elements {
        /// The most elements allowed.
        limit: usize,
    },
    /// The body ends before its value does.
    #[error("the body ends inside its value")]
    Truncated,
    /// More bytes follow the value.
    #[error("the body goes on behind its value")]
    Trailing,
    /// The body is not a value of the expected type, or the type's own `Deserialize` refused. At most 256
    /// characters.
    #[error("the body is not valid: {0}")]
    Invalid(Box<str>),
}

impl EncodeError {
    pub(super) fn invalid(reason: impl Display) -> Self {
        EncodeError::Invalid(cut(reason))
    }
}

impl DecodeError {
    pub(super) fn invalid(reason: impl Display) -> Self {
        DecodeError::Invalid(cut(reason))
    }
}

fn cut(reason: impl Display) -> Box<str> {
    reason.to_string().chars().take(MAX_REASON).collect()
}
