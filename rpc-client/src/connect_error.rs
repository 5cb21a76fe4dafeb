//! How connections fail to come about.

mod attempts;
mod likely;
#[cfg(feature = "proxy")]
mod proxy;

use std::io;
use std::time::Duration;

use http::StatusCode;
use rpc_core::handshake::{ConnectError as RequestError, Refusal};
#[cfg(feature = "tls")]
use rpc_io::tls::{TlsError, TlsFailure};

pub use attempts::{Attempt, Attempts};
#[cfg(feature = "proxy")]
pub use proxy::ProxyError;

use crate::dial::AddressError;
use crate::error::Lost;
#[cfg(feature = "http2")]
use likely::innermost;
use likely::{bracketed, closed, common_cause, dial_cause, page, proxied, refused, silent};

/// Why a connection could not be made: one variant for each way in which it does not come about.
///
/// Displays in one line: the address as it was given, what happened, and the likely cause. The line holds
/// the text of [`source`](std::error::Error::source) too, for it is printed alone more often than with
/// its chain; whoever prints the chain sees that text twice.
///
/// What came from the other side is shortened in it, and has no control characters.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address is none that this client can connect to.
    #[error("cannot connect to {address:?}: {source}")]
    Address {
        /// The address as it was given, without a user and a query.
        address: String,
        /// What is wrong with it.
        source: AddressError,
    },
    /// The path does not fit into an HTTP request.
    #[error("cannot connect to {address}: the path {path:?} does not fit into a request: {source}")]
    Path {
        /// The address as it was given.
        address: String,
        /// The path as it was given, without its query.
        path: String,
        /// What is wrong with it.
        source: http::uri::InvalidUri,
    },
    /// The request cannot be made from these settings.
    #[error("cannot connect to {address}: no request can be made from the settings: {source}")]
    Settings {
        /// The address as it was given.
        address: String,
        /// Which, and why.
        source: RequestError,
    },
    /// This client was built without WebSocket.
    #[error(
        "cannot connect to {address}: this client was built without WebSocket; turn the feature `websocket` of \
         rpc-client on"
    )]
    NoWebSocket {
        /// The address as it was given.
        address: String,
    },
    /// The name does not resolve.
    #[error("cannot connect to {address}: the name does not resolve: {source}; is it spelled right?")]
    Resolve {
        /// The address as it was given.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The name resolves to nothing.
    #[error("cannot connect to {address}: the name has no address; is it spelled right?")]
    NoAddress {
        /// The address as it was given.
        address: String,
    },
    /// The name did not resolve within the time for dialling.
    #[error("cannot connect to {address}: the name did not resolve within {after:?}; is the name server up?")]
    ResolveTimeout {
        /// The address as it was given.
        address: String,
        /// The time it was given.
        after: Duration,
    },
    /// The host is there, and nobody listens on the port. A name with more than one address fails with
    /// [`Addresses`](Self::Addresses) instead, here and in the next three.
    #[error("cannot connect to {address}: {source}{}", dial_cause(source))]
    ConnectionRefused {
        /// The address as it was given.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// There is no way to the host or to its network.
    #[error("cannot connect to {address}: {source}{}", dial_cause(source))]
    Unreachable {
        /// The address as it was given.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// No connection within the time for dialling: nothing came back.
    #[error("cannot connect to {address}: nothing came back within {after:?}{}", likely::SILENCE)]
    DialTimeout {
        /// The address as it was given.
        address: String,
        /// The time it was given.
        after: Duration,
    },
    /// Dialling failed in another way, the system's own timeout included.
    #[error("cannot connect to {address}: {source}{}", dial_cause(source))]
    Dial {
        /// The address as it was given.
        address: String,
        /// What the system, or the connector, said.
        source: io::Error,
    },
    /// The name has more than one address, and none of them could be dialled.
    #[error("cannot connect to {address} ({source}){}", common_cause(source))]
    Addresses {
        /// The address as it was given.
        address: String,
        /// What became of each; its own source is that of the first, as the system prefers it.
        source: Attempts,
    },
    /// The connection ended before anything came: closed, reset, or failed.
    #[error("cannot connect to {address}: {}", closed(*tls, source))]
    Closed {
        /// The address as it was given.
        address: String,
        /// Whether TLS was spoken on it.
        tls: bool,
        /// How; [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) when it was closed in good order.
        source: io::Error,
    },
    /// The connection ended in the middle of the server's answer.
    #[error("cannot connect to {address}: the answer broke off after \"{received}\": {source}")]
    BrokenOff {
        /// The address as it was given.
        address: String,
        /// The first bytes of what came: 64 at most, escaped.
        received: String,
        /// How; [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) when it was closed in good order.
        source: io::Error,
    },
    /// The server took the connection, and did not answer CONNECT in time.
    #[error("cannot connect to {address}: {}", silent(*after))]
    AnswerTimeout {
        /// The address as it was given.
        address: String,
        /// The time it was given.
        after: Duration,
    },
    /// A server of HTTP refused: the RPC server itself, or one that knows nothing of RPC.
    #[error("cannot connect to {address}: {}", refused(source, path))]
    Refused {
        /// The address as it was given.
        address: String,
        /// The path that was asked for, without its query.
        path: String,
        /// Its status, headers and text.
        source: Refusal,
    },
    /// The forward proxy that was set did not open the way to the server.
    #[cfg(feature = "proxy")]
    #[error("cannot connect to {address}: {source}")]
    ForwardProxy {
        /// The address as it was given: the server's, not the proxy's.
        address: String,
        /// What happened, and at which proxy.
        source: ProxyError,
    },
    /// A proxy in between refused, or passed a refusal on.
    #[error("cannot connect to {address}: {}", proxied(proxy, source))]
    Proxy {
        /// The address as it was given.
        address: String,
        /// How the proxy names itself: the header that tells most, as in `Via: 1.1 gateway (squid/6.6)`,
        /// escaped; empty when there is none.
        proxy: String,
        /// Its status, headers and text.
        source: Refusal,
    },
    /// A page for people came instead of an acceptance.
    #[error("cannot connect to {address}: {}", page(*status, sender))]
    WebPage {
        /// The address as it was given.
        address: String,
        /// The page's status, a 2xx.
        status: StatusCode,
        /// How its sender names itself, as [`Proxy`](Self::Proxy) does.
        sender: String,
    },
    /// The answer neither accepts nor refuses: a 2xx to a request to [switch protocols](crate::Builder::entry), by a
    /// server that does not know this one, or whose way in it is not.
    #[error(
        "cannot connect to {address}: the answer {status}{} does not switch to RPC; does the server let clients in by \
         Upgrade?",
        bracketed(sender)
    )]
    NotSwitched {
        /// The address as it was given.
        address: String,
        /// The answer's status.
        status: StatusCode,
        /// How its sender names itself, as [`Proxy`](Self::Proxy) does.
        sender: String,
    },
    /// The connection of HTTP/2 failed before there was an answer.
    #[cfg(feature = "http2")]
    #[error(
        "cannot connect to {address}: no answer by HTTP/2: {}; does the server speak it there?",
        innermost(source)
    )]
    Http2 {
        /// The address as it was given.
        address: String,
        /// How.
        source: io::Error,
    },
    /// The server speaks TLS on this port, and the address does not ask for it.
    #[error(
        "cannot connect to {address}: the server speaks TLS there; is the address to begin with https://?"
    )]
    ServerSpeaksTls {
        /// The address as it was given.
        address: String,
    },
    /// What TLS is to be made with cannot be used: the platform's roots, or the name of the server.
    #[cfg(feature = "tls")]
    #[error("cannot connect to {address}: {source}")]
    TlsSettings {
        /// The address as it was given.
        address: String,
        /// What is wrong.
        source: TlsError,
    },
    /// The TLS handshake failed, or the server said right after it that it does not take this client's certificate.
    #[cfg(feature = "tls")]
    #[error("cannot connect to {address}: {source}")]
    TlsHandshake {
        /// The address as it was given.
        address: String,
        /// Why.
        source: TlsFailure,
    },
    /// The server speaks a protocol that is neither HTTP nor TLS.
    #[error(
        "cannot connect to {address}: the server speaks another protocol, it began with \"{first_bytes}\"; \
         is the port right?"
    )]
    OtherProtocol {
        /// The address as it was given.
        address: String,
        /// The first bytes that came: 64 at most, escaped.
        first_bytes: String,
    },
    /// The server speaks another version of RPC, by its refusal or its acceptance.
    #[error(
        "cannot connect to {address}: the server speaks version \"{theirs}\" of the protocol, this client 1; \
         is the older of the two to be updated?"
    )]
    Version {
        /// The address as it was given.
        address: String,
        /// What the server announced.
        theirs: String,
    },
    /// The server has none of the body formats that were offered.
    #[error(
        "cannot connect to {address}: no common body format: the server has \"{theirs}\", \
         this client offered \"{offered}\""
    )]
    NoCommonFormat {
        /// The address as it was given.
        address: String,
        /// The names that were offered.
        offered: String,
        /// The names that the server has.
        theirs: String,
    },
    /// The server accepted, with a body format that was not offered.
    #[error(
        "cannot connect to {address}: the server chose the body format \"{chosen}\", \
         which was not offered; it breaks the protocol"
    )]
    FormatNotOffered {
        /// The address as it was given.
        address: String,
        /// What it chose.
        chosen: String,
    },
    /// The server accepted, with limits that cannot be.
    #[error("cannot connect to {address}: the server's limits cannot be: {reason}")]
    Limits {
        /// The address as it was given.
        address: String,
        /// Which, and what they may be.
        reason: String,
    },
    /// The answer began as HTTP and is none, contradicts itself, or is too large.
    #[error("cannot connect to {address}: malformed answer: {reason}; is it an RPC server?")]
    Malformed {
        /// The address as it was given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The connection was made, and lost before it was of use.
    #[error("cannot connect to {address}: the connection was made, and lost at once: {source}")]
    Lost {
        /// The address as it was given.
        address: String,
        /// How.
        source: Lost,
    },
}
