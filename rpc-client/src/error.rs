//! How calls and connections fail on this side of the wire.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rpc_core::error::MetadataError;
use rpc_core::format::{DecodeError, EncodeError};
use rpc_core::message::GoAway;
use rpc_core::stream::Fault;
use rpc_core::{Executed, ProtocolError, Status};

use crate::connect_error::ConnectError;
use crate::until::Stop;

/// Which call, to whom: what every [`Error`] names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallInfo {
    /// The full name of the method.
    pub method: Cow<'static, str>,
    /// The server, as the client was told to reach it.
    pub peer: Arc<str>,
}

impl fmt::Display for CallInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.method, self.peer)
    }
}

/// Why a call failed.
///
/// [`Status`](Error::Status) is what the server said; all others happened here. Either way
/// [`executed`](Error::executed) tells whether the handler may have run.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server's refusal, or the handler's own error (Go: `ServerError`).
    #[error("{call}: {status}")]
    Status {
        /// The call.
        call: Box<CallInfo>,
        /// What the server said.
        status: Status,
    },
    /// No connection could be made for the call. It has not run.
    #[error("{call}: {source}")]
    Connect {
        /// The call.
        call: Box<CallInfo>,
        /// Why.
        source: Arc<ConnectError>,
    },
    /// The connection was lost before the answer came.
    #[error("{call}: {source}")]
    ConnectionLost {
        /// The call.
        call: Box<CallInfo>,
        /// Whether the handler may have run.
        executed: Executed,
        /// What became of the connection.
        source: Lost,
    },
    /// The client was closed (Go: `ErrShutdown`).
    #[error("{call}: connection is shut down")]
    Shutdown {
        /// The call.
        call: Box<CallInfo>,
        /// Whether the handler may have run: `Maybe` for a call that was in flight.
        executed: Executed,
    },
    /// The call's time was up; of one with streams, before its last item came.
    #[error("{call}: no answer within {after:?}")]
    DeadlineExceeded {
        /// The call.
        call: Box<CallInfo>,
        /// Whether the handler may have run.
        executed: Executed,
        /// The time it was given.
        after: Duration,
    },
    /// The call that this one was made [within](rpc_core::Call::within) was given up.
    #[error("{call}: the call it was made for was given up")]
    Cancelled {
        /// The call.
        call: Box<CallInfo>,
        /// Whether the handler may have run.
        executed: Executed,
    },
    /// No item of a stream came for as long as the call [waits for one](rpc_core::StreamCall::idle_timeout).
    #[error("{call}: no item within {after:?}")]
    Idle {
        /// The call.
        call: Box<CallInfo>,
        /// The time an item was given.
        after: Duration,
    },
    /// This side gave a call with streams up: its sender was dropped before it was finished.
    #[error("{call}: given up, for its sender was dropped before it was finished")]
    GivenUp {
        /// The call.
        call: Box<CallInfo>,
    },
    /// What came on a stream cannot be taken. Only this call fails.
    #[error("{call}: {source}")]
    Stream {
        /// The call.
        call: Box<CallInfo>,
        /// Why.
        source: Fault,
    },
    /// An interceptor of this client refused the call. It has not run.
    #[error("{call}: refused by an interceptor: {source}")]
    Intercepted {
        /// The call.
        call: Box<CallInfo>,
        /// What it said.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The arguments could not be encoded. The call has not run.
    #[error("{call}: arguments could not be encoded: {source}")]
    Encode {
        /// The call.
        call: Box<CallInfo>,
        /// Why.
        source: EncodeError,
    },
    /// The answer does not decode as the type that was asked for. Only this call fails.
    #[error("{call}: reading body: {source}")]
    Decode {
        /// The call.
        call: Box<CallInfo>,
        /// Why.
        source: DecodeError,
    },
    /// The metadata is not metadata. The call has not run.
    #[error("{call}: {source}")]
    Metadata {
        /// The call.
        call: Box<CallInfo>,
        /// Why.
        source: MetadataError,
    },
    /// The request is over a limit of the server or of the wire. The call has not run.
    #[error("{call}: {source}")]
    Limit {
        /// The call.
        call: Box<CallInfo>,
        /// Which.
        source: rpc_core::client::OpenError,
    },
}

impl Error {
    /// Whether the handler may have run. `No` is said only when it is certain: such a call can be
    /// made again.
    #[must_use]
    pub fn executed(&self) -> Executed {
        match self {
            Error::Status { status, .. } => status.executed(),
            Error::ConnectionLost { executed, .. }
            | Error::Shutdown { executed, .. }
            | Error::DeadlineExceeded { executed, .. }
            | Error::Cancelled { executed, .. } => *executed,
            Error::Decode { .. } | Error::Stream { .. } => Executed::Yes,
            Error::Idle { .. } | Error::GivenUp { .. } => Executed::Maybe,
            Error::Connect { .. }
            | Error::Intercepted { .. }
            | Error::Encode { .. }
            | Error::Metadata { .. }
            | Error::Limit { .. } => Executed::No,
        }
    }

    /// The connection of a call is lost.
    pub(crate) fn lost(call: Box<CallInfo>, lost: Lost, executed: Executed) -> Self {
        match lost {
            Lost::Closed => Error::Shutdown { call, executed },
            source => Error::ConnectionLost { call, executed, source },
        }
    }

    /// A call is not to go on.
    pub(crate) fn stopped(call: Box<CallInfo>, stop: Stop, executed: Executed) -> Self {
        match stop {
            Stop::Deadline(after) => Error::DeadlineExceeded { call, executed, after },
            Stop::Parent => Error::Cancelled { call, executed },
        }
    }

    /// The end of a call that may have run on a connection before, which was `lost`.
    pub(crate) fn after_doubt(mut self, lost: Lost) -> Self {
        if self.executed() != Executed::No {
            return self;
        }
        match &mut self {
            Error::Status { status, .. } => *status = status.clone().with_executed(Executed::Maybe),
            Error::ConnectionLost { executed, .. }
            | Error::Shutdown { executed, .. }
            | Error::DeadlineExceeded { executed, .. }
            | Error::Cancelled { executed, .. } => *executed = Executed::Maybe,
            _ => {
                let call = Box::new(self.call().clone());
                return Error::ConnectionLost { call, executed: Executed::Maybe, source: lost };
            }
        }
        self
    }

    /// What the server said, if it was the server.
    #[must_use]
    pub fn status(&self) -> Option<&Status> {
        match self {
            Error::Status { status, .. } => Some(status),
            _ => None,
        }
    }

    /// The call that failed.
    #[must_use]
    pub fn call(&self) -> &CallInfo {
        match self {
            Error::Status { call, .. }
            | Error::Connect { call, .. }
            | Error::ConnectionLost { call, .. }
            | Error::Shutdown { call, .. }
            | Error::DeadlineExceeded { call, .. }
            | Error::Cancelled { call, .. }
            | Error::Idle { call, .. }
            | Error::GivenUp { call }
            | Error::Stream { call, .. }
            | Error::Intercepted { call, .. }
            | Error::Encode { call, .. }
            | Error::Decode { call, .. }
            | Error::Metadata { call, .. }
            | Error::Limit { call, .. } => call,
        }
    }
}

/// What became of a connection.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Lost {
    /// This side closed it.
    #[error("connection is shut down")]
    Closed,
    /// The server closed it (Go: `unexpected EOF`).
    #[error("the server closed the connection")]
    Eof,
    /// The transport failed.
    #[error("the connection failed: {0}")]
    Io(#[source] Arc<io::Error>),
    /// The server broke the protocol, and this side gave up.
    #[error("the server broke the protocol: {0}")]
    Protocol(#[source] ProtocolError),
    /// The task of the connection was stopped: its runtime ended.
    #[error("the runtime of the connection ended")]
    Stopped,
    /// The server said nothing for long, and did not answer when it was asked whether it is there.
    #[error("the server does not respond: it is stopped or out of reach")]
    Unresponsive,
    /// The server takes no new calls here.
    #[error("the server takes no new calls on this connection{}", reason(.0))]
    GoingAway(Option<GoAway>),
}

fn reason(go_away: &Option<GoAway>) -> String {
    match go_away {
        Some(GoAway { reason, message }) => format!(" ({reason:?}: {message})"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_small_enough_to_travel_in_results() {
        assert!(size_of::<Error>() <= 64, "{}", size_of::<Error>());
    }
}
