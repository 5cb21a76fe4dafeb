//! What a server is called: `host:port`, or a URL.

use std::path::PathBuf;

use http::Uri;
use http::uri::{Authority, InvalidUri, PathAndQuery};

use crate::connect_error::ConnectError;

const UNIX: &str = "unix:";

/// Where a client connects to, read from an address.
#[derive(Debug)]
pub(crate) struct Target {
    /// The address as errors show it.
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) tls: bool,
    /// For the `Host` header, and the name that a certificate is to be for.
    pub(crate) authority: Authority,
    /// Where the server has its RPC, when the address says so.
    pub(crate) path: Option<PathAndQuery>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Place {
    /// `host:port`, as name servers take it.
    Tcp(String),
    /// What TCP needs is not there. A connector does perhaps without.
    Nowhere(AddressError),
    Unix(PathBuf),
}

/// Why an address is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Neither `host:port` nor a URL.
    #[error("not of the form host:port or [IPv6]:port, nor a URL with http://, https:// or unix:")]
    Malformed,
    /// A URL of another kind.
    #[error("only http://, https:// and unix: are known")]
    Scheme,
    /// There is no host in it.
    #[error("it names no host; write it as host:port")]
    NoHost,
    /// There is no port in it, or none from 0 to 65,535. A URL with `http://` has 80, with `https://` 443.
    #[error("it names no port; write it as host:port")]
    NoPort,
    /// The name of a socket's file is missing.
    #[error("it names no file; write it as unix:/path/to/socket")]
    NoFile,
    /// It holds a user name, and perhaps a password: addresses are logged.
    #[error("it names a user; send credentials with Builder::header")]
    User,
    /// A URL with a query, which may hold a secret: addresses are logged.
    #[error("it has a query; give it to Builder::path")]
    Query,
    /// This client was built without TLS.
    #[error("this client was built without TLS; turn the feature `tls` of rpc-client on")]
    NoTls,
    /// The system has no Unix sockets.
    #[error("this system has no Unix sockets")]
    NoUnix,
}

impl Target {
    pub(crate) fn parse(address: &str) -> Result<Self, ConnectError> {
        let parsed = if let Some(file) = address.strip_prefix(UNIX) {
            unix(file)
        } else if address.contains("://") {
            url(address)
        } else {
            host_and_port(address)
        };
        match parsed {
            Ok((place, tls, authority, path)) => {
                Ok(Self { name: address.to_owned(), place, tls, authority, path })
            }
            Err(source) => Err(ConnectError::Address { address: without_secrets(address), source }),
        }
    }
}

type Parsed = (Place, bool, Authority, Option<PathAndQuery>);

/// As gRPC names them: `unix:path`, absolute or not, and `unix:///path`.
fn unix(file: &str) -> Result<Parsed, AddressError> {
    let file = match file.strip_prefix("//") {
        Some(file) if file.starts_with('/') => file,
        Some(_) => return Err(AddressError::Malformed),
        None => file,
    };
    if file.is_empty() {
        return Err(AddressError::NoFile);
    }
    if cfg!(not(unix)) {
        return Err(AddressError::NoUnix);
    }
    Ok((Place::Unix(file.into()), false, Authority::from_static("localhost"), None))
}

fn url(address: &str) -> Result<Parsed, AddressError> {
    let url: Uri = address.parse().map_err(|_: InvalidUri| AddressError::Malformed)?;
    let (tls, port) = match url.scheme_str() {
        Some("http") => (false, 80),
        Some("https") => (true, 443),
        _ => return Err(AddressError::Scheme),
    };
    if tls {
        return Err(AddressError::NoTls);
    }
    if url.query().is_some() {
        return Err(AddressError::Query);
    }
    let authority = url.authority().ok_or(AddressError::NoHost)?.clone();
    let path = url.path_and_query().filter(|path| path.path() != "/").cloned();
    Ok((place(&authority, Some(port))?, tls, authority, path))
}

fn host_and_port(address: &str) -> Result<Parsed, AddressError> {
    let authority: Authority = address.parse().map_err(|_: InvalidUri| AddressError::Malformed)?;
    Ok((place(&authority, None)?, false, authority, None))
}

fn place(authority: &Authority, default_port: Option<u16>) -> Result<Place, AddressError> {
    if authority.as_str().contains('@') {
        return Err(AddressError::User);
    }
    let host = authority.host();
    // One that is there and is no port is no reason for another.
    let has_port = authority.as_str().len() > host.len();
    let port = authority.port_u16().or(default_port.filter(|_| !has_port));
    Ok(match port {
        _ if host.is_empty() => Place::Nowhere(AddressError::NoHost),
        None => Place::Nowhere(AddressError::NoPort),
        Some(port) => Place::Tcp(format!("{host}:{port}")),
    })
}

/// What of an address may stand in a log.
pub(crate) fn without_secrets(address: &str) -> String {
    if address.starts_with(UNIX) {
        return address.to_owned();
    }
    let address = address.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    match rest.rsplit_once('@') {
        Some((_, host)) if scheme.is_empty() => format!("...@{host}"),
        Some((_, host)) => format!("{scheme}://...@{host}"),
        None => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(address: &str) -> (String, String, Option<String>) {
        let Target { place, authority, path, .. } = Target::parse(address).unwrap();
        match place {
            Place::Tcp(to) => (to, authority.to_string(), path.map(|path| path.to_string())),
            other => panic!("{address}: {other:?}"),
        }
    }

    fn error(address: &str) -> (String, AddressError) {
        match Target::parse(address).unwrap_err() {
            ConnectError::Address { address, source } => (address, source),
            other => panic!("{address}: {other:?}"),
        }
    }

    #[test]
    fn a_host_and_a_port_are_an_address_and_so_is_a_url() {
        for (address, to, host, path) in [
            ("far:1", "far:1", "far:1", None),
            ("[::1]:1", "[::1]:1", "[::1]:1", None),
            ("http://far:1", "far:1", "far:1", None),
            ("http://far", "far:80", "far", None),
            ("HTTP://far/", "far:80", "far", None),
            ("http://[::1]/my/rpc", "[::1]:80", "[::1]", Some("/my/rpc")),
        ] {
            assert_eq!(tcp(address), (to.into(), host.into(), path.map(Into::into)), "{address}");
            assert!(!Target::parse(address).unwrap().tls);
        }
    }

    #[test]
    fn without_tls_a_url_with_https_says_what_is_missing() {
        assert_eq!(error("https://far"), ("https://far".into(), AddressError::NoTls));
    }

    #[cfg(unix)]
    #[test]
    fn a_unix_socket_is_named_by_its_file() {
        for (address, file) in
            [("unix:/run/a.sock", "/run/a.sock"), ("unix:///run/a.sock", "/run/a.sock"), ("unix:a b", "a b")]
        {
            let target = Target::parse(address).unwrap();
            assert_eq!(target.place, Place::Unix(file.into()), "{address}");
            assert_eq!(target.authority, "localhost");
        }
        assert_eq!(error("unix:").1, AddressError::NoFile);
        assert_eq!(error("unix://host/a").1, AddressError::Malformed);
    }

    #[test]
    fn what_is_no_address_is_told_without_what_may_be_secret() {
        for (address, shown, why) in [
            ("two words:1", "two words:1", AddressError::Malformed),
            ("http://two words", "http://two words", AddressError::Malformed),
            ("ftp://far", "ftp://far", AddressError::Scheme),
            ("http://far/?key=1", "http://far/", AddressError::Query),
            ("http://ann:secret@far", "http://...@far", AddressError::User),
            ("ann:secret@far:1", "...@far:1", AddressError::User),
        ] {
            assert_eq!(error(address), (shown.into(), why), "{address}");
        }
        for (address, missing) in
            [("far", AddressError::NoPort), ("far:65536", AddressError::NoPort), (":1", AddressError::NoHost)]
        {
            assert_eq!(Target::parse(address).unwrap().place, Place::Nowhere(missing), "{address}");
        }
    }
}
