//! From an address to a connection that speaks frames.

mod addresses;
mod exchange;

use std::future::Future;
use std::io;
use std::time::Duration;

use http::HeaderMap;
use http::uri::{Authority, PathAndQuery};
use rpc_core::handshake::{Connect, DEFAULT_PATH, Terms};
use rpc_core::input::Input;
use rpc_core::{Format, Limits};
use rpc_io::TcpOptions;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::connect_error::ConnectError;

use addresses::dial_first;

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
    pub(crate) headers: HeaderMap,
    pub(crate) formats: Vec<Format>,
    pub(crate) limits: Limits,
    pub(crate) tcp: TcpOptions,
}

impl Default for DialConfig {
    fn default() -> Self {
        Self {
            dial_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(10),
            path: DEFAULT_PATH.into(),
            headers: HeaderMap::new(),
            formats: vec![Format::Bincode],
            limits: Limits::default(),
            tcp: TcpOptions::default(),
        }
    }
}

/// A stream on which the server has answered `200 Connected`.
pub(crate) struct Dialled<IO> {
    pub(crate) io: IO,
    /// Holds what came right behind the answer.
    pub(crate) input: Input,
    pub(crate) terms: Terms,
}

/// What the server is asked, ready to be sent.
struct Request<'a> {
    address: &'a str,
    /// Without its query, which may hold a secret: for errors.
    path: String,
    head: Vec<u8>,
    /// What TCP needs of the address, and a connector perhaps does not.
    missing: Option<&'static str>,
}

impl DialConfig {
    pub(crate) async fn dial_tcp(&self, address: &str) -> Result<Dialled<TcpStream>, ConnectError> {
        let request = self.request(address)?;
        if let Some(missing) = request.missing {
            return Err(ConnectError::Incomplete { address: address.into(), missing });
        }
        let resolve = async { Ok(tokio::net::lookup_host(address).await?.collect()) };
        let tcp = self.tcp;
        let connect = |to| async move {
            let stream = TcpStream::connect(to).await?;
            tcp.apply(&stream)?;
            Ok(stream)
        };
        let stream = dial_first(address, self.dial_timeout, resolve, connect).await?;
        self.exchange(stream, request).await
    }

    pub(crate) async fn dial_with<C: Connector>(
        &self,
        connector: &C,
        address: &str,
    ) -> Result<Dialled<C::Io>, ConnectError> {
        let request = self.request(address)?;
        let io = match timeout(self.dial_timeout, connector.connect()).await {
            Ok(Ok(io)) => io,
            Ok(Err(source)) => return Err(ConnectError::dial(address, source)),
            Err(_) => {
                let address = address.into();
                return Err(ConnectError::DialTimeout { address, after: self.dial_timeout });
            }
        };
        self.exchange(io, request).await
    }

    /// Sends CONNECT and reads the answer. What comes behind the answer is kept for the frames.
    pub(crate) async fn handshake<IO>(&self, io: IO, address: &str) -> Result<Dialled<IO>, ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        self.exchange(io, self.request(address)?).await
    }

    /// Made before anything is dialled, so that settings that cannot work are told at once.
    fn request<'a>(&self, address: &'a str) -> Result<Request<'a>, ConnectError> {
        let path = self.path.parse::<PathAndQuery>().map_err(|source| ConnectError::Path {
            address: address.into(),
            path: self.path.clone(),
            source,
        })?;
        let authority = address.parse::<Authority>();
        let authority =
            authority.map_err(|source| ConnectError::Address { address: address.into(), source })?;
        let mut head = Vec::new();
        let connect = Connect {
            path: &path,
            authority: &authority,
            formats: &self.formats,
            limits: self.limits,
            headers: &self.headers,
        };
        let written = connect.write(&mut head);
        written.map_err(|source| ConnectError::Settings { address: address.into(), source })?;
        let missing = match authority.port_u16() {
            _ if authority.host().is_empty() => Some("host"),
            None => Some("port"),
            Some(_) => None,
        };
        Ok(Request { address, path: path.path().into(), head, missing })
    }
}
