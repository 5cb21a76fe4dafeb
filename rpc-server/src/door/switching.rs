//! The headers of an answer that switches protocols.

use http::header::UPGRADE;
#[cfg(feature = "websocket")]
use http::header::{SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Version};
use rpc_core::Format;
use rpc_core::handshake::{Entry, Refusal};
#[cfg(feature = "websocket")]
use rpc_core::handshake::{subprotocol, websocket_key};
#[cfg(feature = "websocket")]
use rpc_io::websocket::accept_key;

/// What the answer to this request says of the protocol; nothing for CONNECT.
#[cfg_attr(not(feature = "websocket"), allow(unused_variables, reason = "for WebSocket"))]
pub(super) fn switching(entry: Entry, request: &Parts, format: Format) -> Result<HeaderMap, Refusal> {
    let mut headers = HeaderMap::new();
    // By HTTP/2 there is no `Upgrade` to answer, and no key (RFC 8441, section 5).
    let upgrades = request.version < Version::HTTP_2;
    if let Some(protocol) = entry.protocol().filter(|_| upgrades) {
        headers.insert(UPGRADE, HeaderValue::from_static(protocol));
    }
    #[cfg(feature = "websocket")]
    if entry == Entry::WebSocket {
        let accept = if upgrades { Some(accept_key(websocket_key(request)?)) } else { None };
        let subprotocol = request.headers.contains_key(SEC_WEBSOCKET_PROTOCOL).then(|| subprotocol(format));
        for (name, value) in [(SEC_WEBSOCKET_ACCEPT, accept), (SEC_WEBSOCKET_PROTOCOL, subprotocol)] {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                headers.insert(name, value);
            }
        }
    }
    Ok(headers)
}
