//! The settings of a server.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use rpc_core::handshake::Refusal;
use rpc_core::health::{HealthReporter, HealthServer};
use rpc_core::{Context, Format, Method, Service, Status};
use rpc_io::TcpOptions;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::Config;
use crate::error::BuildError;
use crate::interceptor::Interceptor;
use crate::listener::Listener;
use crate::registry::Registry;
use crate::serve::Serve;
use crate::server::Server;
use crate::state::State;

/// Settings for a [`Server`].
///
/// Errors of registration are kept and told by [`build`](Self::build), or by the
/// [`Serve`] future.
#[must_use = "settings do nothing until a server is made of them"]
#[derive(Default)]
pub struct Builder {
    config: Config,
    registry: Registry,
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

    /// Decides who may enter, from the CONNECT request (its headers, among them credentials) and
    /// the address it came from. Runs in the task of the connection, so it must not block.
    /// Default: everybody.
    pub fn accept(
        mut self,
        hook: impl Fn(&Parts, Option<SocketAddr>) -> Result<(), Refusal> + Send + Sync + 'static,
    ) -> Self {
        self.config.accept = Some(Arc::new(hook));
        self
    }

    /// The path that is CONNECTed to. Default `/_rpc_`.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.config.path = path.into();
        self
    }

    /// Turns the debug page on, at `/debug/rpc` (Go: `HandleHTTP`): services, methods, counts; as
    /// JSON with `?format=json`. Default: off. It tells everybody what the server can do.
    #[cfg(feature = "debug-page")]
    pub fn debug_page(self) -> Self {
        self.debug_page_at("/debug/rpc")
    }

    /// Turns the debug page on, at this path.
    #[cfg(feature = "debug-page")]
    pub fn debug_page_at(mut self, path: impl Into<String>) -> Self {
        self.config.debug_path = Some(path.into());
        self
    }

    /// The body formats that clients may choose from. Default: all that are built in.
    pub fn formats(mut self, formats: impl IntoIterator<Item = Format>) -> Self {
        self.config.formats = formats.into_iter().collect();
        self
    }

    /// The largest request taken, in bytes. Default 4 MiB, at least 64 KiB. A client that sends a
    /// larger one is disconnected; ours refuses to send it.
    pub fn max_frame(mut self, bytes: u32) -> Self {
        self.config.limits.max_frame = bytes;
        self
    }

    /// Calls in flight per connection. Default 1,024, from 1 to 65,536. Clients are told and hold
    /// themselves back; a call beyond is refused as `ResourceExhausted`.
    pub fn concurrency_limit_per_connection(mut self, calls: u32) -> Self {
        self.config.limits.max_calls = calls;
        self
    }

    /// The time for a request head to arrive whole. Default 10 s; then 408 (Go:
    /// `ReadHeaderTimeout`).
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.config.head_timeout = timeout;
        self
    }

    /// The largest request head, in bytes. Default 8 KiB; then 431 (Go: `MaxHeaderBytes`).
    pub fn max_head(mut self, bytes: usize) -> Self {
        self.config.max_head = bytes;
        self
    }

    /// Connections at a time. Default 10,000; one more gets 503.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.config.max_connections = connections;
        self
    }

    /// Memory that the arguments of waiting calls may take, over all connections, in bytes; each
    /// call counts for 1 KiB more. Default 1 GiB; a call beyond is refused as `ResourceExhausted`.
    pub fn max_memory(mut self, bytes: usize) -> Self {
        self.config.max_memory = bytes;
        self
    }

    /// Bytes of answers that may wait for a client to take them. Default 1 MiB; above that its
    /// requests are not read and its handlers not polled. One answer may go beyond it.
    pub fn output_mark(mut self, bytes: usize) -> Self {
        self.config.output_mark = bytes.max(1);
        self
    }

    /// How long a client may take nothing of what waits for it. Default 10 s; then it is
    /// disconnected (Go: `WriteTimeout`).
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.config.write_timeout = timeout;
        self
    }

    /// After so long without a byte from a client it is asked whether it is there (Ping). Default
    /// 30 s, at least 1 s. `None`: never, and a client whose host vanished is noticed by TCP alone, if this is TCP.
    ///
    /// A client that has closed its side cannot answer, and may still wait for its results; it is
    /// pinged every interval until a write fails, with `None` every 30 s.
    pub fn ping_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.config.ping_interval = interval.into().map(|interval| interval.max(Duration::from_secs(1)));
        self
    }

    /// How long a client that was asked may say nothing at all. Default 10 s; then the connection
    /// fails as [`Unresponsive`](crate::ConnectionError::Unresponsive) and its handlers are cancelled.
    /// The time begins when the Ping has left.
    pub fn ping_timeout(mut self, timeout: Duration) -> Self {
        self.config.ping_timeout = timeout;
        self
    }

    /// How long calls in flight may go on when the server shuts down. Default 30 s.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.config.grace = grace;
        self
    }

    /// What is set on accepted TCP sockets.
    pub fn tcp(mut self, tcp: TcpOptions) -> Self {
        self.config.tcp = tcp;
        self
    }

    /// Makes the server.
    ///
    /// # Errors
    /// The first thing that was wrong with a registration or a limit.
    pub fn build(self) -> Result<Server, BuildError> {
        let Self { config, registry, interceptors, error } = self;
        if let Some(error) = error {
            return Err(error);
        }
        rpc_core::handshake::check_limits(config.limits)?;
        config.check()?;
        let (shutdown, memory) = Default::default();
        Ok(Server { state: Arc::new(State { config, registry, shutdown, memory, interceptors }) })
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
