//! What keeps a forward proxy from opening the way to a server.

use std::io;
use std::time::Duration;

use http::StatusCode;
use rpc_core::handshake::Refusal;

use super::ConnectError;

/// Why a [`Proxy`](crate::Proxy) did not open the way to the server.
///
/// Names the proxy as `host:port`, and never its credentials. What came from the proxy is shortened, and has no
/// control characters.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The proxy's address is none.
    #[error("the proxy's address {proxy:?} is not of the form host:port or [IPv6]:port")]
    Address {
        /// The address as it was given, without a user.
        proxy: String,
    },
    /// The environment names a proxy of a kind that this client does not speak to: `https://` or SOCKS4.
    #[error("the proxy {proxy} is none that this client can use; those with http:// and socks5:// are")]
    Kind {
        /// The proxy's URL, without a user.
        proxy: String,
    },
    /// The credentials do not fit into what is said to the proxy.
    #[error("the credentials for the proxy {proxy} cannot be sent: {reason}")]
    Credentials {
        /// The proxy's address.
        proxy: String,
        /// What is wrong with them.
        reason: &'static str,
    },
    /// There is no connection to the proxy.
    #[error("the proxy cannot be reached: {source}")]
    Unreachable {
        /// Names the proxy, and why.
        source: Box<ConnectError>,
    },
    /// The proxy took the connection, and did not open the way in the time for dialling.
    #[error(
        "the proxy {proxy} took the connection, but did not open the way within {after:?}; is it a proxy, and \
         does it reach the server?"
    )]
    Timeout {
        /// The proxy's address.
        proxy: String,
        /// The time for dialling, of which connecting to the proxy has taken its part.
        after: Duration,
    },
    /// The proxy ended the connection before it had answered.
    #[error("the proxy {proxy} ended the connection before it opened the way: {source}")]
    Closed {
        /// The proxy's address.
        proxy: String,
        /// How; [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) when it was closed in good order.
        source: io::Error,
    },
    /// The proxy wants credentials, or others: status 407, or what SOCKS says instead.
    #[error("the proxy {proxy} {}", wanted(*given))]
    Unauthorized {
        /// The proxy's address.
        proxy: String,
        /// Whether it was given any.
        given: bool,
    },
    /// An HTTP proxy refused, with another status than 407.
    #[error("the proxy {proxy} refused with {source}{}", refusal_cause(source))]
    Refused {
        /// The proxy's address.
        proxy: String,
        /// Its status, headers and text.
        source: Refusal,
    },
    /// A SOCKS proxy refused.
    #[error("the proxy {proxy} refused with SOCKS reply {reply}: {}", meaning(*reply))]
    Reply {
        /// The proxy's address.
        proxy: String,
        /// The number of the reply (RFC 1928, section 6).
        reply: u8,
    },
    /// What the proxy said is no answer.
    #[error("the proxy {proxy} did not answer as one: {reason}; is it a proxy, and of this kind?")]
    Malformed {
        /// The proxy's address.
        proxy: String,
        /// What is wrong with it.
        reason: String,
    },
}

fn wanted(given: bool) -> &'static str {
    if given {
        "does not take these credentials; are they right?"
    } else {
        "wants credentials; give them with Proxy::credentials"
    }
}

fn refusal_cause(refusal: &Refusal) -> &'static str {
    match refusal.status() {
        StatusCode::FORBIDDEN => "; does it let CONNECT through to this server and port?",
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED | StatusCode::NOT_FOUND => {
            "; is it a forward proxy?"
        }
        status if status.is_server_error() => "; does it reach the server?",
        _ => "",
    }
}

fn meaning(reply: u8) -> &'static str {
    match reply {
        1 => "it failed",
        2 => "its rules do not allow the connection",
        3 => "it does not reach the server's network",
        4 => "it does not reach the server's host",
        5 => "the server refused the connection; is the server running there?",
        6 => "the connection took too many hops",
        7 => "it does not know CONNECT",
        8 => "it does not know this kind of address",
        _ => "RFC 1928 does not know that",
    }
}
