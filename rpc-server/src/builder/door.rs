//! Who may enter, and what else is answered.

use std::future::Future;

use http::{HeaderValue, Uri};
use rpc_core::handshake::{Entry, Refusal};

use super::Builder;
use crate::authorize::authorize;
use crate::config::check_path;
#[cfg(feature = "debug-page")]
use crate::debug;
use crate::error::BuildError;
use crate::route::{Reply, Request, Route, route};

impl Builder {
    /// Decides who may enter, from the request (its method, path and headers, among them credentials) and the
    /// peer (its address, its TLS certificate, its user). Asked before RPC begins, and before a
    /// [`route`](Self::route) or the debug page is served. Default: everybody.
    ///
    /// Refuses with 401 ([`Refusal::unauthorized`]), 403 ([`Refusal::forbidden`]) or what fits.
    /// What it returns otherwise is for the handlers:
    /// [`Context::extension`](rpc_core::Context::extension), and the extensions of a route's
    /// request.
    ///
    /// It has what is left of the [`head_timeout`](Self::head_timeout), then the client gets 503.
    /// Of several, all must agree; they are asked in the order in which they were added, and each
    /// sees what those before found out.
    ///
    /// ```
    /// # use rpc_core::handshake::Refusal;
    /// # use rpc_server::{Request, Server};
    /// let builder = Server::builder().authorize(async |request: Request| {
    ///     match request.peer.address {
    ///         Some(address) if address.ip().is_loopback() => Ok(()),
    ///         _ => Err(Refusal::forbidden("this machine only")),
    ///     }
    /// });
    /// ```
    pub fn authorize<F, T>(mut self, hook: impl Fn(Request) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<T, Refusal>> + Send + 'static,
        T: Clone + Send + Sync + 'static,
    {
        self.config.authorize.push(authorize(hook));
        self
    }

    /// Lets web pages of this origin, `https://app.example` say, open connections: by CONNECT, or
    /// on a route that [takes its connection over](Reply::hijack). Default: none; a request with
    /// another `Origin` header gets 403 there. Routes that answer decide for themselves whose pages
    /// they answer.
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        let origin = origin.into();
        match check_origin_name(&origin) {
            Some(value) => self.config.origins.push(value),
            None => return self.note(Err(BuildError::Origin { origin })),
        }
        self
    }

    /// Answers what is asked for at `path`, whatever the method: as ordinary HTTP, or by
    /// [taking the connection over](Reply::hijack). What has a path that nobody owns gets 405 `must CONNECT`.
    ///
    /// The future is dropped when the client goes away, or closes its side, before there is a
    /// reply, and when the server shuts down and its grace is over. No time limits it otherwise.
    ///
    /// ```
    /// use rpc_server::{Hijacked, Reply, Request, Server};
    /// use tokio::io::AsyncWriteExt;
    ///
    /// async fn raw(mut taken: Hijacked) {
    ///     let _ = taken.stream.write_all(b"no HTTP from here on\n").await;
    /// }
    ///
    /// let builder = Server::builder()
    ///     .route("/version", async |_: Request| "1.0")
    ///     .route("/raw", async |_: Request| Reply::hijack(raw));
    /// ```
    pub fn route<F>(
        mut self,
        path: impl Into<String>,
        handler: impl Fn(Request) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output: Into<Reply>> + Send + 'static,
    {
        let path = path.into();
        let added = self.add_route(path, route(handler));
        self.note(added)
    }

    fn add_route(&mut self, path: String, route: Route) -> Result<(), BuildError> {
        check_path(&path)?;
        match self.routes.insert(path.clone(), route) {
            Some(_) => Err(BuildError::PathTwice { path }),
            None => Ok(()),
        }
    }

    /// The path that is CONNECTed to. Default `/_rpc_`.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.config.path = path.into();
        self
    }

    /// Lets clients in also by `GET` with `Upgrade: rpc`, at the same path (RFC 9110, section 7.8): for what stands
    /// in front of the server and does not pass CONNECT on, as nginx and load balancers of clouds. Default: no.
    ///
    /// Web pages are kept out as from CONNECT; see [`allow_origin`](Self::allow_origin).
    pub fn upgrade(mut self, lets: bool) -> Self {
        self.config.upgrades.retain(|entry| *entry != Entry::Upgrade);
        self.config.upgrades.extend(lets.then_some(Entry::Upgrade));
        self
    }

    /// Lets clients in also by WebSocket (RFC 6455), at the same path: for web pages, of the origins that
    /// [`allow_origin`](Self::allow_origin) names, and for what passes nothing else on. Default: no.
    ///
    /// A page sets no headers: it names its format as the WebSocket's protocol, `rpc.json` or `rpc.bincode`, and has the
    /// default limits. The frames go in binary messages, of 1 MiB at most; where one ends means nothing.
    #[cfg(feature = "websocket")]
    pub fn websocket(mut self, lets: bool) -> Self {
        self.config.upgrades.retain(|entry| *entry != Entry::WebSocket);
        self.config.upgrades.extend(lets.then_some(Entry::WebSocket));
        self
    }

    /// Shows the debug page on the server's own listener, at this path (Go: `HandleHTTP`, at
    /// `/debug/rpc`). Default: off, because it belongs on a listener of its own,
    /// [`Server::debug_page`](crate::Server::debug_page).
    #[cfg(feature = "debug-page")]
    pub fn debug_page_at(mut self, path: impl Into<String>) -> Self {
        let added = self.add_route(path.into(), Box::new(|server, request| debug::reply(server, &request)));
        self.note(added)
    }

    /// Shows the debug page also to whoever asks for it by this host name, without a port, from
    /// wherever. Default: only on this machine (from a loopback address or a Unix socket), and only
    /// by its loopback names, so that no web page can have a browser fetch it (DNS rebinding).
    /// Everybody else gets 403.
    ///
    /// A reverse proxy on this machine is on this machine: keep the page's path out of what it forwards.
    #[cfg(feature = "debug-page")]
    pub fn debug_host(mut self, host: impl Into<String>) -> Self {
        let host = host.into();
        match debug::bare(&host) {
            Some(host) => self.config.debug_hosts.push(host),
            None => return self.note(Err(BuildError::Host { host })),
        }
        self
    }
}

/// As browsers write it: scheme, host, and a port that is not the usual one, in lower case.
fn check_origin_name(origin: &str) -> Option<HeaderValue> {
    let parsed: Uri = origin.parse().ok()?;
    let written = format!("{}://{}", parsed.scheme_str()?, parsed.authority()?);
    let is_plain = written == origin && origin == origin.to_ascii_lowercase() && !origin.contains('@');
    HeaderValue::try_from(origin).ok().filter(|_| is_plain)
}
