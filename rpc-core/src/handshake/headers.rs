//! Header lines, read and written the same way for both heads.

use std::fmt;

use http::header::Entry;
use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, COOKIE, PROXY_AUTHORIZATION, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName, HeaderValue};

/// `Rpc-Version`: the version of the protocol, `1`.
pub const RPC_VERSION: HeaderName = HeaderName::from_static("rpc-version");
/// `Rpc-Format`: body formats by name, separated by commas.
pub const RPC_FORMAT: HeaderName = HeaderName::from_static("rpc-format");
/// `Rpc-Max-Frame`: the largest frame that its sender takes, in bytes behind the length field.
pub const RPC_MAX_FRAME: HeaderName = HeaderName::from_static("rpc-max-frame");
/// `Rpc-Max-Calls`: the most calls in flight that its sender takes.
pub const RPC_MAX_CALLS: HeaderName = HeaderName::from_static("rpc-max-calls");
/// `Rpc-Window`: bytes of items that a direction of a stream may carry to its sender before it consumes them.
pub const RPC_WINDOW: HeaderName = HeaderName::from_static("rpc-window");
/// `Rpc-Max-Streams`: the most streams at once that its sender takes.
pub const RPC_MAX_STREAMS: HeaderName = HeaderName::from_static("rpc-max-streams");

/// A header's name in the spelling that people and old parsers of HTTP/1 expect: `Rpc-Version`.
pub(super) struct TitleCase<'a>(pub(super) &'a HeaderName);

impl fmt::Display for TitleCase<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for letter in self.0.as_str().chars() {
            write!(f, "{}", if first { letter.to_ascii_uppercase() } else { letter })?;
            first = letter == '-';
        }
        Ok(())
    }
}

pub(super) fn write_header(name: &HeaderName, value: impl AsRef<[u8]>, out: &mut Vec<u8>) {
    out.extend_from_slice(TitleCase(name).to_string().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_ref());
    out.extend_from_slice(b"\r\n");
}

/// The parsed lines as a map; the text of the error says what is wrong.
pub(super) fn collect(lines: &[httparse::Header<'_>]) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::with_capacity(lines.len());
    for line in lines {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| MALFORMED_NAME.to_owned())?;
        let value = HeaderValue::from_bytes(line.value)
            .map_err(|_| format!("malformed value of header {}", TitleCase(&name)))?;
        headers.append(name, value);
    }
    hide_credentials(&mut headers);
    Ok(headers)
}

/// Marks credentials, so that they are not seen when somebody logs the peer: `Authorization`, `Proxy-Authorization` and
/// `Cookie`. Heads that were parsed here are marked already.
pub fn hide_credentials(headers: &mut HeaderMap) {
    for name in [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE] {
        if let Entry::Occupied(mut values) = headers.entry(name) {
            values.iter_mut().for_each(|value| value.set_sensitive(true));
        }
    }
}

const MALFORMED_NAME: &str = "malformed header name";

/// What is wrong with a head that httparse turned down.
///
/// Never quotes the head: the line at fault may hold a secret, and the text ends up in logs.
pub(super) fn describe(error: httparse::Error, head: &[u8]) -> &'static str {
    match error {
        httparse::Error::HeaderName if has_folded_line(head) => {
            "header line starts with white space (obsolete folding, RFC 9112 section 5.2)"
        }
        httparse::Error::HeaderName => MALFORMED_NAME,
        httparse::Error::HeaderValue => "malformed header value",
        httparse::Error::NewLine => "carriage return without line feed",
        httparse::Error::Status => "malformed status code",
        httparse::Error::Token => "malformed request line",
        httparse::Error::TooManyHeaders => "too many headers",
        httparse::Error::Version => "malformed or unknown HTTP version",
    }
}

fn has_folded_line(head: &[u8]) -> bool {
    head.windows(2).any(|pair| pair[0] == b'\n' && matches!(pair[1], b' ' | b'\t'))
}

/// The one value announced under a name that must not contradict itself.
pub(super) fn announced<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a [u8]>, String> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.any(|other| other != first) {
        return Err(format!("{} given more than once, with different values", TitleCase(name)));
    }
    Ok(Some(first.as_bytes()))
}

/// The value of `Content-Type`, without its parameters.
pub(super) fn media_type(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(CONTENT_TYPE)?.as_bytes();
    value.split(|byte| *byte == b';').next().map(<[u8]>::trim_ascii)
}

/// Whether the body can be shown to people. Go's server, for one, tells no type when it says that it wants
/// TLS.
pub(super) fn is_readable(headers: &HeaderMap) -> bool {
    const READABLE: [&str; 3] = ["text/plain", "application/json", "application/problem+json"];
    let is_coded = [TRANSFER_ENCODING, CONTENT_ENCODING].iter().any(|name| headers.contains_key(name));
    let is = |kind: &[u8]| READABLE.iter().any(|one| kind.eq_ignore_ascii_case(one.as_bytes()));
    !is_coded && media_type(headers).is_none_or(is)
}

/// Bytes of a peer, made fit for a message: at most 64 of them, all printable ASCII.
pub(super) fn escaped(bytes: &[u8]) -> String {
    const SHOWN: usize = 64;
    let shown = bytes[..bytes.len().min(SHOWN)].escape_ascii();
    if bytes.len() > SHOWN { format!("{shown}...") } else { shown.to_string() }
}
