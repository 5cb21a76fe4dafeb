//! How connections fail to come about.

use std::io;
use std::time::Duration;

use rpc_core::handshake::{AnswerError, ConnectError as HeadError};

use crate::error::Lost;

/// Why a connection could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The name did not resolve.
    #[error("cannot resolve {address}: {source}")]
    Resolve {
        /// The address as it was given.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// Nobody took the connection.
    #[error("cannot connect to {address}: {source}{}", likely(source))]
    Dial {
        /// The address as it was given.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// No connection within the time for dialling.
    #[error("cannot connect to {address}: no answer within {after:?}")]
    DialTimeout {
        /// The address as it was given.
        address: String,
        /// The time it was given.
        after: Duration,
    },
    /// The connection failed before the server's answer was whole.
    #[error("{address} closed the connection before it answered CONNECT: {source}")]
    Closed {
        /// The address as it was given.
        address: String,
        /// How.
        source: io::Error,
    },
    /// No answer to CONNECT in time.
    #[error("{address} did not answer CONNECT within {after:?}")]
    AnswerTimeout {
        /// The address as it was given.
        address: String,
        /// The time it was given.
        after: Duration,
    },
    /// The server's answer was no acceptance.
    #[error("{address} did not accept the connection: {source}")]
    Answer {
        /// The address as it was given.
        address: String,
        /// What it answered.
        source: AnswerError,
    },
    /// The request cannot be made from these settings.
    #[error("cannot ask {address} for a connection: {source}")]
    Settings {
        /// The address as it was given.
        address: String,
        /// Which, and why.
        source: HeadError,
    },
    /// The path does not fit into an HTTP request.
    #[error("cannot CONNECT to the path {path:?}: {source}")]
    Path {
        /// The path as it was given.
        path: String,
        /// Why.
        source: http::uri::InvalidUri,
    },
    /// The address does not fit into an HTTP request.
    #[error("{address:?} is not host:port: {source}")]
    Address {
        /// The address as it was given.
        address: String,
        /// Why.
        source: http::uri::InvalidUri,
    },
    /// The connection was made, and lost before it was of use.
    #[error("{address} took the connection, and it was lost at once: {source}")]
    Lost {
        /// The address as it was given.
        address: String,
        /// How.
        source: Lost,
    },
}

fn likely(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::ConnectionRefused => "; is the server running there?",
        _ => "",
    }
}
