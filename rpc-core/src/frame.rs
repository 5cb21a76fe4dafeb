//! Frames: a length, a fixed header, a body.

use crate::body::Body;
use crate::call_id::CallId;
use crate::error::ProtocolError;

/// Bytes of the length field.
pub const LENGTH_LEN: usize = 4;

/// Bytes of the fixed header behind the length: kind, flags, id.
pub const HEADER_LEN: usize = 10;

/// Bytes of a frame without its body.
pub const PREFIX_LEN: usize = LENGTH_LEN + HEADER_LEN;

/// A kind with this bit set is skipped by a peer that does not know it.
pub const IGNORABLE: u8 = 0x80;

/// The flags of the frame kinds.
pub mod flags {
    /// Request, Response, Status, End: a metadata block stands before the rest.
    pub const METADATA: u8 = 0x01;
    /// Request: the time left stands before the metadata.
    pub const DEADLINE: u8 = 0x02;
    /// Request: opens a stream. Response: Data frames follow.
    pub const MORE: u8 = 0x04;
    /// Request: the method's name is in this frame.
    pub const NAME: u8 = 0x08;
    /// Request, Response, Data: the body is compressed; refused in version 1.
    pub const COMPRESSED: u8 = 0x80;
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Kind {
    /// Opens a call.
    Request = 0x01,
    /// Ends a call with its result.
    Response = 0x02,
    /// Ends a call with a [`Status`](crate::Status).
    Status = 0x03,
    /// Asks the server to give a call up.
    Cancel = 0x04,
    /// Items of a stream.
    Data = 0x05,
    /// The end of a stream's direction; from the server, the end of the call.
    End = 0x06,
    /// Lets the peer send more bytes of a stream.
    Credit = 0x07,
    /// Asks for a Pong.
    Ping = 0x08,
    /// Answers a Ping.
    Pong = 0x09,
    /// No new calls on this connection.
    GoAway = 0x0a,
}

impl Kind {
    /// The kind of that number, `None` for one that may be skipped.
    #[inline]
    pub(crate) fn from_wire(kind: u8) -> Result<Option<Self>, ProtocolError> {
        Ok(Some(match kind {
            0x01 => Kind::Request,
            0x02 => Kind::Response,
            0x03 => Kind::Status,
            0x04 => Kind::Cancel,
            0x05 => Kind::Data,
            0x06 => Kind::End,
            0x07 => Kind::Credit,
            0x08 => Kind::Ping,
            0x09 => Kind::Pong,
            0x0a => Kind::GoAway,
            kind if kind & IGNORABLE != 0 => return Ok(None),
            kind => return Err(ProtocolError::UnknownKind { kind }),
        }))
    }

    #[inline]
    const fn known_flags(self) -> u8 {
        match self {
            Kind::Request => {
                flags::METADATA | flags::DEADLINE | flags::MORE | flags::NAME | flags::COMPRESSED
            }
            Kind::Response => flags::METADATA | flags::MORE | flags::COMPRESSED,
            Kind::Status | Kind::End => flags::METADATA,
            Kind::Data => flags::COMPRESSED,
            Kind::Cancel | Kind::Credit | Kind::Ping | Kind::Pong | Kind::GoAway => 0,
        }
    }
}

/// One frame as it was read.
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    /// What it is.
    pub kind: Kind,
    /// See [`flags`].
    pub flags: u8,
    /// The call it belongs to; Ping and Pong keep their token here, GoAway the last id.
    pub id: CallId,
    /// What stands behind the header.
    pub body: Body<'a>,
}

/// The header of a frame, checked against the limit before anything is reserved for its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// `None`: to be skipped.
    pub(crate) kind: Option<Kind>,
    pub(crate) flags: u8,
    pub(crate) id: CallId,
}

/// The length of the whole frame that starts with these four bytes.
#[inline]
pub(crate) fn frame_len(length: [u8; LENGTH_LEN], limit: u32) -> Result<usize, ProtocolError> {
    let len = u32::from_be_bytes(length);
    if len > limit {
        return Err(ProtocolError::FrameTooLarge { len, limit });
    }
    if (len as usize) < HEADER_LEN {
        return Err(ProtocolError::FrameTooShort { len });
    }
    Ok(LENGTH_LEN + len as usize)
}

impl Header {
    #[inline]
    pub(crate) fn parse(bytes: &[u8; PREFIX_LEN]) -> Result<Self, ProtocolError> {
        let [_, _, _, _, kind, flags, id @ ..] = *bytes;
        let kind = Kind::from_wire(kind)?;
        if let Some(kind) = kind
            && flags & !kind.known_flags() != 0
        {
            return Err(ProtocolError::UnknownFlags { kind, flags });
        }
        Ok(Self { kind, flags, id: CallId::from_wire(u64::from_be_bytes(id)) })
    }
}

/// The length field, kind, flags and id of a frame with `body_len` bytes behind them.
#[inline]
pub(crate) fn prefix(kind: Kind, flags: u8, id: CallId, body_len: usize) -> [u8; PREFIX_LEN] {
    let mut prefix = [0; PREFIX_LEN];
    prefix[..4].copy_from_slice(&((HEADER_LEN + body_len) as u32).to_be_bytes());
    prefix[4] = kind as u8;
    prefix[5] = flags;
    prefix[6..].copy_from_slice(&id.to_wire().to_be_bytes());
    prefix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_reads_back() {
        let id = CallId::client(9, 3);
        let bytes = prefix(Kind::Response, flags::METADATA, id, 5);
        assert_eq!(bytes, *b"\0\0\0\x0f\x02\x01\0\0\0\0\0\x09\0\x03");
        assert_eq!(frame_len([0, 0, 0, 15], 15), Ok(19));
        let header = Header::parse(&bytes).unwrap();
        assert_eq!(header, Header { kind: Some(Kind::Response), flags: flags::METADATA, id });
    }

    #[test]
    fn lengths_over_the_limit_or_under_the_header_are_refused() {
        assert_eq!(frame_len([0, 0, 0, 16], 15), Err(ProtocolError::FrameTooLarge { len: 16, limit: 15 }));
        assert_eq!(frame_len([0, 0, 0, 9], 15), Err(ProtocolError::FrameTooShort { len: 9 }));
    }

    #[test]
    fn unknown_kinds_are_skipped_only_when_marked() {
        assert_eq!(Kind::from_wire(0x80), Ok(None));
        assert_eq!(Kind::from_wire(0x0b), Err(ProtocolError::UnknownKind { kind: 0x0b }));
        assert_eq!(Kind::from_wire(0), Err(ProtocolError::UnknownKind { kind: 0 }));
    }

    #[test]
    fn unknown_flags_are_refused() {
        let bytes = prefix(Kind::Ping, 1, CallId::NONE, 0);
        let error = ProtocolError::UnknownFlags { kind: Kind::Ping, flags: 1 };
        assert_eq!(Header::parse(&bytes), Err(error));
    }
}
