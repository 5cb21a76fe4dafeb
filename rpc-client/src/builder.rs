//! The settings of a client.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use rpc_core::{Format, Limits};
use rpc_io::TcpOptions;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::client::Client;
use crate::connect_error::ConnectError;
use crate::dial::{Connector, DialConfig};
use crate::endpoint::{Dialler, Endpoint, Link};
use crate::interceptor::Interceptor;

/// Settings for a [`Client`].
///
/// ```no_run
/// # async fn demo() -> Result<(), rpc_client::ConnectError> {
/// use std::time::Duration;
///
/// let client = rpc_client::Client::builder()
///     .timeout(Duration::from_secs(2))
///     .path("/internal/rpc")
///     .connect("127.0.0.1:1234")
///     .await?;
/// # Ok(()) }
/// ```
#[derive(Default)]
#[must_use = "settings do nothing until a client is made of them"]
pub struct Builder {
    dial: DialConfig,
    timeout: Option<Duration>,
    interceptors: Vec<Box<dyn Interceptor>>,
}

impl Builder {
    /// The time of a call that sets none itself. Default: none, as with gRPC; set it.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The time to open a TCP connection, over all addresses of the name. Default 10 s.
    pub fn dial_timeout(mut self, timeout: Duration) -> Self {
        self.dial.dial_timeout = timeout;
        self
    }

    /// The time for the server to answer CONNECT. Default 10 s (Go: `ResponseHeaderTimeout`).
    pub fn answer_timeout(mut self, timeout: Duration) -> Self {
        self.dial.answer_timeout = timeout;
        self
    }

    /// The path to CONNECT to. Default `/_rpc_`.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.dial.path = path.into();
        self
    }

    /// Adds a header to the CONNECT request: credentials, for example.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.dial.headers.append(name, value);
        self
    }

    /// Replaces the headers added so far.
    pub fn headers(mut self, headers: HeaderMap) -> Self {
        self.dial.headers = headers;
        self
    }

    /// The body format to ask for. Default: bincode.
    pub fn format(self, format: Format) -> Self {
        self.formats([format])
    }

    /// The body formats to ask for, the preferred one first; the server takes the first it knows.
    pub fn formats(mut self, formats: impl IntoIterator<Item = Format>) -> Self {
        self.dial.formats = formats.into_iter().collect();
        self
    }

    /// The largest answer taken, in bytes. Default 4 MiB, at least 64 KiB. A larger one fails its
    /// call on the server.
    pub fn max_frame(mut self, bytes: u32) -> Self {
        self.dial.limits = Limits { max_frame: bytes, ..self.dial.limits };
        self
    }

    /// What is set on TCP sockets.
    pub fn tcp(mut self, tcp: TcpOptions) -> Self {
        self.dial.tcp = tcp;
        self
    }

    /// Adds something that sees every call.
    pub fn interceptor(mut self, interceptor: impl Interceptor) -> Self {
        self.interceptors.push(Box::new(interceptor));
        self
    }

    /// Connects to `address` (`host:port`) now.
    ///
    /// # Errors
    /// See [`ConnectError`].
    ///
    /// # Cancel safety
    /// Dropping the future drops the connection.
    pub async fn connect(self, address: impl ToString) -> Result<Client, ConnectError> {
        let address = address.to_string();
        let link = Link::spawn(self.dial.dial_tcp(&address).await?);
        Ok(self.client(address, Ok(link)))
    }

    /// Connects through `connector` now. `address` goes into the request's `Host` header and into
    /// errors.
    ///
    /// # Errors
    /// See [`ConnectError`].
    ///
    /// # Cancel safety
    /// Dropping the future drops the connection.
    pub async fn connect_with<C: Connector>(
        self,
        connector: C,
        address: impl ToString,
    ) -> Result<Client, ConnectError> {
        let address = address.to_string();
        let link = Link::spawn(self.dial.dial_with(&connector, &address).await?);
        Ok(self.client(address, Ok(link)))
    }

    /// Runs over a stream that is open already.
    ///
    /// # Errors
    /// See [`ConnectError`].
    ///
    /// # Cancel safety
    /// Dropping the future drops the stream.
    pub async fn over<IO>(self, io: IO) -> Result<Client, ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let address = "localhost";
        let link = Link::spawn(self.dial.handshake(io, address).await?);
        Ok(self.client(address.into(), Ok(link)))
    }

    /// Connects to `address` (`host:port`) at the first call.
    #[must_use]
    pub fn lazy(self, address: impl ToString) -> Client {
        let address = address.to_string();
        let (dial, to) = (self.dial.clone(), address.clone());
        let dialler: Dialler = Box::new(move || {
            let (dial, to) = (dial.clone(), to.clone());
            Box::pin(async move { Ok(Link::spawn(dial.dial_tcp(&to).await?)) })
        });
        self.client(address, Err(dialler))
    }

    /// Connects through `connector` at the first call.
    #[must_use]
    pub fn lazy_with<C: Connector>(self, connector: C, address: impl ToString) -> Client {
        let address = address.to_string();
        let with = Arc::new((self.dial.clone(), connector, address.clone()));
        let dialler: Dialler = Box::new(move || {
            let with = with.clone();
            Box::pin(async move {
                let (dial, connector, address) = &*with;
                Ok(Link::spawn(dial.dial_with(connector, address).await?))
            })
        });
        self.client(address, Err(dialler))
    }

    fn client(self, address: String, link: Result<Link, Dialler>) -> Client {
        let (link, dialler) = match link {
            Ok(link) => (OnceLock::from(Arc::new(link)), None),
            Err(dialler) => (OnceLock::new(), Some(dialler)),
        };
        let Self { dial: DialConfig { formats, .. }, timeout, interceptors } = self;
        let peer = address.into();
        let dialling = Default::default();
        Client {
            endpoint: Arc::new(Endpoint { peer, timeout, interceptors, formats, link, dialler, dialling }),
        }
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers may hold credentials.
        f.debug_struct("Builder")
            .field("path", &self.dial.path)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
