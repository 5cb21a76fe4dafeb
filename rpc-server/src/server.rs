//! A server: what serves connections, counts, and ends.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rpc_core::Peer;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::builder::Builder;
use crate::door::{Door, Entered};
use crate::error::ConnectionError;
use crate::listener::Listener;
#[cfg(feature = "mount")]
use crate::mount::RpcService;
use crate::registry::MethodStats;
#[cfg(feature = "debug-page")]
use crate::route::Request;
use crate::serve::Serve;
use crate::shutdown::Report;
use crate::state::State;
#[cfg(feature = "tls")]
use crate::tls::ServerTls;

/// A set of services, ready to serve any number of connections. Clones are the same server.
#[derive(Clone)]
pub struct Server {
    pub(crate) state: Arc<State>,
}

impl Server {
    /// Settings for a server.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Serves the connections of `listener` until the future is dropped or told to end; see
    /// [`Serve`].
    pub fn serve<L: Listener>(&self, listener: L) -> Serve<L> {
        Serve::new(Ok(self.clone()), listener)
    }

    /// Serves one connection, CONNECT first, until it ends (Go: `ServeConn`).
    ///
    /// # Errors
    /// See [`ConnectionError`].
    ///
    /// # Cancel safety
    /// Dropping the future drops the connection and cancels its handlers.
    pub async fn serve_connection<IO>(&self, io: IO) -> Result<(), ConnectionError>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.serve_connection_from(io, Peer::unknown()).await
    }

    /// The same, when it is known who is at the other end.
    ///
    /// # Errors
    /// See [`ConnectionError`].
    ///
    /// # Cancel safety
    /// Dropping the future drops the connection and cancels its handlers.
    pub fn serve_connection_from<IO>(
        &self,
        io: IO,
        peer: Peer,
    ) -> impl Future<Output = Result<(), ConnectionError>> + Send + use<IO>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let door = Door::new(self.state.clone(), peer);
        self.serve_entered(Box::pin(door.enter(io)))
    }

    /// The same over TLS, its handshake first. What it finds out becomes a part of the `peer`.
    ///
    /// # Errors
    /// See [`ConnectionError`].
    ///
    /// # Cancel safety
    /// Dropping the future drops the connection and cancels its handlers.
    #[cfg(feature = "tls")]
    pub fn serve_tls_connection_from<IO>(
        &self,
        io: IO,
        peer: Peer,
        tls: ServerTls,
    ) -> impl Future<Output = Result<(), ConnectionError>> + Send + use<IO>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let door = Door::new(self.state.clone(), peer);
        self.serve_entered(Box::pin(door.enter_tls(io, tls)))
    }

    /// Serves what the HTTP phase lets in. Both are boxed, so that the connection's task has in it
    /// neither of them.
    fn serve_entered<F>(
        &self,
        entering: Pin<Box<F>>,
    ) -> impl Future<Output = Result<(), ConnectionError>> + Send + use<F>
    where
        F: Future<Output = Result<Option<Entered>, ConnectionError>> + Send,
    {
        // Tracked from here on, so that a shutdown waits for it.
        let tracked = self.state.shutdown.connections.token();
        async move {
            let _tracked = tracked;
            match entering.await? {
                Some(entered) => entered.await,
                None => Ok(()),
            }
        }
    }

    /// Its RPC as a tower service, for a route of axum's or a connection that hyper serves; see [`RpcService`]. Clones of
    /// the server stay what they are: to shut it down, and for its counts.
    ///
    /// ```
    /// use rpc_server::Server;
    ///
    /// # fn demo() -> Result<(), rpc_server::BuildError> {
    /// let server = Server::builder().upgrade(true).build()?;
    /// let app: axum::Router = axum::Router::new()
    ///     .route("/health", axum::routing::get(async || "ok"))
    ///     .route_service("/_rpc_", server.clone().into_service());
    /// // Beside each other, since by HTTP/2 axum waits for RPC as well:
    /// // tokio::join!(axum::serve(listener, app).with_graceful_shutdown(signal), async { signalled.await; server.shutdown(grace).await })
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "mount")]
    #[must_use]
    pub fn into_service(self) -> RpcService {
        RpcService::new(self.state)
    }

    /// Takes no new calls on any connection, lets those in flight go on for up to `grace`, then
    /// cancels them; waits until every connection is gone.
    ///
    /// # Cancel safety
    /// Once polled, the shutdown goes on when the future is dropped, without its grace's end.
    pub async fn shutdown(&self, grace: Duration) -> Report {
        self.state.shutdown.run(grace, self.connections()).await
    }

    /// What was counted of every method, by service and name.
    #[must_use]
    pub fn stats(&self) -> Vec<MethodStats> {
        self.state.registry.stats()
    }

    /// The debug page of this server (Go: `HandleHTTP`), as a server of its own for a listener of
    /// its own: at `/debug/rpc`, or as JSON at `/debug/rpc?format=json`, services, methods and
    /// counts. Shown to this machine alone, see [`Builder::debug_host`], and without asking
    /// [`Builder::authorize`]. It goes on while this server shuts down.
    ///
    /// ```no_run
    /// # async fn demo(server: rpc_server::Server) -> std::io::Result<()> {
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:6060").await?;
    /// tokio::spawn(server.debug_page().serve(listener).into_future());
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "debug-page")]
    #[must_use]
    pub fn debug_page(&self) -> Self {
        const PATH: &str = "/debug/rpc";
        let watched = self.state.clone();
        // The page comes before RPC at its path, so that there is no RPC anywhere.
        let mut page = Self::builder().path(PATH).max_connections(64);
        let route = move |_: &State, request: Request| crate::debug::reply(&watched, &request);
        page.routes.insert(PATH.into(), Box::new(route));
        page.assemble()
    }

    /// The same page as an answer, for a route of another HTTP stack. Who asks has to be among the
    /// request's extensions, as a [`Peer`]: the page is shown to nobody else than by `debug_page`.
    ///
    /// ```
    /// # fn demo(server: rpc_server::Server) -> axum::Router {
    /// use axum::{extract::Request, routing::get};
    ///
    /// let page = async move |request: Request| server.answer_debug(request.into_parts().0).map(axum::body::Body::from);
    /// axum::Router::new().route("/debug/rpc", get(page))
    /// # }
    /// ```
    #[cfg(feature = "debug-page")]
    #[must_use]
    pub fn answer_debug(&self, mut head: http::request::Parts) -> http::Response<bytes::Bytes> {
        let peer = head.extensions.remove().unwrap_or_else(Peer::unknown);
        match crate::debug::answer(&self.state, &Request::new(head, peer)) {
            Ok(page) => page.map(Into::into),
            Err(refusal) => http::Response::<String>::from(refusal).map(Into::into),
        }
    }

    /// Connections that are open now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state.room.open()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("methods", &self.stats().len()).finish_non_exhaustive()
    }
}
