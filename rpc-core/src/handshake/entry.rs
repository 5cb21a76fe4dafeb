//! The ways in which a request asks for RPC.

use http::header::{CONNECTION, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, Version};

/// How a request asks for RPC. What follows is the same: frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Entry {
    /// `CONNECT /_rpc_`, answered with 200.
    #[default]
    Connect,
    /// `GET /_rpc_ HTTP/1.1` with `Upgrade: rpc` (RFC 9110, section 7.8), answered with 101: for what stands in
    /// front of a server and does not pass CONNECT on.
    Upgrade,
    /// The same with `Upgrade: websocket` (RFC 6455), for browsers. The frames are in binary messages.
    WebSocket,
}

impl Entry {
    /// How this request asks for RPC, whether or not the server lets it; `None`: it does not.
    ///
    /// ```
    /// use rpc_core::handshake::{Entry, parse_request};
    ///
    /// let head = b"GET /_rpc_ HTTP/1.1\r\nHost: far\r\nConnection: upgrade\r\nUpgrade: rpc\r\n\r\n";
    /// assert_eq!(Entry::of(&parse_request(head)?), Some(Entry::Upgrade));
    /// # Ok::<(), rpc_core::handshake::Refusal>(())
    /// ```
    #[must_use]
    pub fn of(request: &Parts) -> Option<Self> {
        if request.method == Method::CONNECT {
            return Some(Self::Connect);
        }
        // In HTTP/1.0 the header says nothing (RFC 9110, section 7.8).
        let may = request.method == Method::GET && request.version == Version::HTTP_11;
        if !may || !lists(&request.headers, &CONNECTION, UPGRADE.as_str()) {
            return None;
        }
        [Self::Upgrade, Self::WebSocket].into_iter().find(|entry| entry.is_in(&request.headers))
    }

    /// The name in `Upgrade`, where there is one.
    #[must_use]
    pub const fn protocol(self) -> Option<&'static str> {
        match self {
            Self::Connect => None,
            Self::Upgrade => Some("rpc"),
            Self::WebSocket => Some("websocket"),
        }
    }

    pub(super) fn is_in(self, headers: &HeaderMap) -> bool {
        self.protocol().is_some_and(|protocol| lists(headers, &UPGRADE, protocol))
    }
}

/// Whether a list of tokens has this one.
fn lists(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case(token))
}
