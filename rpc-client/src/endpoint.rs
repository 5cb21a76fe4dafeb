//! Where a client's calls go: the server it was told of, and the connection to it.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rpc_core::Format;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use crate::connect_error::ConnectError;
use crate::connection::Connection;
use crate::dial::Dialled;
use crate::error::CallInfo;
use crate::interceptor::Interceptor;
use crate::shared::Shared;

/// What all clones of a client share.
pub(crate) struct Endpoint {
    pub(crate) peer: Arc<str>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) interceptors: Vec<Box<dyn Interceptor>>,
    /// What was asked for in the handshake, in this order.
    pub(crate) formats: Vec<Format>,
    pub(crate) link: OnceLock<Arc<Link>>,
    /// How a lazy client connects; `None` for one that has its link from the start.
    pub(crate) dialler: Option<Dialler>,
    pub(crate) dialling: Mutex<Dialling>,
}

/// Makes a connection.
pub(crate) type Dialler = Box<dyn Fn() -> Dial + Send + Sync>;
pub(crate) type Dial = Pin<Box<dyn Future<Output = Result<Link, ConnectError>> + Send>>;

/// How far a lazy client has come.
#[derive(Default)]
pub(crate) struct Dialling {
    closed: bool,
    /// The attempt under way, which belongs to no caller: all who wait for it hear of its end.
    attempt: Option<(watch::Receiver<Attempt>, AbortHandle)>,
}

/// `None`: under way.
type Attempt = Option<Result<(), Arc<ConnectError>>>;

/// Why there is no connection.
pub(crate) enum NotConnected {
    /// The client was closed.
    Closed,
    Failed(Arc<ConnectError>),
}

/// A connection whose task runs.
pub(crate) struct Link {
    pub(crate) shared: Arc<Shared>,
    pub(crate) format: Format,
    /// Cancelled when the connection's task has ended.
    pub(crate) over: CancellationToken,
}

impl Link {
    pub(crate) fn spawn<IO>(dialled: Dialled<IO>) -> Self
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Dialled { io, input, terms } = dialled;
        let shared = Arc::new(Shared::new(terms.limits));
        let over = CancellationToken::new();
        tokio::spawn(Connection::new(io, input, shared.clone()).run(over.clone()));
        Self { shared, format: terms.format, over }
    }
}

impl Endpoint {
    pub(crate) fn call_info(&self, method: Cow<'static, str>) -> Box<CallInfo> {
        Box::new(CallInfo { method, peer: self.peer.clone() })
    }

    fn dialling(&self) -> MutexGuard<'_, Dialling> {
        self.dialling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.dialling().closed
    }

    /// True for the one that was first to close it.
    pub(crate) fn close(&self) -> bool {
        let mut dialling = self.dialling();
        let first = !std::mem::replace(&mut dialling.closed, true);
        if let Some((_, task)) = dialling.attempt.take() {
            task.abort();
        }
        drop(dialling);
        first && self.link.get().is_none_or(|link| link.shared.close())
    }

    /// Waits for the connection of a lazy client, and begins to make it if nobody has.
    pub(crate) fn connected(
        self: &Arc<Self>,
    ) -> impl Future<Output = Result<(), NotConnected>> + Send + use<> {
        let attempt = self.attempt();
        async move {
            let Some(mut attempt) = attempt else { return Err(NotConnected::Closed) };
            // The sender goes away without a word when the attempt is aborted.
            let ended = attempt.wait_for(Option::is_some).await.map_err(|_| NotConnected::Closed)?;
            match &*ended {
                Some(Err(error)) => Err(NotConnected::Failed(error.clone())),
                _ => Ok(()),
            }
        }
    }

    fn attempt(self: &Arc<Self>) -> Option<watch::Receiver<Attempt>> {
        let mut dialling = self.dialling();
        if dialling.closed {
            return None;
        }
        if let Some((attempt, _)) = &dialling.attempt
            && (attempt.borrow().is_none() || self.link.get().is_some())
        {
            return Some(attempt.clone());
        }
        let dial = self.dialler.as_ref()?();
        let (tell, attempt) = watch::channel(None);
        let endpoint = Arc::downgrade(self);
        let task = tokio::spawn(async move {
            let ended = dial.await.map_err(Arc::new).map(|link| {
                if let Some(endpoint) = endpoint.upgrade() {
                    endpoint.adopt(link);
                }
            });
            tell.send_replace(Some(ended));
        });
        dialling.attempt = Some((attempt.clone(), task.abort_handle()));
        Some(attempt)
    }

    fn adopt(&self, link: Link) {
        let dialling = self.dialling();
        if dialling.closed {
            link.shared.close();
        }
        // One attempt at a time, and none once there is a link.
        let _ = self.link.set(Arc::new(link));
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.close();
    }
}
