//! What can go wrong in the protocol itself, as opposed to in a call.

use crate::call_id::CallId;
use crate::frame::Kind;

/// Metadata that is not metadata.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// A key with characters outside `a-z 0-9 _ . -`, empty, or over 255 bytes.
    #[error("metadata key {key:?} is not 1 to 255 of a-z 0-9 _ . -")]
    Key {
        /// The key, escaped and cut to 64 characters.
        key: String,
    },
    /// More pairs than a block may hold.
    #[error("more than {limit} metadata pairs")]
    TooMany {
        /// The limit in pairs.
        limit: usize,
    },
    /// A larger block than the wire has room for.
    #[error("more than {limit} bytes of metadata")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// A length inside the block points past its end.
    #[error("metadata block is cut short")]
    Truncated,
}

/// A breach of the protocol by the peer: the connection cannot go on.
///
/// Each names a rule of `docs/protocol.md`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A frame longer than the limit that was announced.
    #[error("frame of {len} bytes is over the limit of {limit}")]
    FrameTooLarge {
        /// The length it claimed, in bytes.
        len: u32,
        /// The limit in bytes.
        limit: u32,
    },
    /// A length that does not even cover the fixed header.
    #[error("frame of {len} bytes is shorter than its header")]
    FrameTooShort {
        /// The length it claimed, in bytes.
        len: u32,
    },
    /// A kind that version 1 does not know and that may not be ignored.
    #[error("unknown frame kind {kind:#04x}")]
    UnknownKind {
        /// The kind's number.
        kind: u8,
    },
    /// A kind that the peer may not send in its role or in this state.
    #[error("{kind:?} frame for call {id} is not allowed here")]
    UnexpectedKind {
        /// The kind.
        kind: Kind,
        /// The call it names.
        id: CallId,
    },
    /// Flags that version 1 does not know.
    #[error("unknown flags {flags:#04x} on a {kind:?} frame")]
    UnknownFlags {
        /// The kind of the frame.
        kind: Kind,
        /// All its flags.
        flags: u8,
    },
    /// A fixed field is cut off by the end of the frame.
    #[error("{kind:?} frame ends inside its {field}")]
    Truncated {
        /// The kind of the frame.
        kind: Kind,
        /// The field that is cut off.
        field: &'static str,
    },
    /// A request whose id is not above the ids before it.
    #[error("call id {id} does not grow (last was {last})")]
    IdNotGrowing {
        /// The id.
        id: CallId,
        /// The highest id before it.
        last: CallId,
    },
    /// A client used an id of the server's side.
    #[error("call id {id} belongs to the other side")]
    WrongSide {
        /// The id.
        id: CallId,
    },
    /// A frame names a call that was never opened, or that has ended.
    #[error("{kind:?} frame for call {id}, which is not open")]
    UnknownCall {
        /// The kind of the frame.
        kind: Kind,
        /// The id.
        id: CallId,
    },
    /// A method index that was never introduced.
    #[error("method index {index} was never introduced")]
    UnknownMethod {
        /// The index.
        index: u16,
    },
    /// A method introduced under another index than the next one.
    #[error("method introduced as {index}, the next index is {expected}")]
    IndexOutOfOrder {
        /// The index it used.
        index: u16,
        /// The index it should have used.
        expected: u16,
    },
    /// More method names than a connection may introduce.
    #[error("more than {limit} method names on one connection")]
    TooManyMethods {
        /// The limit in names.
        limit: u16,
    },
    /// The GoAway id grew; it may only shrink.
    #[error("goaway id {id} is above the one before it ({before})")]
    GoAwayGrew {
        /// The id.
        id: CallId,
        /// The id of the GoAway before.
        before: CallId,
    },
    /// As many calls over the limit in a row as the limit, and one more.
    #[error("calls kept coming over the limit of {limit} in flight")]
    TooManyCalls {
        /// The limit in calls.
        limit: u32,
    },
    /// More control frames than an honest peer sends.
    #[error("too many control frames ({kind:?})")]
    CalmDown {
        /// The kind of the frame that was one too many.
        kind: Kind,
    },
    /// An item that begins on a stream without credit for it.
    #[error("an item on stream {id} without credit")]
    OverCredit {
        /// The call.
        id: CallId,
    },
    /// A Credit of nothing, or one that makes more credit than there can be.
    #[error("credit of {increment} is nothing or too much")]
    BadCredit {
        /// How much it was to add, in bytes.
        increment: u32,
    },
}
