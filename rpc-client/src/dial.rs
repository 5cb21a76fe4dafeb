//! From an address to a connection that speaks frames.

mod addresses;
mod exchange;
mod hijack;
#[cfg(feature = "http2")]
mod http2;
#[cfg(feature = "proxy")]
mod proxy;
#[cfg(feature = "tls")]
mod secure;
mod target;
#[cfg(unix)]
mod unix;
#[cfg(feature = "websocket")]
mod websocket;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::uri::PathAndQuery;
#[cfg(feature = "http2")]
use http::uri::Scheme;
use rpc_core::handshake::{Connect, DEFAULT_PATH, Entry, Terms};
use rpc_core::input::Input;
use rpc_core::{Format, Limits};
use rpc_io::TcpOptions;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::connect_error::ConnectError;
use crate::connection::PingTimes;
use crate::link::Link;
#[cfg(feature = "proxy")]
use crate::proxy::Proxy;
#[cfg(feature = "tls")]
use crate::tls::ClientTls;

use addresses::dial_first;
pub use hijack::Hijacked;
#[cfg(feature = "tls")]
use secure::Handshake;
pub use target::AddressError;
pub(crate) use target::without_secrets;
use target::{Place, Target};

/// Makes the byte stream that a connection runs on.
///
/// The default is TCP. Simulations, tunnels and tests bring their own.
pub trait Connector: Send + Sync + 'static {
    /// The stream.
    type Io: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Opens a stream.
    ///
    /// # Errors
    /// Whatever keeps it from doing so; reported as [`ConnectError::ConnectionRefused`],
    /// [`Unreachable`](ConnectError::Unreachable) or [`Dial`](ConnectError::Dial), by its kind.
    fn connect(&self) -> impl Future<Output = io::Result<Self::Io>> + Send;
}

/// How connections are made; see the methods of [`Builder`](crate::Builder).
#[derive(Clone, Debug)]
pub(crate) struct DialConfig {
    pub(crate) dial_timeout: Duration,
    pub(crate) answer_timeout: Duration,
    pub(crate) path: String,
    pub(crate) entry: Entry,
    #[cfg(feature = "http2")]
    pub(crate) http2: bool,
    pub(crate) headers: HeaderMap,
    pub(crate) formats: Vec<Format>,
    pub(crate) limits: Limits,
    pub(crate) tcp: TcpOptions,
    #[cfg(feature = "proxy")]
    pub(crate) proxy: Option<Proxy>,
    #[cfg(feature = "tls")]
    pub(crate) tls: ClientTls,
    /// It is not the default, but what was asked for.
    #[cfg(feature = "tls")]
    pub(crate) tls_is_set: bool,
    #[cfg(feature = "tls")]
    pub(crate) tls_handshake_timeout: Duration,
}

impl Default for DialConfig {
    fn default() -> Self {
        Self {
            dial_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(10),
            path: DEFAULT_PATH.into(),
            entry: Entry::Connect,
            #[cfg(feature = "http2")]
            http2: false,
            headers: HeaderMap::new(),
            formats: vec![Format::Bincode],
            limits: Limits::default(),
            tcp: TcpOptions::default(),
            #[cfg(feature = "proxy")]
            proxy: None,
            #[cfg(feature = "tls")]
            tls: ClientTls::default(),
            #[cfg(feature = "tls")]
            tls_is_set: false,
            #[cfg(feature = "tls")]
            tls_handshake_timeout: Duration::from_secs(10),
        }
    }
}

/// A stream on which the server has answered `200 Connected`.
pub(crate) struct Dialled<IO> {
    pub(crate) io: IO,
    /// Holds what came right behind the answer.
    pub(crate) input: Input,
    pub(crate) terms: Terms,
    /// What the server was told that this side takes.
    pub(crate) own: Limits,
}

/// What the server is asked, ready to be sent.
struct Request<'a> {
    address: &'a str,
    /// Without its query, which may hold a secret: for errors.
    path: String,
    head: Vec<u8>,
    /// In place of the head.
    #[cfg(feature = "http2")]
    http2: Option<http::Request<http_body_util::Empty<bytes::Bytes>>>,
    /// How TLS is spoken, if it is.
    #[cfg(feature = "tls")]
    tls: Option<Handshake>,
}

impl Request<'_> {
    fn is_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        return false;
    }
}

/// A stream to the server, on which nothing was said yet.
enum Opened {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl DialConfig {
    /// A connection to this address, in a task of its own.
    pub(crate) async fn dial(&self, address: &str, ping: PingTimes) -> Result<Arc<Link>, ConnectError> {
        let target = self.target(address)?;
        let request = self.request(&target).await?;
        match self.open(&target).await? {
            Opened::Tcp(io) => self.link(io, request, ping).await,
            #[cfg(unix)]
            Opened::Unix(io) => self.link(io, request, ping).await,
        }
    }

    pub(crate) async fn dial_with<C: Connector>(
        &self,
        connector: &C,
        address: &str,
        ping: PingTimes,
    ) -> Result<Arc<Link>, ConnectError> {
        let target = self.target(address)?;
        let request = self.request(&target).await?;
        let io = self.connect(&target, connector.connect()).await?;
        self.link(io, request, ping).await
    }

    /// The same over a stream that is open.
    pub(crate) async fn dial_over<IO>(
        &self,
        io: IO,
        address: &str,
        ping: PingTimes,
    ) -> Result<Arc<Link>, ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let target = self.target(address)?;
        let request = self.request(&target).await?;
        self.link(io, request, ping).await
    }

    /// Asks for RPC, by TLS if that is how the server is spoken to.
    async fn link<IO>(&self, io: IO, request: Request<'_>, ping: PingTimes) -> Result<Arc<Link>, ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        #[cfg(feature = "tls")]
        if let Some(handshake) = &request.tls {
            let io = self.secure(io, request.address, handshake).await?;
            return self.link_on(io, request, ping).await;
        }
        self.link_on(io, request, ping).await
    }

    /// Asks for RPC on this stream.
    #[cfg_attr(not(feature = "http2"), allow(unused_mut, reason = "for HTTP/2"))]
    async fn link_on<IO>(
        &self,
        io: IO,
        mut request: Request<'_>,
        ping: PingTimes,
    ) -> Result<Arc<Link>, ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        #[cfg(feature = "http2")]
        if let Some(asked) = request.http2.take() {
            return Ok(Link::spawn(self.exchange_http2(io, request, asked).await?, ping));
        }
        #[cfg(feature = "websocket")]
        if self.entry == Entry::WebSocket {
            return Ok(Link::spawn(self.exchange_websocket(io, request).await?, ping));
        }
        Ok(Link::spawn(self.exchange(io, request).await?, ping))
    }

    /// Opens the stream that the target names.
    async fn open(&self, target: &Target) -> Result<Opened, ConnectError> {
        let address = &target.name;
        Ok(match &target.place {
            Place::Tcp(to) => {
                #[cfg(feature = "proxy")]
                if let Some(stream) = self.tunnel(target, to).await? {
                    return Ok(Opened::Tcp(stream));
                }
                Opened::Tcp(self.tcp_stream(address, to).await?)
            }
            Place::Nowhere(source) => {
                return Err(ConnectError::Address { address: address.clone(), source: *source });
            }
            #[cfg(unix)]
            Place::Unix(file) => Opened::Unix(self.connect(target, unix::connect(file)).await?),
            #[cfg(not(unix))]
            Place::Unix(_) => {
                return Err(ConnectError::Address { address: address.clone(), source: AddressError::NoUnix });
            }
        })
    }

    /// Connects to `host:port`, which errors call `address`.
    async fn tcp_stream(&self, address: &str, to: &str) -> Result<TcpStream, ConnectError> {
        let resolve = async { Ok(tokio::net::lookup_host(to).await?.collect()) };
        let tcp = self.tcp;
        let connect = |to| async move {
            let stream = TcpStream::connect(to).await?;
            tcp.apply(&stream)?;
            Ok(stream)
        };
        dial_first(address, self.dial_timeout, resolve, connect).await
    }

    /// One attempt, within the time for dialling.
    async fn connect<IO>(
        &self,
        target: &Target,
        connecting: impl Future<Output = io::Result<IO>>,
    ) -> Result<IO, ConnectError> {
        match timeout(self.dial_timeout, connecting).await {
            Ok(connected) => connected.map_err(|source| ConnectError::dial(&target.name, source)),
            Err(_) => {
                let address = target.name.clone();
                Err(ConnectError::DialTimeout { address, after: self.dial_timeout })
            }
        }
    }

    /// A request with this head, and what it takes to send it.
    async fn addressed<'a>(
        &self,
        target: &'a Target,
        path: &str,
        head: Vec<u8>,
    ) -> Result<Request<'a>, ConnectError> {
        Ok(Request {
            address: &target.name,
            path: path.to_owned(),
            head,
            #[cfg(feature = "http2")]
            http2: None,
            #[cfg(feature = "tls")]
            tls: if target.tls { Some(self.handshake(target).await?) } else { None },
        })
    }

    fn target(&self, address: &str) -> Result<Target, ConnectError> {
        let target = Target::parse(address)?;
        // Who has set TLS does not want to speak without it because of a scheme that was left out.
        #[cfg(feature = "tls")]
        let target = Target { tls: target.tls || target.is_bare && self.tls_is_set, ..target };
        Ok(target)
    }

    /// The path, without its query, which may hold a secret.
    pub(crate) fn shown_path(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }

    /// Made before anything is dialled, so that settings that cannot work are told at once.
    async fn request<'a>(&self, target: &'a Target) -> Result<Request<'a>, ConnectError> {
        let address = &target.name;
        let path = match &target.path {
            Some(path) => path.clone(),
            None => self.path.parse::<PathAndQuery>().map_err(|source| ConnectError::Path {
                address: address.clone(),
                path: self.shown_path().to_owned(),
                source,
            })?,
        };
        let mut head = Vec::new();
        let connect = Connect {
            path: &path,
            authority: &target.authority,
            formats: &self.formats,
            limits: self.limits,
            headers: &self.headers,
        };
        let needs = match self.entry {
            #[cfg(feature = "websocket")]
            Entry::WebSocket => websocket::headers(),
            #[cfg(not(feature = "websocket"))]
            Entry::WebSocket => return Err(ConnectError::NoWebSocket { address: address.clone() }),
            _ => HeaderMap::new(),
        };
        let written = connect.write_by(self.entry, &needs, &mut head);
        let settings = |source| ConnectError::Settings { address: address.clone(), source };
        written.map_err(settings)?;
        #[cfg(feature = "http2")]
        if self.http2 {
            let scheme = if target.tls { Scheme::HTTPS } else { Scheme::HTTP };
            let headers = connect.to_headers().map_err(settings)?;
            let http2 = Some(http2::request(scheme, &target.authority, &path, headers));
            return Ok(Request { http2, ..self.addressed(target, path.path(), head).await? });
        }
        self.addressed(target, path.path(), head).await
    }
}
