//! The handle that calls are made through.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use rpc_core::caller::{Request, ValueOf};
use rpc_core::{Call, Caller, Executed};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::builder::Builder;
use crate::connect_error::ConnectError;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::pending::Pending;

/// A connection to a server, shared by all its clones.
///
/// The connection ends when [`close`](Self::close) is called, or when the last clone and the last
/// call in flight are gone. It needs a running tokio runtime with I/O and time.
#[derive(Clone)]
pub struct Client {
    pub(crate) endpoint: Arc<Endpoint>,
}

impl Client {
    /// Connects to `address` (`host:port`) with the default settings.
    ///
    /// # Errors
    /// See [`ConnectError`].
    ///
    /// # Cancel safety
    /// Dropping the future drops the connection.
    pub async fn connect(address: impl ToString) -> Result<Self, ConnectError> {
        Self::builder().connect(address).await
    }

    /// A client that connects at its first call, with the default settings. When that fails, the
    /// calls that waited fail, and the next one tries again. A connection that was made and lost is
    /// not made again.
    #[must_use]
    pub fn lazy(address: impl ToString) -> Self {
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
        if !self.endpoint.close() {
            let call = self.endpoint.call_info("(close)".into());
            return Err(Error::Shutdown { call, executed: Executed::No });
        }
        if let Some(link) = self.endpoint.link.get() {
            link.over.cancelled().await;
        }
        Ok(())
    }

    /// Whether no call can be made through it any more: it was closed, or its connection is lost or
    /// takes no new calls.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match self.endpoint.link.get() {
            Some(link) => link.shared.is_over(),
            None => self.endpoint.is_closed(),
        }
    }

    /// The server, as the client was told to reach it.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.endpoint.peer
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
        Pending::new(self.endpoint.clone(), request)
    }

    fn start<A, R>(&self, request: Request<A>) -> Pending<(), R>
    where
        A: Serialize + Send,
        R: DeserializeOwned + Send + 'static,
    {
        Pending::started(self.endpoint.clone(), request)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("peer", &self.endpoint.peer).finish_non_exhaustive()
    }
}
