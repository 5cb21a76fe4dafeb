//! From an address to a connection that speaks frames.

use std::future::Future;
use std::io;
use std::time::Duration;

use http::HeaderMap;
use http::uri::{Authority, PathAndQuery};
use rpc_core::handshake::{
    AnswerError, Connect, DEFAULT_PATH, HeadBuffer, Terms, check_first_bytes, parse_answer,
};
use rpc_core::input::Input;
use rpc_core::{Format, Limits};
use rpc_io::{HeadError, TcpOptions};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::connect_error::ConnectError;

/// Makes the byte stream that a connection runs on.
///
/// The default is TCP. Simulations, tunnels and tests bring their own.
pub trait Connector: Send + Sync + 'static {
    /// The stream.
    type Io: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Opens a stream.
    ///
    /// # Errors
    /// Whatever keeps it from doing so; reported as [`ConnectError::Dial`].
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

impl DialConfig {
    pub(crate) async fn dial_tcp(&self, address: &str) -> Result<Dialled<TcpStream>, ConnectError> {
        let request = self.request(address)?;
        let resolve = |source| ConnectError::Resolve { address: address.into(), source };
        let dial = |source| ConnectError::Dial { address: address.into(), source };
        let connect = async {
            let places: Vec<_> = tokio::net::lookup_host(address).await.map_err(resolve)?.collect();
            let stream = TcpStream::connect(&places[..]).await.map_err(dial)?;
            self.tcp.apply(&stream).map_err(dial)?;
            Ok(stream)
        };
        let stream = self.within_dial_timeout(address, connect).await?;
        self.exchange(stream, address, &request).await
    }

    pub(crate) async fn dial_with<C: Connector>(
        &self,
        connector: &C,
        address: &str,
    ) -> Result<Dialled<C::Io>, ConnectError> {
        let request = self.request(address)?;
        let connect = async {
            let dial = |source| ConnectError::Dial { address: address.into(), source };
            connector.connect().await.map_err(dial)
        };
        let io = self.within_dial_timeout(address, connect).await?;
        self.exchange(io, address, &request).await
    }

    async fn within_dial_timeout<IO>(
        &self,
        address: &str,
        dial: impl Future<Output = Result<IO, ConnectError>>,
    ) -> Result<IO, ConnectError> {
        timeout(self.dial_timeout, dial).await.unwrap_or_else(|_| {
            Err(ConnectError::DialTimeout { address: address.into(), after: self.dial_timeout })
        })
    }

    /// Sends CONNECT and reads the answer. What comes behind the answer is kept for the frames.
    pub(crate) async fn handshake<IO>(&self, io: IO, address: &str) -> Result<Dialled<IO>, ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        self.exchange(io, address, &self.request(address)?).await
    }

    async fn exchange<IO>(
        &self,
        mut io: IO,
        address: &str,
        request: &[u8],
    ) -> Result<Dialled<IO>, ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let exchange = async {
            io.write_all(request).await.map_err(HeadError::Io)?;
            io.flush().await.map_err(HeadError::Io)?;
            rpc_io::read_head(&mut io, &mut HeadBuffer::default(), check_first_bytes).await
        };
        let address = address.to_owned();
        let head = match timeout(self.answer_timeout, exchange).await {
            Ok(Ok(head)) => head,
            Ok(Err(HeadError::Io(source))) => return Err(ConnectError::Closed { address, source }),
            Ok(Err(HeadError::TooLarge(large))) => {
                return Err(ConnectError::Answer { address, source: large.into() });
            }
            Ok(Err(HeadError::Refused(source))) => return Err(ConnectError::Answer { address, source }),
            Err(_) => return Err(ConnectError::AnswerTimeout { address, after: self.answer_timeout }),
        };
        match parse_answer(&head.head, &self.formats) {
            Ok(terms) => {
                let mut input = Input::new(self.limits.max_frame);
                input.keep(&head.rest);
                Ok(Dialled { io, input, terms })
            }
            Err(AnswerError::Refused(mut refusal)) => {
                refusal.read_body(&read_some(&mut io, head.rest).await);
                Err(ConnectError::Answer { address, source: AnswerError::Refused(refusal) })
            }
            Err(source) => Err(ConnectError::Answer { address, source }),
        }
    }

    fn request(&self, address: &str) -> Result<Vec<u8>, ConnectError> {
        let path = self.path.parse::<PathAndQuery>();
        let path = path.map_err(|source| ConnectError::Path { path: self.path.clone(), source })?;
        let authority = address.parse::<Authority>();
        let authority =
            authority.map_err(|source| ConnectError::Address { address: address.into(), source })?;
        let mut request = Vec::new();
        let connect = Connect {
            path: &path,
            authority: &authority,
            formats: &self.formats,
            limits: self.limits,
            headers: &self.headers,
        };
        let written = connect.write(&mut request);
        written.map_err(|source| ConnectError::Settings { address: address.into(), source })?;
        Ok(request)
    }
}

/// What a refusal says for a person, as far as it comes within a second.
async fn read_some<IO: AsyncRead + Unpin>(io: &mut IO, mut some: Vec<u8>) -> Vec<u8> {
    let mut more = io.take(1024);
    let _ = timeout(Duration::from_secs(1), more.read_to_end(&mut some)).await;
    some
}
