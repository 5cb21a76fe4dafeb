//! What the handshake of a WebSocket (RFC 6455, section 4) says beside `Upgrade`.

use http::header::{SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::headers::{announced, escaped};
use super::refusal::Refusal;
use crate::format::Format;

/// The only version there is.
const VERSION: HeaderValue = HeaderValue::from_static("13");

/// The key that a request for a WebSocket wants to see answered in `Sec-WebSocket-Accept`.
///
/// ```
/// use rpc_core::handshake::{parse_request, websocket_key};
///
/// let head = b"GET /_rpc_ HTTP/1.1\r\nHost: far\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
///     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/// assert_eq!(websocket_key(&parse_request(head)?)?, b"dGhlIHNhbXBsZSBub25jZQ==");
/// # Ok::<(), rpc_core::handshake::Refusal>(())
/// ```
///
/// # Errors
///
/// 426 for another version than 13, which the answer names; 400 for a key that is missing, is not 16 bytes in base64, or
/// stands there twice.
pub fn websocket_key(request: &Parts) -> Result<&[u8], Refusal> {
    let headers = &request.headers;
    let version = announced(headers, &SEC_WEBSOCKET_VERSION).map_err(Refusal::bad_request)?;
    if version != Some(VERSION.as_bytes()) {
        let said = version.map_or_else(|| "none".to_owned(), |version| format!("\"{}\"", escaped(version)));
        let text = format!("Sec-WebSocket-Version must be 13, not {said}");
        return Err(
            Refusal::new(StatusCode::UPGRADE_REQUIRED, text).with_header(SEC_WEBSOCKET_VERSION, VERSION)
        );
    }
    let mut keys = headers.get_all(SEC_WEBSOCKET_KEY).iter();
    match (keys.next(), keys.next()) {
        (Some(key), None) if is_key(key.as_bytes()) => Ok(key.as_bytes()),
        (Some(_), None) => Err(Refusal::bad_request("Sec-WebSocket-Key must be 16 bytes in base64")),
        (None, _) => Err(Refusal::bad_request("a WebSocket without Sec-WebSocket-Key")),
        _ => Err(Refusal::bad_request("Sec-WebSocket-Key given more than once")),
    }
}

fn is_key(key: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.strip_suffix(b"==").is_some_and(|digits| digits.len() == 22 && digits.iter().all(is_digit))
}

/// The name of a format in `Sec-WebSocket-Protocol`, `rpc.json` say: a page can set no other header.
#[must_use]
pub fn subprotocol(format: Format) -> String {
    format!("rpc.{}", format.name())
}

/// The format that is asked for in `Sec-WebSocket-Protocol`; `None`: it is not there.
///
/// # Errors
///
/// 415 when none of those that are asked for is among `formats`.
pub(super) fn asked_format(headers: &HeaderMap, formats: &[Format]) -> Result<Option<Format>, Refusal> {
    if !headers.contains_key(SEC_WEBSOCKET_PROTOCOL) {
        return Ok(None);
    }
    let values = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    let mut names = values.flat_map(|value| value.split(',')).map(str::trim);
    // Letter by letter: a browser compares the name in the answer so.
    let chosen = names.find_map(|name| formats.iter().find(|format| subprotocol(**format) == name));
    chosen.map(|format| Some(*format)).ok_or_else(|| {
        let ours: Vec<String> = formats.iter().map(|format| subprotocol(*format)).collect();
        let text = format!("no known Sec-WebSocket-Protocol, this server has: {}", ours.join(", "));
        Refusal::unsupported_format(text)
    })
}
