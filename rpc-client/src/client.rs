//! The handle that calls are made through.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rpc_core::caller::{Request, ValueOf};
use rpc_core::stream::Shape;
use rpc_core::{BidiStream, Call, Caller, ClientStream, Executed, ServerStream, StreamCall};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::builder::Builder;
use crate::connect_error::ConnectError;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::pending::{Opening, Pending};
use crate::ping::ping;
use crate::state::{ConnectionState, StateWatch};

/// A connection to a server, shared by all its clones.
///
/// It survives the loss of the connection: the client dials again, at once and then after waits
/// that grow ([`Builder::backoff`]), and resolves the name each time. One that the server closed because
/// nobody used it is made again at the next call. Calls that have certainly not
/// run move to the new connection; one that may have run fails, unless its method is declared
/// idempotent. [`Builder::reconnect`] turns that off.
///
/// All ends when [`close`](Self::close) is called, or when the last clone and the last call in
/// flight are gone. It needs a running tokio runtime with I/O and time.
#[derive(Clone)]
pub struct Client {
    pub(crate) endpoint: Arc<Endpoint>,
}

impl Client {
    /// Connects to `address`, `host:port` or a URL (see [`Builder::connect`]), with the default settings.
    ///
    /// # Errors
    /// See [`ConnectError`].
    ///
    /// # Cancel safety
    /// Dropping the future drops the connection.
    pub async fn connect(address: impl ToString) -> Result<Self, ConnectError> {
        Self::builder().connect(address).await
    }

    /// A client that connects at its first call, with the default settings.
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

    /// A call of a method that answers with a stream of `T`, by its full name. `.await` gives the
    /// [`Streaming`](rpc_core::Streaming) when the handler has begun to answer.
    pub fn call_server_stream<A, T>(
        &self,
        method: impl Into<Cow<'static, str>>,
        args: A,
    ) -> StreamCall<Self, A, ServerStream<T>>
    where
        A: Serialize + Send,
        T: DeserializeOwned + Send + 'static,
    {
        StreamCall::borrowing(self.clone(), method, args)
    }

    /// A call of a method that takes a stream of `T` behind its arguments and answers with one `R`, by
    /// its full name. `.await` gives a [`Sender`](rpc_core::Sender) and the answer as a future.
    pub fn call_client_stream<A, T, R>(
        &self,
        method: impl Into<Cow<'static, str>>,
        args: A,
    ) -> StreamCall<Self, A, ClientStream<T, R>>
    where
        A: Serialize + Send,
        T: 'static,
        R: DeserializeOwned + Send + 'static,
    {
        StreamCall::borrowing(self.clone(), method, args)
    }

    /// A call of a method that takes a stream of `T` behind its arguments and answers with a stream of
    /// `R`, by its full name. `.await` gives a [`Sender`](rpc_core::Sender) and a
    /// [`Streaming`](rpc_core::Streaming).
    pub fn call_bidi_stream<A, T, R>(
        &self,
        method: impl Into<Cow<'static, str>>,
        args: A,
    ) -> StreamCall<Self, A, BidiStream<T, R>>
    where
        A: Serialize + Send,
        T: 'static,
        R: DeserializeOwned + Send + 'static,
    {
        StreamCall::borrowing(self.clone(), method, args)
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
        let shutdown =
            || Error::Shutdown { call: self.endpoint.call_info("(close)".into()), executed: Executed::No };
        let links = self.endpoint.close().ok_or_else(shutdown)?;
        // All of them before the first is waited for.
        let open = links.iter().fold(false, |open, link| link.shared.close() | open);
        for link in &links {
            link.over.cancelled().await;
        }
        if open || self.endpoint.reconnects() || links.is_empty() { Ok(()) } else { Err(shutdown()) }
    }

    /// Whether no call can be made through it any more: it was closed, or its connection is lost, or
    /// takes no new calls, and none follows.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.state(), ConnectionState::Closed)
    }

    /// Where the client stands with its server now.
    #[must_use]
    pub fn state(&self) -> ConnectionState {
        self.watch_state().current()
    }

    /// Follows where the client stands with its server.
    #[must_use]
    pub fn watch_state(&self) -> StateWatch {
        StateWatch { phase: self.endpoint.phase(), reconnects: self.endpoint.reconnects() }
    }

    /// The time to the server and back: a Ping and its Pong. Connects first, if need be, as a call
    /// does.
    ///
    /// Has no timeout of its own, but ends with the connection, whose server is asked whether it is
    /// there when it says nothing. A server bears only so many Pings: beyond a burst of 500 it waits,
    /// for about 33 a second.
    ///
    /// # Errors
    /// [`Error::Connect`], [`Error::ConnectionLost`], [`Error::Shutdown`].
    ///
    /// # Cancel safety
    /// Safe to drop at any time.
    pub async fn ping(&self) -> Result<Duration, Error> {
        ping(&self.endpoint).await
    }

    /// The server, as the client was told to reach it.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.endpoint.peer
    }
}

impl Caller for Client {
    type Error = Error;
    type Opening<A>
        = Opening<A>
    where
        A: Serialize + Send;
    type Pending<A, R>
        = Pending<A, R>
    where
        A: Serialize + Send,
        R: DeserializeOwned + Send + 'static;

    fn send<A, R>(self, request: Request<A>) -> Pending<A, R>
    where
        A: Serialize + Send,
        R: DeserializeOwned + Send + 'static,
    {
        Pending::new(self.endpoint, request)
    }

    fn start<A, R>(self, request: Request<A>) -> Pending<(), R>
    where
        A: Serialize + Send,
        R: DeserializeOwned + Send + 'static,
    {
        Pending::started(self.endpoint, request)
    }

    fn open<A>(self, request: Request<A>, shape: Shape) -> Opening<A>
    where
        A: Serialize + Send,
    {
        Opening::new(self.endpoint, request, shape)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("peer", &self.endpoint.peer).finish_non_exhaustive()
    }
}
