//! The handle that calls are made through.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rpc_core::caller::{Request, ValueOf};
use rpc_core::{Call, Caller, Format};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::builder::Builder;
use crate::connection::Connection;
use crate::dial::Dialled;
use crate::error::{CallInfo, ConnectError, Error};
use crate::interceptor::Interceptor;
use crate::pending::Pending;
use crate::shared::Shared;

/// A connection to a server, shared by all its clones.
///
/// The connection ends when [`close`](Self::close) is called, or when the last clone and the last
/// call in flight are gone. It needs a running tokio runtime with I/O and time.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) peer: Arc<str>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) interceptors: Vec<Box<dyn Interceptor>>,
    /// What was asked for in the handshake, in this order.
    pub(crate) formats: Vec<Format>,
    pub(crate) link: OnceCell<Arc<Link>>,
    pub(crate) dial: Option<Dialler>,
    pub(crate) closed: AtomicBool,
}

/// Makes the connection of a lazy client.
pub(crate) type Dialler = Box<dyn Fn() -> Dialling + Send + Sync>;
pub(crate) type Dialling = Pin<Box<dyn Future<Output = Result<Link, ConnectError>> + Send>>;

/// A connection whose task runs.
pub(crate) struct Link {
    pub(crate) shared: Arc<Shared>,
    pub(crate) format: Format,
    over: CancellationToken,
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

impl Client {
    /// Connects to `address` (`host:port`) with the default settings.
    ///
    /// # Errors
    /// See [`ConnectError`].
    ///
    /// # Cancel safety
    /// Dropping the future drops the connection.
    pub async fn connect(address: impl Into<String>) -> Result<Self, ConnectError> {
        Self::builder().connect(address).await
    }

    /// A client that connects at its first call, with the default settings. When that fails, the
    /// calls that waited fail, and the next one tries again.
    #[must_use]
    pub fn lazy(address: impl Into<String>) -> Self {
        Self::builder().lazy(address)
    }

    /// A client over any stream, with the default settings (Go: `NewClient`).
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn new<IO>(io: IO) -> Result<Self, ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Self::builder().over(io).await
    }

    /// Settings for a client.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A call of a method by its full name (Go: `Client.Call`). Set its options, then `.await` it.
    ///
    /// Dropping the future gives the call up, on the server too.
    pub fn call<A, R>(&self, method: impl Into<Cow<'static, str>>, args: A) -> Call<Self, A, R>
    where
        A: Serialize + Send,
        R: DeserializeOwned + Send + 'static,
    {
        Call::borrowing(self.clone(), method, args)
    }

    /// Makes a call without waiting for it (Go: `Client.Go`): the arguments are encoded now, and
    /// sent now when the connection is up and has room, otherwise as soon as the future is polled.
    ///
    /// Dropping the future gives the call up, on the server too.
    pub fn start<R>(
        &self,
        method: impl Into<Cow<'static, str>>,
        args: impl Serialize + Send,
    ) -> ValueOf<Pending<(), R>>
    where
        R: DeserializeOwned + Send + 'static,
    {
        self.call(method, args).start()
    }

    /// Closes the connection: calls in flight fail with [`Error::Shutdown`] and are cancelled on the
    /// server, later ones fail too. Waits until the connection is gone, at most about a second.
    ///
    /// # Errors
    /// [`Error::Shutdown`] when the client was closed before, or its connection lost (Go:
    /// `ErrShutdown`).
    ///
    /// # Cancel safety
    /// The connection closes even if the future is dropped after its first poll.
    pub async fn close(&self) -> Result<(), Error> {
        let again = self.inner.closed.swap(true, Ordering::AcqRel);
        let link = self.inner.link.get();
        if again || link.is_some_and(|link| !link.shared.close()) {
            let executed = rpc_core::Executed::No;
            return Err(Error::Shutdown { call: self.call_info("(close)".into()), executed });
        }
        if let Some(link) = link {
            link.over.cancelled().await;
        }
        Ok(())
    }

    /// The server, as the client was told to reach it.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.inner.peer
    }

    pub(crate) fn call_info(&self, method: Cow<'static, str>) -> Box<CallInfo> {
        Box::new(CallInfo { method, peer: self.inner.peer.clone() })
    }
}

impl Inner {
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) async fn connected(&self) -> Result<(), ConnectError> {
        let link = self
            .link
            .get_or_try_init(|| async {
                match &self.dial {
                    Some(dial) => dial().await.map(Arc::new),
                    None => unreachable!("a client that is not lazy has its link from the start"),
                }
            })
            .await?;
        // Closed while it was dialling.
        if self.is_closed() {
            link.shared.close();
        }
        Ok(())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(link) = self.link.get() {
            link.shared.close();
        }
    }
}

impl Caller for Client {
    type Error = Error;
    type Pending<A, R>
        = Pending<A, R>
    where
        A: Serialize + Send,
        R: DeserializeOwned + Send + 'static;

    fn send<A, R>(&self, request: Request<A>) -> Pending<A, R>
    where
        A: Serialize + Send,
        R: DeserializeOwned + Send + 'static,
    {
        Pending::new(self.clone(), request)
    }

    fn start<A, R>(&self, request: Request<A>) -> Pending<(), R>
    where
        A: Serialize + Send,
        R: DeserializeOwned + Send + 'static,
    {
        Pending::started(self.clone(), request)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("peer", &self.inner.peer).finish_non_exhaustive()
    }
}
