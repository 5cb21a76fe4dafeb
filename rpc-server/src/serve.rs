//! Accepting connections until told to end.

use std::future::{Future, IntoFuture, Pending, pending, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use tracing::{debug, warn};

use crate::error::BuildError;
use crate::listener::Listener;
use crate::server::Server;
use crate::shutdown::Report;

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
    signal: S,
}

impl<L: Listener> Serve<L> {
    pub(crate) fn new(server: Result<Server, BuildError>, listener: L) -> Self {
        Self { server, listener, signal: pending() }
    }
}

impl<L: Listener, S> Serve<L, S> {
    /// Ends in good order when `signal` does.
    pub fn with_graceful_shutdown<T>(self, signal: T) -> Serve<L, T>
    where
        T: Future<Output = ()> + Send + 'static,
    {
        Serve { server: self.server, listener: self.listener, signal }
    }
}

impl<L: Listener, S: Future<Output = ()> + Send + 'static> IntoFuture for Serve<L, S> {
    type Output = Result<Report, BuildError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { server, mut listener, signal } = self;
            let server = server?;
            let drain = server.state.shutdown.drain.clone();
            let signal = async move {
                // `Server::shutdown` ends it too.
                drain.run_until_cancelled(signal).await;
            };
            accept_until(&server, &mut listener, signal).await;
            drop(listener);
            Ok(server.shutdown(server.state.config.grace).await)
        })
    }
}

async fn accept_until<L: Listener>(server: &Server, listener: &mut L, signal: impl Future<Output = ()>) {
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
                let connection = server.serve_connection_from(io, peer.clone());
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
