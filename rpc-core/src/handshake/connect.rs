//! The client's request.

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderName, Version};

use super::entry::Entry;
use super::headers::{TitleCase, write_header};
use super::terms::{LimitOutOfRange, check_limits, terms_headers, write_terms};
use crate::format::Format;
use crate::limits::Limits;

/// What a client asks for.
///
/// ```
/// use http::uri::{Authority, PathAndQuery};
/// use rpc_core::handshake::{Connect, DEFAULT_PATH};
///
/// let mut headers = http::HeaderMap::new();
/// headers.insert("authorization", http::HeaderValue::from_static("Bearer token"));
/// let mut out = Vec::new();
/// Connect {
///     path: &PathAndQuery::from_static(DEFAULT_PATH),
///     authority: &Authority::from_static("localhost:1234"),
///     formats: &[rpc_core::Format::Bincode],
///     limits: rpc_core::Limits::default(),
///     headers: &headers,
/// }
/// .write(&mut out)?;
/// assert!(out.starts_with(b"CONNECT /_rpc_ HTTP/1.0\r\nHost: localhost:1234\r\nRpc-Version: 1\r\n"));
/// assert!(out.ends_with(b"\r\nAuthorization: Bearer token\r\n\r\n"));
/// # Ok::<(), rpc_core::handshake::ConnectError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Connect<'a> {
    /// Where the server has its RPC; [`DEFAULT_PATH`](super::DEFAULT_PATH) unless it was told another.
    pub path: &'a PathAndQuery,
    /// The server as the caller named it, for `Host`. A user name in it is not sent.
    pub authority: &'a Authority,
    /// The body formats the client has, in its order of preference; at least one.
    pub formats: &'a [Format],
    /// What the client is ready to take.
    pub limits: Limits,
    /// The caller's own headers, for whatever decides at the server who may enter.
    pub headers: &'a HeaderMap,
}

/// A request that cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The path is not ASCII that starts with a slash. Shown without its query.
    #[error("path {0:?} must be ASCII and start with a slash")]
    Path(String),
    /// No format is offered.
    #[error("no body format to offer")]
    NoFormat,
    /// The limits to announce are out of range.
    #[error(transparent)]
    Limits(#[from] LimitOutOfRange),
    /// The target names a host: where a request goes is said by the address.
    #[error("the request's target must be a path, and not name the host {0:?}")]
    Target(String),
    /// The heads that are written here are of HTTP/1.0 and HTTP/1.1.
    #[error("no head can be written for {0:?}")]
    Version(Version),
    /// A header of the caller's that the handshake sets itself, or must not have.
    #[error("header {} belongs to the handshake", TitleCase(.0))]
    ReservedHeader(HeaderName),
}

impl Connect<'_> {
    /// Appends the request's head.
    ///
    /// # Errors
    ///
    /// When the request would be refused by every server, see [`ConnectError`]; `out` is then as
    /// it was. Reserved are `Host`, `Content-Length`, `Transfer-Encoding` and all of `Rpc-*`.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), ConnectError> {
        self.write_by(Entry::Connect, &HeaderMap::new(), out)
    }

    /// Appends the head of a request that asks in this way; `needs` are the headers that it needs beside `Upgrade`.
    ///
    /// # Errors
    ///
    /// As those of [`write`](Self::write). Reserved are also `Connection`, `Upgrade` and what is needed, unless it asks
    /// by CONNECT.
    pub fn write_by(&self, entry: Entry, needs: &HeaderMap, out: &mut Vec<u8>) -> Result<(), ConnectError> {
        self.check()?;
        let upgrade = entry.protocol();
        let is_taken = |name: &HeaderName| {
            upgrade.is_some() && ([CONNECTION, UPGRADE].contains(name) || needs.contains_key(name))
        };
        if let Some(name) = self.headers.keys().find(|name| is_taken(name)) {
            return Err(ConnectError::ReservedHeader(name.clone()));
        }
        let (method, version) = if upgrade.is_some() { ("GET", "1.1") } else { ("CONNECT", "1.0") };
        out.extend_from_slice(format!("{method} {} HTTP/{version}\r\n", self.path).as_bytes());
        write_header(&HOST, host(self.authority), out);
        if let Some(protocol) = upgrade {
            write_header(&CONNECTION, "Upgrade", out);
            write_header(&UPGRADE, protocol, out);
        }
        for (name, value) in needs {
            write_header(name, value, out);
        }
        write_terms(self.formats, self.limits, out);
        for (name, value) in self.headers {
            write_header(name, value, out);
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// The headers of the request, for a client whose heads another HTTP stack writes.
    ///
    /// # Errors
    ///
    /// As those of [`write`](Self::write).
    pub fn to_headers(&self) -> Result<HeaderMap, ConnectError> {
        self.check()?;
        let mut headers: HeaderMap = terms_headers(self.formats, self.limits).into_iter().collect();
        headers.extend(self.headers.clone());
        Ok(headers)
    }

    /// Whether servers would take it.
    fn check(&self) -> Result<(), ConnectError> {
        check_path(self.path.as_str())?;
        if self.formats.is_empty() {
            return Err(ConnectError::NoFormat);
        }
        check_limits(self.limits)?;
        match self.headers.keys().find(|name| is_reserved(name)) {
            Some(name) => Err(ConnectError::ReservedHeader(name.clone())),
            None => Ok(()),
        }
    }
}

/// Appends the head of any request, for a connection that is taken over after its answer: the request's
/// method, path, version (1.0 or 1.1) and headers, and `Host`.
///
/// ```
/// use http::uri::Authority;
///
/// let request = http::Request::get("/attach").header("upgrade", "tcp").body(())?;
/// let mut out = Vec::new();
/// let host = Authority::from_static("localhost:1234");
/// rpc_core::handshake::write_request(&request.into_parts().0, &host, &mut out)?;
/// assert_eq!(out, b"GET /attach HTTP/1.1\r\nHost: localhost:1234\r\nUpgrade: tcp\r\n\r\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// For a target that is no path or names a host, a version other than 1.0 and 1.1, and a `Host`
/// among the headers; `out` is then as it was.
pub fn write_request(request: &Parts, authority: &Authority, out: &mut Vec<u8>) -> Result<(), ConnectError> {
    if let Some(host) = request.uri.host() {
        return Err(ConnectError::Target(host.to_owned()));
    }
    let path = request.uri.path_and_query().map_or("", PathAndQuery::as_str);
    check_path(path)?;
    let version = match request.version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_11 => "HTTP/1.1",
        other => return Err(ConnectError::Version(other)),
    };
    if request.headers.contains_key(HOST) {
        return Err(ConnectError::ReservedHeader(HOST));
    }
    out.extend_from_slice(format!("{} {path} {version}\r\n", request.method).as_bytes());
    write_header(&HOST, host(authority), out);
    for (name, value) in &request.headers {
        write_header(name, value, out);
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

fn check_path(path: &str) -> Result<(), ConnectError> {
    if path.starts_with('/') && path.is_ascii() {
        return Ok(());
    }
    // A query may hold a secret.
    Err(ConnectError::Path(path.split('?').next().unwrap_or_default().to_owned()))
}

fn is_reserved(name: &HeaderName) -> bool {
    [HOST, CONTENT_LENGTH, TRANSFER_ENCODING].contains(name) || name.as_str().starts_with("rpc-")
}

fn host(authority: &Authority) -> &str {
    let text = authority.as_str();
    text.rsplit_once('@').map_or(text, |(_user, host)| host)
}
