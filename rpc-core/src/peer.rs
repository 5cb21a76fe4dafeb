//! Who is at the other end of a connection, and what its CONNECT request said.

mod headers;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{Extensions, HeaderMap};

use crate::format::Format;

pub use headers::Headers;

/// The other end of a connection, as the transport knows it.
///
/// Nothing in here is what the peer says of itself: a `Host` or `X-Forwarded-For` header is no
/// identity, and is found among the [headers](crate::Context::headers) only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// Its address, where the transport has one: TCP does, a Unix socket or a pipe does not.
    pub address: Option<SocketAddr>,
    /// What TLS found out, on a connection that uses it.
    pub tls: Option<Arc<TlsPeer>>,
    /// The process behind a Unix socket.
    pub unix: Option<UnixPeer>,
}

/// A client, as it identified itself in the TLS handshake.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsPeer {
    /// Its own certificate, in DER, which was verified. `None` where none was asked for. Of what it
    /// sends beside, to lead from there to a root, nobody knows whether it belongs there, so that
    /// is not kept.
    pub certificate: Option<Vec<u8>>,
    /// The DNS names that its certificate is for (its subject alternative names); they may begin with `*.`.
    pub dns_names: Vec<String>,
    /// The URIs that its certificate is for: a SPIFFE ID, say.
    pub uris: Vec<String>,
    /// The server's name as it was asked for (SNI).
    pub server_name: Option<String>,
}

/// The process that opened a Unix socket, as the system vouches for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnixPeer {
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
    /// The process, where the system tells. It may have ended, and its number be another's by now.
    pub pid: Option<i32>,
}

/// What all calls of a connection have in common.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Origin {
    /// Who calls.
    pub peer: Peer,
    /// The headers of the CONNECT request.
    pub headers: Headers,
    /// What bodies are encoded in.
    pub format: Format,
    /// What the server found out when it let the connection in.
    pub extensions: Extensions,
}

impl Peer {
    /// Nobody in particular: the other end of a pipe.
    #[must_use]
    pub fn unknown() -> Self {
        Self::default()
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self { address: Some(address), ..Self::default() }
    }
}

impl From<UnixPeer> for Peer {
    fn from(unix: UnixPeer) -> Self {
        Self { unix: Some(unix), ..Self::default() }
    }
}

/// As it is named in logs and spans.
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.address, self.unix) {
            (Some(address), _) => write!(f, "{address}"),
            (None, Some(UnixPeer { uid, pid: Some(pid), .. })) => write!(f, "unix:uid={uid},pid={pid}"),
            (None, Some(UnixPeer { uid, pid: None, .. })) => write!(f, "unix:uid={uid}"),
            (None, None) => f.write_str("unknown"),
        }
    }
}

/// A certificate is a kilobyte that nobody reads.
impl fmt::Debug for TlsPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsPeer")
            .field("certificate", &self.certificate.as_ref().map(Vec::len))
            .field("dns_names", &self.dns_names)
            .field("uris", &self.uris)
            .field("server_name", &self.server_name)
            .finish()
    }
}

impl UnixPeer {
    /// A process of that user and group.
    #[must_use]
    pub fn new(uid: u32, gid: u32, pid: Option<i32>) -> Self {
        Self { uid, gid, pid }
    }
}

impl Origin {
    /// Calls of `peer`, whose bodies are encoded so; without headers and extensions.
    #[must_use]
    pub fn new(peer: Peer, format: Format) -> Self {
        Self { peer, headers: Headers::default(), format, extensions: Extensions::new() }
    }

    /// The same, with the headers of its request.
    #[must_use]
    pub fn with_headers(self, headers: HeaderMap) -> Self {
        Self { headers: headers.into(), ..self }
    }

    /// The same, with what the server found out.
    #[must_use]
    pub fn with_extensions(self, extensions: Extensions) -> Self {
        Self { extensions, ..self }
    }
}
