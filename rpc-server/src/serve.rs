//! Accepting connections until told to end.

use std::future::{Future, IntoFuture, Pending, pending, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use rpc_core::Peer;
use tracing::{debug, warn};

use crate::error::{BuildError, ConnectionError};
use crate::listener::Listener;
use crate::server::Server;
use crate::shutdown::Report;
#[cfg(feature = "tls")]
use crate::tls::ServerTls;

/// An accept that failed (out of descriptors, say) is tried again after this, doubled each time.
const BACKOFF: Duration = Duration::from_millis(5);

/// At the most after this.
const MAX_BACKOFF: Duration = Duration::from_secs(1);

/// Serves the connections of a listener; `.await` it.
///
/// It ends when the signal of [`with_graceful_shutdown`](Self::with_graceful_shutdown) does: then
/// no connection is accepted any more, calls in flight end within the grace or are cancelled, and
/// the [`Report`] tells how many. Errors of single connections and of accepting never end it.
///
/// # Cancel safety
/// Dropping the future stops accepting. Connections that are open go on until
/// [`Server::shutdown`](crate::Server::shutdown) or the end of the runtime.
#[must_use = "a server serves when it is awaited"]
pub struct Serve<L, S = Pending<()>> {
    server: Result<Server, BuildError>,
    listener: L,
    #[cfg(feature = "tls")]
    tls: Option<ServerTls>,
    signal: S,
}

impl<L: Listener> Serve<L> {
    pub(crate) fn new(server: Result<Server, BuildError>, listener: L) -> Self {
        Self {
            server,
            listener,
            #[cfg(feature = "tls")]
            tls: None,
            signal: pending(),
        }
    }
}

impl<L: Listener, S> Serve<L, S> {
    /// Ends in good order when `signal` does.
    pub fn with_graceful_shutdown<T>(self, signal: T) -> Serve<L, T>
    where
        T: Future<Output = ()> + Send + 'static,
    {
        Serve {
            server: self.server,
            listener: self.listener,
            #[cfg(feature = "tls")]
            tls: self.tls,
            signal,
        }
    }

    /// Serves TLS on this listener, and nothing else. The same server can have others without it: a Unix
    /// socket, say.
    ///
    /// The handshake is made in the task of each connection and holds up nobody else. A connection
    /// that there is no room for ([`max_connections`](crate::Builder::max_connections)) is closed
    /// without a word, not answered with 503.
    #[cfg(feature = "tls")]
    pub fn tls(self, tls: ServerTls) -> Self {
        Self { tls: Some(tls), ..self }
    }
}

impl<L: Listener, S: Future<Output = ()> + Send + 'static> IntoFuture for Serve<L, S> {
    type Output = Result<Report, BuildError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let server = self.server?;
            let (mut listener, signal) = (self.listener, self.signal);
            let drain = server.state.shutdown.drain.clone();
            let signal = async move {
                // `Server::shutdown` ends it too.
                drain.run_until_cancelled(signal).await;
            };
            #[cfg(feature = "tls")]
            if let Some(tls) = self.tls {
                tls.check()?;
                let serve = |io, peer| server.serve_tls_connection_from(io, peer, tls.clone());
                accept_until(&server, &mut listener, serve, signal).await;
                drop(listener);
                return Ok(server.shutdown(server.state.config.grace).await);
            }
            let serve = |io, peer| server.serve_connection_from(io, peer);
            accept_until(&server, &mut listener, serve, signal).await;
            drop(listener);
            Ok(server.shutdown(server.state.config.grace).await)
        })
    }
}

/// Each connection is served by what `serve` makes of it, in a task of its own.
async fn accept_until<L: Listener, C>(
    server: &Server,
    listener: &mut L,
    serve: impl Fn(L::Io, Peer) -> C,
    signal: impl Future<Output = ()>,
) where
    C: Future<Output = Result<(), ConnectionError>> + Send + 'static,
{
    let mut signal = pin!(signal);
    let mut backoff = BACKOFF;
    loop {
        let accepted = {
            let mut accept = pin!(listener.accept());
            poll_fn(|cx| match signal.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => accept.as_mut().poll(cx).map(Some),
            })
            .await
        };
        match accepted {
            None => return,
            Some(Ok((io, peer))) => {
                backoff = BACKOFF;
                if let Err(error) = listener.tune(&io, &server.state.config.tcp) {
                    debug!(%error, "socket options were not set");
                }
                let connection = serve(io, peer.clone());
                // An async block would hold the future twice: as what it was given and as what it awaits.
                tokio::spawn(connection.map(move |ended| {
                    if let Err(error) = ended {
                        debug!(%error, %peer, "connection ended");
                    }
                }));
            }
            Some(Err(error)) => {
                if concerns_one_connection(&error) {
                    // A listener that fails without waiting must not keep the thread.
                    tokio::task::yield_now().await;
                    continue;
                }
                warn!(%error, ?backoff, "cannot accept connections now");
                let mut pause = pin!(tokio::time::sleep(backoff));
                let ended = poll_fn(|cx| match signal.as_mut().poll(cx) {
                    Poll::Ready(()) => Poll::Ready(true),
                    Poll::Pending => pause.as_mut().poll(cx).map(|()| false),
                });
                if ended.await {
                    return;
                }
                backoff = MAX_BACKOFF.min(backoff * 2);
            }
        }
    }
}

/// The peer went away before it was accepted: no reason to wait.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
