//! The server's side of the request: parse it, then decide.

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};

use super::entry::Entry;
use super::head::MAX_HEADERS;
use super::headers::{RPC_FORMAT, RPC_VERSION, TitleCase, collect, describe, escaped};
use super::refusal::Refusal;
use super::terms::{DEFAULT_FORMAT, Terms, foreign_version, format_list, format_names, read_limits};
use super::websocket::asked_format;
use crate::format::Format;

/// Parses one whole head, as [`HeadBuffer`](super::HeadBuffer) hands it out, of any method.
///
/// Routes beside RPC look at the result first; what they do not own goes to [`negotiate`].
/// HTTP/1.1 without `Host` is accepted, for the sake of requests typed by hand.
///
/// ```
/// use rpc_core::handshake::parse_request;
///
/// let request = parse_request(b"GET /debug/rpc HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
/// assert_eq!((request.method.as_str(), request.uri.path()), ("GET", "/debug/rpc"));
/// # Ok::<(), rpc_core::handshake::Refusal>(())
/// ```
///
/// # Errors
///
/// 400 for anything malformed, folded header lines (RFC 9112, section 5.2) and a repeated `Host`
/// (section 3.2) included; 431 for more than [`MAX_HEADERS`] headers; 505 for an HTTP version other
/// than 1.0 and 1.1.
pub fn parse_request(head: &[u8]) -> Result<Parts, Refusal> {
    let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut lines);
    let parsed = request.parse(head).map_err(|error| refuse(error, head))?;
    if parsed != httparse::Status::Complete(head.len()) {
        return Err(Refusal::bad_request("not exactly one head"));
    }

    let headers = collect(request.headers).map_err(Refusal::bad_request)?;
    if headers.get_all(HOST).iter().nth(1).is_some() {
        return Err(Refusal::bad_request("Host given more than once"));
    }
    let method = Method::from_bytes(request.method.unwrap_or_default().as_bytes())
        .map_err(|_| Refusal::bad_request("malformed method"))?;
    let uri = Uri::try_from(request.path.unwrap_or_default())
        .map_err(|_| Refusal::bad_request("malformed request target"))?;

    let mut parts = Request::new(()).into_parts().0;
    parts.method = method;
    parts.uri = uri;
    parts.version = if request.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    parts.headers = headers;
    Ok(parts)
}

fn refuse(error: httparse::Error, head: &[u8]) -> Refusal {
    match error {
        httparse::Error::TooManyHeaders => {
            Refusal::head_too_large(format!("more than {MAX_HEADERS} headers"))
        }
        httparse::Error::Version if names_http_version(head) => {
            Refusal::version_not_supported("this server speaks HTTP/1.0 and HTTP/1.1")
        }
        error => Refusal::bad_request(describe(error, head)),
    }
}

/// Tells a version that is not spoken here (`HTTP/2.0`) from one that is none (`HTTQ/1.0`).
fn names_http_version(head: &[u8]) -> bool {
    let line = head.trim_ascii_start().split(|byte| *byte == b'\n').next().unwrap_or_default();
    let version = line.trim_ascii_end().split(|byte| *byte == b' ').nth(2).unwrap_or_default();
    version.strip_prefix(b"HTTP/").is_some_and(|number| {
        number.first().is_some_and(u8::is_ascii_digit)
            && number.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
    })
}

/// Tells from the first bytes of a request, before its head is whole, that it will never be HTTP: a
/// client that speaks TLS says much without a line end, and waits.
///
/// ```
/// use rpc_core::handshake::check_request_bytes;
///
/// assert!(check_request_bytes(b"CONN").is_ok());
/// assert!(check_request_bytes(b"\x16\x03\x01\x02\x00\x01").is_err());
/// ```
///
/// # Errors
///
/// 400 for a handshake of TLS.
pub fn check_request_bytes(bytes: &[u8]) -> Result<(), Refusal> {
    match bytes {
        [0x16, 0x03, ..] => Err(Refusal::bad_request("this port speaks HTTP without TLS")),
        _ => Ok(()),
    }
}

/// Decides whether a request opens an RPC connection, and on which terms. `formats` are the ones
/// that the server offers; the client's order of preference decides among them.
///
/// The limits in the result are the client's; the server's own go out with
/// [`write_acceptance`](super::write_acceptance). Between the two is the place to decide who may enter.
///
/// # Errors
///
/// In this order: 405 for a method other than CONNECT, whatever the path; 400 for a CONNECT with
/// `Content-Length` or `Transfer-Encoding`; 404 for a path other than `path` (a query is not part of
/// it), and for a target that names a host: nothing is ever dialled for a client; 505 for another
/// `Rpc-Version`; 400 for `Rpc-Max-Frame` outside 65,536 to 4,294,967,295 or `Rpc-Max-Calls` outside 1 to
/// 65,536, and for headers that contradict themselves; 415 when no format fits.
pub fn negotiate(request: &Parts, path: &str, formats: &[Format]) -> Result<Terms, Refusal> {
    if request.method != Method::CONNECT {
        return Err(Refusal::must_connect());
    }
    refuse_body(request)?;
    // `CONNECT host:port`, and `CONNECT http://host/path`, are for proxies, and this is none.
    if request.uri.authority().is_some() || request.uri.path() != path {
        return Err(wrong_path(&request.uri, path));
    }
    negotiate_terms(Entry::Connect, request, formats)
}

/// The same for a request of which it is known that it asks for RPC in this way, and at the right path. A WebSocket may name its format in `Sec-WebSocket-Protocol`; see
/// [`subprotocol`](super::subprotocol).
///
/// # Errors
///
/// As those of [`negotiate`], but for 405 and 404.
pub fn negotiate_terms(entry: Entry, request: &Parts, formats: &[Format]) -> Result<Terms, Refusal> {
    refuse_body(request)?;
    if let Some(theirs) = foreign_version(&request.headers).map_err(Refusal::bad_request)? {
        let text = format!("this server speaks Rpc-Version 1, not \"{}\"", escaped(theirs));
        return Err(
            Refusal::version_not_supported(text).with_header(RPC_VERSION, HeaderValue::from_static("1"))
        );
    }
    let limits = read_limits(&request.headers).map_err(Refusal::bad_request)?;
    let asked = match entry {
        Entry::WebSocket => asked_format(&request.headers, formats)?,
        _ => None,
    };
    let format = asked.or_else(|| choose(&request.headers, formats)).ok_or_else(|| no_format(formats))?;
    Ok(Terms { format, limits })
}

/// Frames follow the head, and nothing else: who takes them for a body would see another request in them.
fn refuse_body(Parts { method, headers, .. }: &Parts) -> Result<(), Refusal> {
    match [CONTENT_LENGTH, TRANSFER_ENCODING].iter().find(|name| headers.contains_key(*name)) {
        Some(name) => Err(Refusal::bad_request(format!("{method} with {}", TitleCase(name)))),
        None => Ok(()),
    }
}

fn choose(headers: &HeaderMap, formats: &[Format]) -> Option<Format> {
    if !headers.contains_key(RPC_FORMAT) {
        return formats.contains(&DEFAULT_FORMAT).then_some(DEFAULT_FORMAT);
    }
    format_names(headers).filter_map(Format::from_name).find(|format| formats.contains(format))
}

fn wrong_path(asked: &Uri, path: &str) -> Refusal {
    // A query, or what stands before a host, may hold a secret.
    let host = |authority: &Authority| authority.as_str().rsplit('@').next().unwrap_or_default().to_owned();
    let asked = asked.authority().map_or_else(|| asked.path().to_owned(), host);
    Refusal::not_found(format!("no RPC at \"{}\", only at {path}", escaped(asked.as_bytes())))
}

fn no_format(formats: &[Format]) -> Refusal {
    let ours = format_list(formats);
    let refusal = Refusal::unsupported_format(format!("no known Rpc-Format, this server has: {ours}"));
    match HeaderValue::try_from(ours) {
        Ok(value) => refusal.with_header(RPC_FORMAT, value),
        Err(_) => refusal,
    }
}
