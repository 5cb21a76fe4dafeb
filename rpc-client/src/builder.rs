//! The settings of a client.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use rpc_core::handshake::Entry;
use rpc_core::{Format, Limits};
use rpc_io::TcpOptions;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::client::Client;
use crate::connect_error::ConnectError;
use crate::connection::PingTimes;
use crate::dial::{Connector, DialConfig, Hijacked, without_secrets};
use crate::endpoint::{Dialler, Endpoint, Settings};
use crate::interceptor::Interceptor;
use crate::link::Link;
#[cfg(feature = "proxy")]
use crate::proxy::Proxy;
use crate::reconnect::Reconnect;
#[cfg(feature = "tls")]
use crate::tls::ClientTls;

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
    ping: PingTimes,
    reconnect: Reconnect,
    timeout: Option<Duration>,
    interceptors: Vec<Box<dyn Interceptor>>,
}

impl Builder {
    /// The time of a call that sets none itself. Default: none, as with gRPC; set it.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The time to open a TCP connection, over all addresses of the name, and through a proxy if there is
    /// one. Default 10 s.
    pub fn dial_timeout(mut self, timeout: Duration) -> Self {
        self.dial.dial_timeout = timeout;
        self
    }

    /// The time for the server to answer CONNECT. Default 10 s (Go: `ResponseHeaderTimeout`).
    pub fn answer_timeout(mut self, timeout: Duration) -> Self {
        self.dial.answer_timeout = timeout;
        self
    }

    /// The path that is asked for. Default `/_rpc_`.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.dial.path = path.into();
        self
    }

    /// How RPC is asked for. Default: by CONNECT. [`Entry::Upgrade`] goes through what does not pass CONNECT on, as nginx
    /// and load balancers of clouds; the server has to let it in (`Builder::upgrade` of `rpc-server`).
    /// [`Entry::WebSocket`], with the feature `websocket`, goes through what passes nothing else (`Builder::websocket`
    /// there).
    pub fn entry(mut self, entry: Entry) -> Self {
        self.dial.entry = entry;
        self
    }

    /// Asks by HTTP/2: each connection is one stream of a connection of HTTP/2 (extended CONNECT of RFC 8441 where the
    /// server knows it, plain CONNECT otherwise), for servers and proxies that speak nothing else. Default: no. What
    /// [`entry`](Self::entry) says counts for nothing then, and neither does [`hijack`](Self::hijack) heed this.
    #[cfg(feature = "http2")]
    pub fn http2(mut self, http2: bool) -> Self {
        self.dial.http2 = http2;
        self
    }

    /// Adds a header to the request: credentials, for example.
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

    /// Bytes of items that a stream's answer may carry before they are taken, each counted as 32 more.
    /// Default 512 KiB, from 64 KiB to 2,147,483,647 bytes. The memory that a stream may take here is this and its
    /// largest item; on a link with much delay it bounds the rate of a stream.
    pub fn stream_window(mut self, bytes: u32) -> Self {
        self.dial.limits.window = bytes;
        self
    }

    /// How long the server may say nothing before it is asked whether it is there. Default 30 s, at
    /// least 1 s, for a server bears no more; `None`: it is never asked, and a connection whose other
    /// end is gone without a word may wait for an answer for ever.
    pub fn ping_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.ping.interval = interval.into().map(|interval| interval.max(Duration::from_secs(1)));
        self
    }

    /// How long a server that was asked whether it is there may take to say anything. Default 10 s, at
    /// least 10 ms; then the connection is lost. The calls of a dead server thus end within both times
    /// together.
    pub fn ping_timeout(mut self, timeout: Duration) -> Self {
        self.ping.timeout = timeout.max(Duration::from_millis(10));
        self
    }

    /// Whether a connection that is lost is made again. Default: yes; not for a client over a stream
    /// that was given to it ([`over`](Self::over)).
    pub fn reconnect(mut self, reconnect: bool) -> Self {
        self.reconnect.enabled = reconnect;
        self
    }

    /// The waits between failed attempts to connect: the first one, and the longest. Each is 1.6 times
    /// the one before, and up to a fifth more or less, so that many clients do not come all at once
    /// (gRPC's rule). Default 100 ms and 30 s, at least 1 ms.
    ///
    /// A connection that is lost is made again at once, unless it and one before lasted no longer than
    /// the first wait: then they count as failed attempts.
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        (self.reconnect.first, self.reconnect.most) = (first, longest);
        self
    }

    /// What becomes of a call when the last attempt to connect has failed: it waits for a connection
    /// as long as its time allows (`true`), or fails at once with the reason (`false`, the default, as
    /// with gRPC). While an attempt is under way, calls wait for it in any case.
    ///
    /// With `true`, set a [`timeout`](Self::timeout) too. It needs [`reconnect`](Self::reconnect): without
    /// it, nobody tries again while a call waits.
    pub fn wait_for_ready(mut self, wait: bool) -> Self {
        self.reconnect.wait_for_ready = wait;
        self
    }

    /// What random choices (how the waits vary) start from, so that a simulation replays. Default:
    /// random.
    pub fn seed(mut self, seed: u64) -> Self {
        self.reconnect.seed = Some(seed);
        self
    }

    /// What is set on TCP sockets.
    pub fn tcp(mut self, tcp: TcpOptions) -> Self {
        self.dial.tcp = tcp;
        self
    }

    /// The forward proxy that connections go through. Default: none, whatever the environment says.
    ///
    /// Unix sockets are connected to without it, and so is what [`connect_with`](Self::connect_with) and
    /// [`over`](Self::over) are given.
    #[cfg(feature = "proxy")]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.dial.proxy = Some(proxy);
        self
    }

    /// How TLS is spoken: to addresses with `https://`, and to those without a scheme once this is
    /// set. Default: what the platform trusts is trusted, and no certificate shown. `http://` and
    /// `unix:` are without TLS; give [`connect_with`](Self::connect_with) an address with
    /// `https://` for a Unix socket that has it.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: ClientTls) -> Self {
        (self.dial.tls, self.dial.tls_is_set) = (tls, true);
        self
    }

    /// The time for a TLS handshake. Default 10 s (Go: `TLSHandshakeTimeout`).
    #[cfg(feature = "tls")]
    pub fn tls_handshake_timeout(mut self, timeout: Duration) -> Self {
        self.dial.tls_handshake_timeout = timeout;
        self
    }

    /// Adds something that sees every call.
    pub fn interceptor(mut self, interceptor: impl Interceptor) -> Self {
        self.interceptors.push(Box::new(interceptor));
        self
    }

    /// Connects to `address` now: `host:port`, `http://host:port`, `https://host:port` (feature
    /// `tls`) or `unix:/path/to/socket`. A URL's port is 80 or 443 when it is left out, and its
    /// path, when it has one, takes the place of [`path`](Self::path). An attempt that fails is not
    /// repeated; a connection that is lost later is made again.
    ///
    /// # Errors
    /// See [`ConnectError`].
    ///
    /// # Cancel safety
    /// Dropping the future drops the connection.
    pub async fn connect(self, address: impl ToString) -> Result<Client, ConnectError> {
        let address: Arc<str> = address.to_string().into();
        let dialler = self.address_dialler(address.clone());
        let link = dialler().await?;
        Ok(self.client(address, Some(link), Some(dialler)))
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
        let address: Arc<str> = address.to_string().into();
        let dialler = self.dialler(connector, address.clone());
        let link = dialler().await?;
        Ok(self.client(address, Some(link), Some(dialler)))
    }

    /// Dials, sends the head of `request`, and hands the connection over with the head of its answer (Go:
    /// `httputil.ClientConn.Hijack`): for raw streams beside RPC, on the paths where a server has them.
    ///
    /// Of the settings, those of dialling count: the timeouts of dialling and answering, TCP's,
    /// TLS's, and the headers, which are added to those of the request that have no such name. What
    /// is then done on the connection is the caller's, timeouts included.
    ///
    /// ```no_run
    /// # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
    /// use rpc_client::{Client, Hijacked, http};
    /// use tokio::io::AsyncReadExt;
    ///
    /// let request = http::Request::get("/attach").header("upgrade", "tcp").body(())?;
    /// let Hijacked { status, mut stream, .. } = Client::builder().hijack("localhost:1234", request).await?;
    /// assert_eq!(status, http::StatusCode::SWITCHING_PROTOCOLS);
    /// let mut first = [0; 64];
    /// let count = stream.read(&mut first).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// See [`ConnectError`]. An answer of any status is none.
    ///
    /// # Cancel safety
    /// Dropping the future drops the connection.
    pub async fn hijack(
        self,
        address: impl ToString,
        request: http::Request<()>,
    ) -> Result<Hijacked, ConnectError> {
        let dial = DialConfig {
            #[cfg(feature = "http2")]
            http2: false,
            ..self.dial
        };
        dial.hijack(&address.to_string(), request).await
    }

    /// Runs over a stream that is open already. When it is lost, no other follows. The server at
    /// its other end is called `localhost`, and spoken to by TLS if `tls` was set.
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
        let link = self.dial.dial_over(io, address, self.ping).await?;
        Ok(self.client(address.into(), Some(link), None))
    }

    /// Connects to `address`, as [`connect`](Self::connect) takes it, at the first call.
    #[must_use]
    pub fn lazy(self, address: impl ToString) -> Client {
        let address: Arc<str> = address.to_string().into();
        let dialler = self.address_dialler(address.clone());
        self.client(address, None, Some(dialler))
    }

    /// Connects through `connector` at the first call.
    #[must_use]
    pub fn lazy_with<C: Connector>(self, connector: C, address: impl ToString) -> Client {
        let address: Arc<str> = address.to_string().into();
        let dialler = self.dialler(connector, address.clone());
        self.client(address, None, Some(dialler))
    }

    fn address_dialler(&self, address: Arc<str>) -> Dialler {
        let (dial, ping) = (Arc::new(self.dial.clone()), self.ping);
        Box::new(move || {
            let (dial, address) = (dial.clone(), address.clone());
            Box::pin(async move { dial.dial(&address, ping).await })
        })
    }

    fn dialler<C: Connector>(&self, connector: C, address: Arc<str>) -> Dialler {
        let (with, ping) = (Arc::new((self.dial.clone(), connector)), self.ping);
        Box::new(move || {
            let (with, address) = (with.clone(), address.clone());
            Box::pin(async move {
                let (dial, connector) = &*with;
                dial.dial_with(connector, &address, ping).await
            })
        })
    }

    fn client(self, peer: Arc<str>, link: Option<Arc<Link>>, dialler: Option<Dialler>) -> Client {
        let Self { dial: DialConfig { formats, .. }, reconnect, timeout, interceptors, .. } = self;
        let peer = without_secrets(&peer).into();
        let settings = Settings { peer, timeout, interceptors, formats, reconnect };
        Client { endpoint: Endpoint::new(settings, link, dialler) }
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers may hold credentials.
        f.debug_struct("Builder")
            .field("path", &self.dial.shown_path())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
