//! How making a server, and serving a connection, fail.

use std::io;
use std::time::Duration;

use rpc_core::ProtocolError;
use rpc_core::handshake::Refusal;
use rpc_core::message::MAX_NAME;
#[cfg(feature = "tls")]
use rpc_io::tls::TlsFailure;

/// Why a server was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The name is taken.
    #[error("rpc: service already defined: {service}")]
    DuplicateService {
        /// The service.
        service: String,
    },
    /// The service has a method of that name already.
    #[error("rpc: method already defined: {method}")]
    DuplicateMethod {
        /// The full name.
        method: String,
    },
    /// There is nothing to call.
    #[error("rpc.Register: service {service} has no methods")]
    NoMethods {
        /// The service.
        service: String,
    },
    /// A full name that no caller could use.
    #[error("rpc: method name {method:?} is not Service.Method of at most {MAX_NAME} A-Z a-z 0-9 _ . / -")]
    Name {
        /// The full name.
        method: String,
    },
    /// A path that no request can have: it begins with `/`, and neither a query nor a fragment is part of it.
    #[error("rpc: no request can have the path {path:?}: one begins with / and has no ? and no #")]
    Path {
        /// The path.
        path: String,
    },
    /// No web page has this origin: a scheme, a host and perhaps a port, as in `https://app.example:8443`.
    #[error("rpc: origin {origin:?} is not of the form scheme://host or scheme://host:port, in lower case")]
    Origin {
        /// The origin.
        origin: String,
    },
    /// A host's name, or its address, without a port.
    #[error("rpc: debug host {host:?} is not a name or an address without a port")]
    Host {
        /// The host.
        host: String,
    },
    /// Two things would stand at one path: RPC, the debug page, or a route.
    #[error("rpc: path {path:?} is taken twice")]
    PathTwice {
        /// The path.
        path: String,
    },
    /// No body format is left to choose from.
    #[error("rpc: no body format")]
    NoFormat,
    /// With this setting at zero nobody could be served. What is to be unlimited is left alone, or set to
    /// the largest value there is.
    #[error("rpc: {setting} is zero: nobody could be served")]
    Zero {
        /// The method that sets it: of [`Builder`](crate::Builder), or of `ServerTls`.
        setting: &'static str,
    },
    /// A limit that cannot be announced to clients.
    #[error(transparent)]
    Limits(#[from] rpc_core::handshake::LimitOutOfRange),
}

/// Why a connection ended other than in good order.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// It was refused; the client was told so, unless too many others were being told at that time, or TLS
    /// had not begun.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// The transport failed, or the peer went away inside its request head.
    #[error("the connection failed: {0}")]
    Io(#[source] io::Error),
    /// The TLS handshake failed.
    #[cfg(feature = "tls")]
    #[error("TLS: {0}")]
    Tls(#[source] TlsFailure),
    /// The client said nothing for the ping interval, and nothing after it was asked either.
    #[error("the client did not answer a Ping within {after:?}")]
    Unresponsive {
        /// How long it was waited for; see [`ping_timeout`](crate::Builder::ping_timeout).
        after: Duration,
    },
    /// A frame had begun to arrive, and was not there whole in time; the client was told so.
    #[error("a frame did not arrive whole within {after:?}")]
    FrameTimeout {
        /// How long it was waited for; see [`frame_timeout`](crate::Builder::frame_timeout).
        after: Duration,
    },
    /// A route had taken the connection over, and panicked.
    #[error("the route that had taken the connection over panicked")]
    Panicked,
    /// The client broke the protocol; it was told so.
    #[error("the client broke the protocol: {0}")]
    Protocol(#[source] ProtocolError),
}
