//! RPC as a part of another HTTP stack.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use rpc_core::Peer;
use tower_service::Service;

use crate::door::Door;
use crate::route::Boxed;
use crate::state::State;

/// The RPC of a [`Server`](crate::Server) as a tower service: for a route of axum's `Router`, or for a connection that
/// hyper 1 serves; made by [`Server::into_service`](crate::Server::into_service).
///
/// Whoever routes requests here decides the path; [`Builder::path`](crate::Builder::path) counts for nothing, and neither
/// do routes: the other stack has its own. It takes
///
/// - `CONNECT` by HTTP/1.0 and 1.1;
/// - the other ways that the server lets clients in by ([`Builder::upgrade`](crate::Builder::upgrade));
/// - extended CONNECT with the protocol `rpc` (RFC 8441) and plain CONNECT by HTTP/2: each stream is a connection. Plain
///   CONNECT has no path there, so that a router takes it for one that it does not know: give it this service as its
///   fallback where such clients are.
///
/// Anything else gets `405 must CONNECT`, and its connection is closed, as with every refusal.
///
/// The connection has to be served with upgrades (`axum::serve` does; hyper: `serve_connection_with_upgrades`). From
/// the acceptance on it is this server's: a raw socket is taken back from hyper, and the server's limits and times
/// count. Before, hyper's do, and the server's limit on connections and the time for the head, within which hooks
/// decide. By HTTP/1 the other stack does not see the connection any more, and its graceful shutdown does not wait for it; by
/// HTTP/2 it waits for as long as a client stays. Call [`Server::shutdown`](crate::Server::shutdown) beside it, not behind it.
///
/// Who asks is known to hooks, handlers and the limit on connections from one address if it is among the request's
/// extensions, as a [`Peer`]. By HTTP/2 one TCP connection can take as many places as it may have streams. What else is there
/// is among those of [`Context::extension`](rpc_core::Context::extension).
#[derive(Clone)]
pub struct RpcService {
    state: Arc<State>,
}

impl RpcService {
    pub(crate) fn new(state: Arc<State>) -> Self {
        Self { state }
    }
}

impl<B> Service<Request<B>> for RpcService {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Boxed<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let upgrade = hyper::upgrade::on(&mut request);
        let peer = request.extensions_mut().remove().unwrap_or_else(Peer::unknown);
        let (head, _) = request.into_parts();
        let door = Door::new(self.state.clone(), peer);
        Box::pin(async move { Ok(door.answer_for_hyper(head, upgrade).await) })
    }
}

impl fmt::Debug for RpcService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RpcService").finish_non_exhaustive()
    }
}
