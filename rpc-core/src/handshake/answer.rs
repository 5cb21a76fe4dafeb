//! The server's answer: written there, read by the client.

use http::header::CONNECTION;
use http::response::Parts;
use http::{HeaderMap, Response, StatusCode, Version};

use super::entry::Entry;
use super::head::{HeadTooLarge, MAX_HEADERS};
use super::headers::{RPC_FORMAT, announced, collect, describe, escaped, write_header};
use super::intermediary::{is_web_page, proxy, sender};
use super::refusal::Refusal;
use super::terms::{
    DEFAULT_FORMAT, Terms, foreign_version, format_names, read_limits, terms_headers, write_terms,
};
use crate::format::Format;
use crate::limits::Limits;

/// Appends the head that accepts a connection: the format from [`negotiate`](super::negotiate), and
/// the server's own limits, which [`check_limits`](super::check_limits) found fit to announce.
///
/// It has no `Content-Length` and no `Transfer-Encoding` (RFC 9110, section 9.3.6): frames follow.
pub fn write_acceptance(format: Format, limits: Limits, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.0 200 Connected\r\n");
    write_terms(&[format], limits, out);
    out.extend_from_slice(b"\r\n");
}

/// Appends the head that accepts another [`Entry`] than CONNECT: 101 with these headers, `Upgrade` and what it takes
/// among them, the format and the server's own limits.
///
/// ```
/// use http::{HeaderMap, HeaderValue, header};
/// use rpc_core::handshake::{Entry, parse_answer, write_switching};
/// use rpc_core::{Format, Limits};
///
/// let mut headers = HeaderMap::new();
/// headers.insert(header::UPGRADE, HeaderValue::from_static("rpc"));
/// let mut head = Vec::new();
/// write_switching(&headers, Format::Bincode, Limits::default(), &mut head);
/// assert!(head.starts_with(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: rpc\r\n"));
/// assert!(parse_answer(Entry::Upgrade, &head, &[Format::Bincode]).is_ok());
/// ```
pub fn write_switching(headers: &HeaderMap, format: Format, limits: Limits, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
    write_header(&CONNECTION, "Upgrade", out);
    for (name, value) in headers {
        write_header(name, value, out);
    }
    write_terms(&[format], limits, out);
    out.extend_from_slice(b"\r\n");
}

/// The headers of [`write_acceptance`], for a server whose heads another HTTP stack writes.
#[must_use]
pub fn acceptance(format: Format, limits: Limits) -> HeaderMap {
    terms_headers(&[format], limits).into_iter().collect()
}

/// Why an answer does not open a connection.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// The server speaks HTTP and refused. Its text, if any, is in the body, which follows the head.
    #[error("refused with {0}")]
    Refused(Refusal),
    /// An HTTP proxy answered, or passed a refusal on: status 407 or 511, or headers that only proxies
    /// write.
    #[error("a proxy{} answered {answer}", bracketed(proxy))]
    Proxy {
        /// How it names itself: the header that tells most, as in `Via: 1.1 gateway (squid/6.6)`,
        /// escaped; empty when there is none.
        proxy: String,
        /// What it said.
        answer: Refusal,
    },
    /// A page for people came with a 2xx: from a proxy, the login page of a network, or a web server
    /// that answers everything so.
    #[error("a web page came instead of an answer: {status}{}", bracketed(sender))]
    WebPage {
        /// The page's status.
        status: StatusCode,
        /// How its sender names itself, as for a proxy.
        sender: String,
    },
    /// Neither an acceptance nor a refusal: a 2xx to a request for another protocol, which the server does not know
    /// perhaps, or a 101 for one that was not asked for.
    #[error("the answer {status}{} does not switch to what was asked for", bracketed(sender))]
    NotSwitched {
        /// Its status.
        status: StatusCode,
        /// How its sender names itself, as for a proxy.
        sender: String,
    },
    /// The server speaks TLS on this port, and the client does not.
    #[error("the server answers in TLS")]
    Tls,
    /// The server speaks some other protocol.
    #[error("the server does not answer in HTTP, but with \"{0}\"")]
    NotHttp(
        /// Its first bytes: 64 at most, escaped.
        String,
    ),
    /// The answer's head did not end within its limit.
    #[error("answer: {0}")]
    TooLarge(#[from] HeadTooLarge),
    /// The answer is HTTP in name only, or contradicts itself.
    #[error("malformed answer: {0}")]
    Malformed(String),
    /// The server accepted in another version of the protocol, or refused with 505 and named its own.
    #[error("the server speaks Rpc-Version \"{0}\", this client speaks 1")]
    Version(String),
    /// The server refused with 415, and named the formats that it has: none that the client offered.
    #[error("the server has the formats \"{0}\", and none that was offered")]
    NoCommonFormat(String),
    /// The server chose a format that the client did not offer.
    #[error("the server chose the format \"{0}\", which was not offered")]
    Format(String),
    /// The server announced limits that cannot be.
    #[error("the server's limits: {0}")]
    Limits(String),
}

fn bracketed(sender: &str) -> String {
    if sender.is_empty() { String::new() } else { format!(" ({sender})") }
}

/// Tells from the first bytes of an answer, before its head is whole, that it will never be HTTP, so
/// that nobody waits for the end of a head from an SSH or TLS server.
///
/// Looks at five bytes at most, and waits for more when there are too few to tell.
///
/// ```
/// use rpc_core::handshake::{AnswerError, check_first_bytes};
///
/// assert!(check_first_bytes(b"HT").is_ok());
/// assert!(matches!(check_first_bytes(b"SSH-2.0-OpenSSH_9.9\r\n"), Err(AnswerError::NotHttp(_))));
/// assert!(matches!(check_first_bytes(b"\x15\x03\x01\x00\x02\x02\x46"), Err(AnswerError::Tls)));
/// ```
///
/// # Errors
///
/// [`AnswerError::Tls`] or [`AnswerError::NotHttp`].
pub fn check_first_bytes(bytes: &[u8]) -> Result<(), AnswerError> {
    const HTTP: &[u8] = b"HTTP/";
    // A record of TLS: alert or handshake, then the major version.
    match bytes {
        [0x15 | 0x16, 0x03, ..] => return Err(AnswerError::Tls),
        [0x15 | 0x16] => return Ok(()),
        _ => {}
    }
    let known = bytes.len().min(HTTP.len());
    if bytes[..known] == HTTP[..known] { Ok(()) } else { Err(AnswerError::NotHttp(escaped(bytes))) }
}

/// Reads one whole head, as [`HeadBuffer`](super::HeadBuffer) hands it out, as the answer to a request
/// that asked in this way and offered these formats.
///
/// To CONNECT any 2xx is an acceptance, with any reason phrase, unless it is a page of HTML without a header of
/// RPC's. Its `Content-Length` and `Transfer-Encoding`, if a proxy added them, are ignored, as RFC 9110,
/// section 9.3.6 demands. To the other ways it is a 101 that names the protocol in `Upgrade`.
///
/// ```
/// use rpc_core::Format;
/// use rpc_core::handshake::{AnswerError, Entry, parse_answer};
///
/// let terms = parse_answer(Entry::Connect, b"HTTP/1.0 200 Connected\n\n", &[Format::Bincode])?;
/// assert_eq!(terms.format, Format::Bincode);
///
/// let refused = parse_answer(Entry::Connect, b"HTTP/1.1 404 Not Found\r\n\r\n", &[Format::Bincode]);
/// assert_eq!(refused.unwrap_err().to_string(), "refused with 404 Not Found");
/// # Ok::<(), AnswerError>(())
/// ```
///
/// # Errors
///
/// Every [`AnswerError`] but `TooLarge`. Any other status than 2xx is `Refused`, or what its headers make
/// of it (`Proxy`, `Version`, `NoCommonFormat`); the text that says why is in the body, for
/// [`Refusal::read_body`].
pub fn parse_answer(entry: Entry, head: &[u8], offered: &[Format]) -> Result<Terms, AnswerError> {
    let (parts, reason) = parse(head)?;
    read_answer(entry, parts, &reason, offered)
}

/// The same of a head that another HTTP stack has parsed.
///
/// # Errors
///
/// As those of [`parse_answer`], but for `Tls` and `NotHttp`.
pub fn read_answer(
    entry: Entry,
    head: Parts,
    reason: &str,
    offered: &[Format],
) -> Result<Terms, AnswerError> {
    let Parts { status, headers, .. } = head;
    let switches = entry != Entry::Connect && status == StatusCode::SWITCHING_PROTOCOLS;
    if !status.is_success() && !switches {
        return Err(refusal(status, reason, headers, offered));
    }
    if is_web_page(&headers) {
        return Err(AnswerError::WebPage { status, sender: sender(&headers) });
    }
    if entry != Entry::Connect && !(switches && entry.is_in(&headers)) {
        return Err(AnswerError::NotSwitched { status, sender: sender(&headers) });
    }

    if let Some(theirs) = foreign_version(&headers).map_err(AnswerError::Malformed)? {
        return Err(AnswerError::Version(escaped(theirs)));
    }
    let name = announced(&headers, &RPC_FORMAT).map_err(AnswerError::Malformed)?;
    let name = name.unwrap_or(DEFAULT_FORMAT.name().as_bytes());
    let format = std::str::from_utf8(name).ok().and_then(Format::from_name);
    let format = format.filter(|format| offered.contains(format));
    Ok(Terms {
        format: format.ok_or_else(|| AnswerError::Format(escaped(name)))?,
        limits: read_limits(&headers).map_err(AnswerError::Limits)?,
    })
}

/// Reads one whole head, as [`HeadBuffer`](super::HeadBuffer) hands it out, as the answer to any request.
///
/// # Errors
///
/// `Tls`, `NotHttp` or `Malformed`.
pub fn parse_response(head: &[u8]) -> Result<Parts, AnswerError> {
    parse(head).map(|(parts, _)| parts)
}

/// With its reason phrase.
fn parse(head: &[u8]) -> Result<(Parts, String), AnswerError> {
    check_first_bytes(head)?;
    let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut answer = httparse::Response::new(&mut lines);
    let parsed =
        answer.parse(head).map_err(|error| AnswerError::Malformed(describe(error, head).to_owned()))?;
    if parsed != httparse::Status::Complete(head.len()) {
        return Err(AnswerError::Malformed("not exactly one head".to_owned()));
    }
    let mut parts = Response::new(()).into_parts().0;
    parts.status = StatusCode::from_u16(answer.code.unwrap_or_default())
        .map_err(|_| AnswerError::Malformed("malformed status code".to_owned()))?;
    parts.version = if answer.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    parts.headers = collect(answer.headers).map_err(AnswerError::Malformed)?;
    Ok((parts, answer.reason.unwrap_or_default().to_owned()))
}

/// What a status other than 2xx says, together with its headers.
fn refusal(status: StatusCode, reason: &str, headers: HeaderMap, offered: &[Format]) -> AnswerError {
    // Only a server of RPC names its terms, so what a proxy added on the way does not matter.
    match status {
        StatusCode::HTTP_VERSION_NOT_SUPPORTED => {
            if let Ok(Some(theirs)) = foreign_version(&headers) {
                return AnswerError::Version(escaped(theirs));
            }
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            let theirs = headers.get(RPC_FORMAT).map(|value| value.as_bytes());
            // A server that has what was offered refuses for a reason that its text must tell.
            if let Some(theirs) = theirs
                && !format_names(&headers).filter_map(Format::from_name).any(|one| offered.contains(&one))
            {
                return AnswerError::NoCommonFormat(escaped(theirs));
            }
        }
        _ => {}
    }
    let proxy = proxy(status, &headers);
    let answer = Refusal::received(status, reason, headers);
    match proxy {
        Some(proxy) => AnswerError::Proxy { proxy, answer },
        None => AnswerError::Refused(answer),
    }
}
