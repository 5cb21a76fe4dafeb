//! What stands inside the bodies of Request, Response, Status and GoAway frames.

use std::time::Duration;

use bytes::Bytes;

use crate::body::Body;
use crate::error::{MetadataError, ProtocolError};
use crate::frame::{Kind, flags};
use crate::handshake::legible;
use crate::metadata::Metadata;
use crate::status::{Code, Executed, Status};

/// Method names that one connection can introduce.
pub const MAX_METHODS: u16 = 4096;

/// Bytes of a method name that a server looks up.
pub const MAX_NAME: usize = 128;

/// How a request names its method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// Introduced before, under this index.
    Known(u16),
    /// Introduced here.
    New {
        /// The index it has from now on.
        index: u16,
        /// The name, not checked yet.
        name: Box<[u8]>,
        /// Of its signature; 0: unknown.
        fingerprint: u64,
    },
    /// Named here and not remembered.
    Once {
        /// The name, not checked yet.
        name: Box<[u8]>,
    },
}

/// Reads fixed fields off the front of a body.
pub(crate) struct Fields<'a> {
    kind: Kind,
    rest: &'a [u8],
    taken: usize,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(kind: Kind, body: &'a [u8]) -> Self {
        Self { kind, rest: body, taken: 0 }
    }

    #[inline]
    fn slice(&mut self, len: usize, field: &'static str) -> Result<&'a [u8], ProtocolError> {
        let split = self.rest.split_at_checked(len);
        let (slice, rest) = split.ok_or(ProtocolError::Truncated { kind: self.kind, field })?;
        self.rest = rest;
        self.taken += len;
        Ok(slice)
    }

    #[inline]
    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], ProtocolError> {
        let kind = self.kind;
        let array = self.slice(N, field)?.first_chunk::<N>();
        array.copied().ok_or(ProtocolError::Truncated { kind, field })
    }

    /// The method of a request.
    #[inline]
    pub(crate) fn method(&mut self, flags: u8) -> Result<Method, ProtocolError> {
        let index = u16::from_be_bytes(self.array("method index")?);
        if flags & flags::NAME == 0 {
            return Ok(Method::Known(index));
        }
        let fingerprint = u64::from_be_bytes(self.array("fingerprint")?);
        let [len] = self.array("method name")?;
        let name = self.slice(usize::from(len), "method name")?.into();
        Ok(if index == 0 { Method::Once { name } } else { Method::New { index, name, fingerprint } })
    }

    /// The time left of a request, if it has a deadline.
    #[inline]
    pub(crate) fn deadline(&mut self, flags: u8) -> Result<Option<Duration>, ProtocolError> {
        if flags & flags::DEADLINE == 0 {
            return Ok(None);
        }
        Ok(Some(Duration::from_micros(u64::from_be_bytes(self.array("deadline")?))))
    }

    /// The metadata block. Its inside may be wrong without harm to the connection.
    #[inline]
    pub(crate) fn metadata(&mut self, flags: u8) -> Result<Result<Metadata, MetadataError>, ProtocolError> {
        if flags & flags::METADATA == 0 {
            return Ok(Ok(Metadata::EMPTY));
        }
        let len = u16::from_be_bytes(self.array("metadata")?);
        Ok(Metadata::read(self.slice(usize::from(len), "metadata")?))
    }

    /// How many bytes were read.
    #[inline]
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }
}

/// Appends what stands before the arguments of a request; returns the flags that say so.
#[inline]
pub(crate) fn write_request_head(
    out: &mut Vec<u8>,
    index: u16,
    name: Option<&str>,
    deadline: Option<Duration>,
    metadata: &Metadata,
) -> u8 {
    let mut flags = 0;
    out.extend_from_slice(&index.to_be_bytes());
    if let Some(name) = name {
        flags |= flags::NAME;
        out.extend_from_slice(&0u64.to_be_bytes());
        out.push(name.len() as u8);
        out.extend_from_slice(name.as_bytes());
    }
    if let Some(left) = deadline {
        flags |= flags::DEADLINE;
        let micros = u64::try_from(left.as_micros()).unwrap_or(u64::MAX);
        out.extend_from_slice(&micros.to_be_bytes());
    }
    flags | write_metadata(out, metadata)
}

/// Appends the block when there is one; returns the flag that says so.
#[inline]
pub(crate) fn write_metadata(out: &mut Vec<u8>, metadata: &Metadata) -> u8 {
    if metadata.is_empty() {
        return 0;
    }
    metadata.write(out);
    flags::METADATA
}

/// Appends code, executed, message and details of a status.
pub(crate) fn write_status(out: &mut Vec<u8>, status: &Status, executed: Executed) {
    let message = status.message();
    out.push(status.code().to_wire());
    out.push(executed.to_wire());
    out.extend_from_slice(&(message.len() as u32).to_be_bytes());
    out.extend_from_slice(message.as_bytes());
    out.extend_from_slice(status.details());
}

/// Reads the body of a Status frame.
pub(crate) fn read_status(flags: u8, body: Body<'_>) -> Result<Status, ProtocolError> {
    let mut fields = Fields::new(Kind::Status, body.as_slice());
    let metadata = fields.metadata(flags)?.unwrap_or_default();
    let [code, executed] = fields.array("code")?;
    let len = u32::from_be_bytes(fields.array("message length")?);
    let message = String::from_utf8_lossy(fields.slice(len as usize, "message")?).into_owned();
    let taken = fields.taken();
    let mut status = Status::new(Code::from_wire(code), message)
        .with_executed(Executed::from_wire(executed))
        .with_metadata(metadata);
    if taken < body.as_slice().len() {
        status = status.with_details(body.skip(taken).into_bytes());
    }
    Ok(status)
}

/// Reads the increment of a Credit frame.
pub(crate) fn read_credit(body: &[u8]) -> Result<u32, ProtocolError> {
    Fields::new(Kind::Credit, body).array("increment").map(u32::from_be_bytes)
}

/// Why no new calls are taken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GoAwayReason {
    /// The peer shuts down in good order.
    Shutdown,
    /// This side broke the protocol.
    Protocol,
    /// This side sent a frame over the limit.
    FrameTooLarge,
    /// This side sent more control frames or calls than an honest peer would.
    CalmDown,
    /// The connection has lasted as long as a connection may; another one can be made at once.
    ConnectionAge,
    /// Nobody has used the connection for long; another one can be made when it is needed.
    Idle,
    /// A reason that this version does not know.
    Other(u8),
}

impl GoAwayReason {
    fn from_wire(number: u8) -> Self {
        match number {
            0 => GoAwayReason::Shutdown,
            1 => GoAwayReason::Protocol,
            2 => GoAwayReason::FrameTooLarge,
            3 => GoAwayReason::CalmDown,
            4 => GoAwayReason::ConnectionAge,
            5 => GoAwayReason::Idle,
            other => GoAwayReason::Other(other),
        }
    }

    fn to_wire(self) -> u8 {
        match self {
            GoAwayReason::Shutdown => 0,
            GoAwayReason::Protocol => 1,
            GoAwayReason::FrameTooLarge => 2,
            GoAwayReason::CalmDown => 3,
            GoAwayReason::ConnectionAge => 4,
            GoAwayReason::Idle => 5,
            GoAwayReason::Other(other) => other,
        }
    }
}

impl From<&ProtocolError> for GoAwayReason {
    fn from(error: &ProtocolError) -> Self {
        match error {
            ProtocolError::FrameTooLarge { .. } => GoAwayReason::FrameTooLarge,
            ProtocolError::TooManyCalls { .. } | ProtocolError::CalmDown { .. } => GoAwayReason::CalmDown,
            _ => GoAwayReason::Protocol,
        }
    }
}

/// The body of a GoAway frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoAway {
    /// Why.
    pub reason: GoAwayReason,
    /// A text for a person.
    pub message: String,
}

impl GoAway {
    pub(crate) fn to_body(&self) -> Bytes {
        let mut body = vec![self.reason.to_wire()];
        body.extend_from_slice(self.message.as_bytes());
        body.into()
    }

    pub(crate) fn read(body: &[u8]) -> Result<Self, ProtocolError> {
        let mut fields = Fields::new(Kind::GoAway, body);
        let [reason] = fields.array("reason")?;
        let message = legible(fields.rest).chars().take(256).collect();
        Ok(Self { reason: GoAwayReason::from_wire(reason), message })
    }
}
