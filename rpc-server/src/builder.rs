//! The settings of a server.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex};

use http::HeaderValue;
use rpc_core::handshake::Refusal;
use rpc_core::health::{HealthReporter, HealthServer};
use rpc_core::jitter::Jitter;
use rpc_core::{Context, Format, Method, Service, Status};
use rpc_io::TcpOptions;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::authorize::authorize;
use crate::config::{Config, check_path};
#[cfg(feature = "debug-page")]
use crate::debug;
use crate::error::BuildError;
use crate::interceptor::Interceptor;
use crate::listener::Listener;
use crate::registry::Registry;
use crate::route::{Reply, Request, Route, Routes, route};
use crate::serve::Serve;
use crate::server::Server;
use crate::state::State;

mod limits;

/// Settings for a [`Server`]. Limits, with what becomes of those who meet them, are listed in
/// `docs/limits.md`.
///
/// Errors of registration are kept and told by [`build`](Self::build), or by the
/// [`Serve`] future.
#[must_use = "settings do nothing until a server is made of them"]
#[derive(Default)]
pub struct Builder {
    config: Config,
    registry: Registry,
    pub(crate) routes: Routes,
    interceptors: Vec<Box<dyn Interceptor>>,
    error: Option<BuildError>,
}

impl Builder {
    fn note(mut self, registered: Result<(), BuildError>) -> Self {
        self.error = self.error.or(registered.err());
        self
    }

    /// Adds a service (Go: `Register`): `ArithServer::new(implementation)`, or a [`Service`] made by
    /// hand. [`Service::named`] gives it another name (Go: `RegisterName`).
    pub fn register(mut self, service: impl Into<Service>) -> Self {
        let registered = self.registry.add(service.into());
        self.note(registered)
    }

    /// Adds a method made from a function, under its full name; the last dot divides service and
    /// method.
    pub fn register_fn<A, R, E, F, H>(mut self, name: impl Into<Cow<'static, str>>, handler: H) -> Self
    where
        H: Fn(Context, A) -> F + Send + Sync + 'static,
        F: Future<Output = Result<R, E>> + Send + 'static,
        A: DeserializeOwned + Send + 'static,
        R: Serialize + Send + 'static,
        E: Into<Status> + 'static,
    {
        let name = name.into();
        let (service, method) = name.rsplit_once('.').unwrap_or((&name, ""));
        let registered = self.registry.add_method(service, Method::new(method.to_owned(), handler));
        self.note(registered)
    }

    /// Adds the health service, `Health.Check`, which tells what `reporter` was set to.
    pub fn health(self, reporter: HealthReporter) -> Self {
        self.register(HealthServer::new(reporter))
    }

    /// Adds something that sees every call.
    pub fn interceptor(mut self, interceptor: impl Interceptor) -> Self {
        self.interceptors.push(Box::new(interceptor));
        self
    }

    /// Decides who may enter, from the request (its method, path and headers, among them credentials) and the
    /// peer (its address, its TLS certificate, its user). Asked before RPC begins, and before a
    /// [`route`](Self::route) or the debug page is served. Default: everybody.
    ///
    /// Refuses with 401 ([`Refusal::unauthorized`]), 403 ([`Refusal::forbidden`]) or what fits.
    /// What it returns otherwise is for the handlers: [`Context::extension`], and the extensions of
    /// a route's request.
    ///
    /// It has what is left of the [`head_timeout`](Self::head_timeout), then the client gets 503.
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
        self.config.authorize = Some(authorize(hook));
        self
    }

    /// Takes CONNECT from web pages of this origin, `https://app.example` say. Default: from none; a CONNECT
    /// with another `Origin` header gets 403.
    pub fn allow_origin(mut self, origin: HeaderValue) -> Self {
        self.config.origins.push(origin);
        self
    }

    /// Answers what is asked for at `path`, whatever the method: as ordinary HTTP, or by
    /// [taking the connection over](Reply::hijack). What has a path that nobody owns gets 405 `must CONNECT`.
    ///
    /// The future is dropped when the server shuts down and its grace is over; no other time limits it.
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

    /// Shows the debug page on the server's own listener, at this path (Go: `HandleHTTP`, at
    /// `/debug/rpc`). Default: off, because it belongs on a listener of its own,
    /// [`Server::debug_page`].
    #[cfg(feature = "debug-page")]
    pub fn debug_page_at(mut self, path: impl Into<String>) -> Self {
        let added = self.add_route(path.into(), Box::new(|server, request| debug::reply(server, &request)));
        self.note(added)
    }

    /// Shows the debug page also to whoever asks for it by this host name, without a port, from
    /// wherever. Default: only on this machine (from a loopback address, through a pipe or a Unix
    /// socket), and only by its loopback names, so that no web page can have a browser fetch it
    /// (DNS rebinding). Everybody else gets 403.
    #[cfg(feature = "debug-page")]
    pub fn debug_host(mut self, host: impl Into<String>) -> Self {
        self.config.debug_hosts.push(host.into());
        self
    }

    /// The body formats that clients may choose from. Default: all that are built in.
    pub fn formats(mut self, formats: impl IntoIterator<Item = Format>) -> Self {
        self.config.formats = formats.into_iter().collect();
        self
    }

    /// What is set on accepted TCP sockets.
    pub fn tcp(mut self, tcp: TcpOptions) -> Self {
        self.config.tcp = tcp;
        self
    }

    /// What random choices start from: how much a connection's age differs. Default: something random.
    /// Set it in simulations, which are to do the same when they run again.
    pub fn seed(mut self, seed: u64) -> Self {
        self.config.seed = Some(seed);
        self
    }

    /// Makes the server.
    ///
    /// # Errors
    /// The first thing that was wrong with a registration or a limit.
    pub fn build(self) -> Result<Server, BuildError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        rpc_core::handshake::check_limits(self.config.limits)?;
        self.config.check()?;
        if self.routes.contains_key(&self.config.path) {
            return Err(BuildError::PathTwice { path: self.config.path });
        }
        Ok(self.assemble())
    }

    /// Makes the server of what is known to be right.
    pub(crate) fn assemble(self) -> Server {
        let Self { config, registry, routes, interceptors, error: _ } = self;
        // The standard library's source of randomness, without a crate for it.
        let seed = config.seed.unwrap_or_else(|| RandomState::new().hash_one(()));
        let jitter = Mutex::new(Jitter::new(seed));
        let (shutdown, room, memory) = Default::default();
        Server {
            state: Arc::new(State { config, registry, routes, shutdown, room, memory, interceptors, jitter }),
        }
    }

    /// Makes the server and serves the connections of `listener`; see [`Serve`].
    pub fn serve<L: Listener>(self, listener: L) -> Serve<L> {
        Serve::new(self.build(), listener)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("error", &self.error).finish_non_exhaustive()
    }
}
