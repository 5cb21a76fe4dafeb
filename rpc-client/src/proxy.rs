//! The forward proxy on the way to a server: which, and what it is told.

use std::fmt::{self, Write};
use std::sync::Arc;

use http::uri::Authority;
use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use crate::connect_error::ProxyError;

/// A forward proxy: connections go to it, and it opens the way to the server. TLS and CONNECT are then spoken with
/// the server as ever, and the proxy sees what any router would.
///
/// ```no_run
/// # async fn demo() -> Result<(), rpc_client::ConnectError> {
/// use rpc_client::{Client, Proxy};
///
/// let proxy = Proxy::http("proxy.example:3128").credentials("ann", "secret");
/// let client = Client::builder().proxy(proxy).connect("https://far.example").await?;
/// # Ok(()) }
/// ```
///
/// The server's name is resolved by the proxy. Its `Debug` has no credentials.
#[derive(Clone)]
#[must_use = "a proxy does nothing until a builder is given it"]
pub struct Proxy {
    choice: Choice,
    credentials: Option<(String, String)>,
}

#[derive(Clone)]
enum Choice {
    Fixed { scheme: &'static str, address: String },
    Environment(Arc<Matcher>),
}

impl Proxy {
    /// A proxy that takes HTTP's CONNECT, at `host:port`.
    pub fn http(address: impl ToString) -> Self {
        Self::fixed("http", address)
    }

    /// A SOCKS5 proxy (RFC 1928), at `host:port`.
    pub fn socks5(address: impl ToString) -> Self {
        Self::fixed("socks5", address)
    }

    /// The proxies that the environment names now, as hyper-util reads it: `HTTPS_PROXY` for servers that are
    /// spoken to by TLS and `HTTP_PROXY` for the others, else `ALL_PROXY`; none for what `NO_PROXY` lists
    /// (hosts with all below them, addresses, networks as in `10.0.0.0/8`, and `*` for all names, but not for
    /// addresses as with curl). The variables may be in lower case; where both are set, the upper case counts.
    ///
    /// A value is `http://host:port` or `socks5://host:port`, with `user:password@` before the host where the
    /// proxy wants them; `http://` and the ports 80 and 1080 may be left out. `socks5h://` is the same as
    /// `socks5://`. What is no URL of a proxy counts as unset, and so does everything in a CGI program
    /// (`REQUEST_METHOD` is set), where `HTTP_PROXY` may be a header of the request.
    pub fn from_env() -> Self {
        Self { choice: Choice::Environment(Arc::new(Matcher::from_env())), credentials: None }
    }

    /// What the proxy is told of who comes: to HTTP `Proxy-Authorization` by the Basic scheme, to SOCKS5 user
    /// and password (RFC 1929). Both go to it in the clear. They take the place of those that the environment
    /// names.
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some((user.into(), password.into()));
        self
    }

    fn fixed(scheme: &'static str, address: impl ToString) -> Self {
        Self { choice: Choice::Fixed { scheme, address: address.to_string() }, credentials: None }
    }

    /// The proxy for this server, if there is to be one.
    pub(crate) fn hop(&self, server: &Uri) -> Result<Option<Hop>, ProxyError> {
        let chosen = match &self.choice {
            Choice::Fixed { scheme, address } => {
                let malformed =
                    || ProxyError::Address { proxy: address.rsplit('@').next().unwrap_or_default().into() };
                let authority: Authority = address.parse().map_err(|_| malformed())?;
                let is_whole = authority.port_u16().is_some() && !authority.host().is_empty();
                if !is_whole || address.contains('@') {
                    return Err(malformed());
                }
                Some(intercept(&format!("{scheme}://{address}"), server).ok_or_else(malformed)?)
            }
            Choice::Environment(matcher) => matcher.intercept(server),
        };
        let Some(mut chosen) = chosen else { return Ok(None) };
        if let Some((user, password)) = &self.credentials {
            chosen = with_credentials(&chosen, user, password, server)?;
        }
        Hop::new(&chosen, server).map(Some)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Proxy");
        match &self.choice {
            Choice::Fixed { scheme, address } => {
                shown.field("scheme", scheme).field("address", &address.rsplit('@').next())
            }
            Choice::Environment(matcher) => shown.field("environment", matcher),
        };
        shown.finish_non_exhaustive()
    }
}

/// A proxy on the way to a server.
pub(crate) struct Hop {
    /// `host:port`.
    pub(crate) address: String,
    pub(crate) uri: Uri,
    pub(crate) protocol: Protocol,
}

/// What is spoken with it, and its credentials.
pub(crate) enum Protocol {
    Http(Option<HeaderValue>),
    Socks5(Option<(String, String)>),
}

/// hyper-util writes the whole of what it says to a SOCKS5 proxy into 262 bytes, of which this is for names.
const SOCKS5_NAMES: usize = 240;

impl Hop {
    fn new(proxy: &Intercept, server: &Uri) -> Result<Self, ProxyError> {
        let uri = proxy.uri();
        let (protocol, port) = match uri.scheme_str() {
            Some("http") => (Protocol::Http(proxy.basic_auth().cloned()), 80),
            Some("socks5" | "socks5h") => {
                let credentials = proxy.raw_auth();
                (Protocol::Socks5(credentials.map(|(user, password)| (user.into(), password.into()))), 1080)
            }
            _ => return Err(ProxyError::Kind { proxy: uri.to_string() }),
        };
        let port = uri.port_u16().unwrap_or(port);
        let address = format!("{}:{port}", uri.host().unwrap_or_default());
        if let Protocol::Socks5(Some((user, password))) = &protocol
            && user.len() + password.len() + server.host().unwrap_or_default().len() > SOCKS5_NAMES
        {
            let reason = "user, password and the server's name are over 240 bytes together";
            return Err(ProxyError::Credentials { proxy: address, reason });
        }
        Ok(Self { address, uri: uri.clone(), protocol })
    }

    pub(crate) fn has_credentials(&self) -> bool {
        matches!(&self.protocol, Protocol::Http(Some(_)) | Protocol::Socks5(Some(_)))
    }
}

fn intercept(proxy: &str, server: &Uri) -> Option<Intercept> {
    Matcher::builder().all(proxy).build().intercept(server)
}

/// By way of a URL, so that hyper-util writes them as it writes those of the environment.
fn with_credentials(
    proxy: &Intercept,
    user: &str,
    password: &str,
    server: &Uri,
) -> Result<Intercept, ProxyError> {
    let uri = proxy.uri();
    let address = uri.authority().map(Authority::as_str).unwrap_or_default();
    let scheme = uri.scheme_str().unwrap_or_default();
    // RFC 7617, section 2: what stands behind the first colon is the password.
    if scheme == "http" && user.contains(':') {
        let reason = "the user's name has a colon, which HTTP takes for its end";
        return Err(ProxyError::Credentials { proxy: address.into(), reason });
    }
    let url = format!("{scheme}://{}:{}@{address}", escaped(user), escaped(password));
    intercept(&url, server).ok_or_else(|| {
        let reason = "they do not fit into a URL; are they too long?";
        ProxyError::Credentials { proxy: address.into(), reason }
    })
}

fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        // Writing into a string does not fail.
        let _ = write!(escaped, "%{byte:02X}");
        escaped
    })
}
