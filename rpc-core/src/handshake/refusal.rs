//! Answers that end a connection: refusals, and the plain pages served beside RPC.

use std::fmt;

use http::header::{ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use super::head::HeadTooLarge;
use super::headers::{is_readable, write_header};

const PLAIN_TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Why a connection is refused: an HTTP status, a text for the person who reads it, and headers.
///
/// A server writes it, its `authorize` hook may return it, and the client gets it back from
/// [`parse_answer`](super::parse_answer).
///
/// ```
/// use http::{HeaderValue, header};
/// use rpc_core::handshake::Refusal;
///
/// let refusal = Refusal::service_unavailable("draining, try another")
///     .with_header(header::RETRY_AFTER, HeaderValue::from_static("5"));
/// let mut out = Vec::new();
/// refusal.write(false, &mut out);
/// assert!(out.starts_with(b"HTTP/1.0 503 Service Unavailable\r\n"));
/// assert!(out.ends_with(b"\r\nRetry-After: 5\r\n\r\ndraining, try another\n"));
/// ```
#[derive(Clone)]
pub struct Refusal(Box<Response<String>>);

impl Refusal {
    /// A refusal with a status of one's own.
    ///
    /// A status below 300 would tell the client that it was accepted or has to wait, so it becomes
    /// 500.
    #[must_use]
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let mut body = message.into();
        body.push('\n');
        let mut response = Response::new(body);
        let refuses = status.as_u16() >= 300;
        *response.status_mut() = if refuses { status } else { StatusCode::INTERNAL_SERVER_ERROR };
        response.headers_mut().insert(CONTENT_TYPE, PLAIN_TEXT);
        Self(Box::new(response))
    }

    /// A refusal as it was received, before its body is.
    pub(super) fn received(status: StatusCode, reason: &str, headers: HeaderMap) -> Self {
        let says_more = status.canonical_reason() != Some(reason);
        let mut response = Response::new(if says_more { excerpt(reason.as_bytes()) } else { String::new() });
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Self(Box::new(response))
    }

    /// 400: the head is malformed, or contradicts itself.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 401: the client did not say who it is. Asks for a bearer token (RFC 9110, section 11.6.1, wants
    /// a challenge) unless [`with_header`](Self::with_header) sets another `WWW-Authenticate`.
    #[must_use]
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
            .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// 403: the client is known and not allowed in.
    #[must_use]
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// 404: no RPC on this path.
    #[must_use]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 405: the method is not CONNECT. The text is `405 must CONNECT`, as Go's `net/rpc` says it.
    #[must_use]
    pub fn must_connect() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "405 must CONNECT")
            .with_header(ALLOW, HeaderValue::from_static("CONNECT"))
    }

    /// 408: the head did not arrive in time.
    #[must_use]
    pub fn request_timeout(message: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, message)
    }

    /// 415: no body format that both sides know.
    #[must_use]
    pub fn unsupported_format(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
    }

    /// 431: the head is too large, or has too many headers.
    #[must_use]
    pub fn head_too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, message)
    }

    /// 503: no room for another connection, or shutting down.
    #[must_use]
    pub fn service_unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// 505: a version, of HTTP or of RPC, that is not spoken here.
    #[must_use]
    pub fn version_not_supported(message: impl Into<String>) -> Self {
        Self::new(StatusCode::HTTP_VERSION_NOT_SUPPORTED, message)
    }

    /// Sets a header of the answer; the ones that frame it (see [`write_response`]) are not written.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers_mut().insert(name, value);
        self
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status()
    }

    /// The text, without the line feed that ends it on the wire. In an answer that was received it is
    /// the reason phrase, where that says more than the status, until [`read_body`](Self::read_body).
    #[must_use]
    pub fn message(&self) -> &str {
        self.0.body().strip_suffix('\n').unwrap_or(self.0.body())
    }

    /// The headers of the answer.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.0.headers()
    }

    /// Takes the message from what was received behind the head: its first line that is not empty, at most
    /// 512 bytes, without control characters. Left out are HTML, which says nothing that the status does
    /// not, and what is encoded or no text.
    pub fn read_body(&mut self, body: &[u8]) {
        let mut lines = body.split(|byte| matches!(byte, b'\r' | b'\n')).map(<[u8]>::trim_ascii);
        if is_readable(self.headers())
            && let Some(line) = lines.find(|line| !line.is_empty())
        {
            *self.0.body_mut() = excerpt(line);
        }
    }

    /// Appends the whole answer; `head_only` leaves the body out, as the answer to a HEAD must.
    pub fn write(&self, head_only: bool, out: &mut Vec<u8>) {
        write_response(&self.0, head_only, out);
    }
}

/// Of a text that refuses, what goes into an error.
fn excerpt(text: &[u8]) -> String {
    const SHOWN: usize = 512;
    legible(&text[..text.len().min(SHOWN)])
}

/// A text of the peer's, made fit to be shown and logged.
pub(crate) fn legible(text: &[u8]) -> String {
    const SHOWN: usize = 1024;
    let text = String::from_utf8_lossy(&text[..text.len().min(SHOWN)]);
    text.replace(char::is_control, "\u{fffd}")
}

impl From<HeadTooLarge> for Refusal {
    fn from(error: HeadTooLarge) -> Self {
        Self::head_too_large(error.to_string())
    }
}

/// For a server that another HTTP stack runs.
impl From<Refusal> for Response<String> {
    fn from(refusal: Refusal) -> Self {
        *refusal.0
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.message();
        // A status displays with its reason phrase.
        if message.is_empty() {
            write!(f, "{}", self.status())
        } else {
            write!(f, "{}: {message}", self.status())
        }
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal")
            .field("status", &self.status())
            .field("message", &self.message())
            .field("headers", self.headers())
            .finish()
    }
}

impl std::error::Error for Refusal {}

/// Appends an HTTP/1.0 answer after which the connection is closed.
///
/// `Content-Length` and `Connection: close` are written here; those of the response, and a
/// `Transfer-Encoding`, are left out. `head_only` leaves the body out, as the answer to a HEAD must,
/// and keeps its length; a 204, a 304 and a 1xx have neither. Header values cannot hold a line end, so nothing can be smuggled in.
///
/// ```
/// use http::{Response, header};
///
/// let page = Response::builder().header(header::CONTENT_TYPE, "text/html").body("<p>2 services")?;
/// let mut out = Vec::new();
/// rpc_core::handshake::write_response(&page, false, &mut out);
/// assert!(out.starts_with(b"HTTP/1.0 200 OK\r\n"));
/// # Ok::<(), http::Error>(())
/// ```
pub fn write_response(response: &Response<impl AsRef<[u8]>>, head_only: bool, out: &mut Vec<u8>) {
    let status = response.status();
    let reason = status.canonical_reason().unwrap_or("Unknown");
    let body = response.body().as_ref();
    out.extend_from_slice(format!("HTTP/1.0 {} {reason}\r\n", status.as_str()).as_bytes());
    // Whoever reads them looks for neither body nor length (RFC 9110, section 8.6).
    let is_head =
        status.is_informational() || [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status);
    if !is_head {
        write_header(&CONTENT_LENGTH, body.len().to_string(), out);
    }
    write_header(&CONNECTION, "close", out);
    for (name, value) in response.headers() {
        if ![CONTENT_LENGTH, CONNECTION, TRANSFER_ENCODING].contains(name) {
            write_header(name, value, out);
        }
    }
    out.extend_from_slice(b"\r\n");
    if !head_only && !is_head {
        out.extend_from_slice(body);
    }
}
