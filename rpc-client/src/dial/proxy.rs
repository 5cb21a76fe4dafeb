//! The way through a forward proxy.

use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use http::{StatusCode, Uri};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::rt::TokioIo;
use rpc_core::handshake::{AnswerError, Entry, HeadBuffer, check_first_bytes, parse_answer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tower_service::Service;

use super::{AddressError, DialConfig, Target};
use crate::connect_error::{ConnectError, ProxyError};
use crate::proxy::{Hop, Protocol};

impl DialConfig {
    /// A stream to `host:port` through the proxy, if this server has one.
    pub(super) async fn tunnel(&self, target: &Target, to: &str) -> Result<Option<TcpStream>, ConnectError> {
        let Some(proxy) = &self.proxy else { return Ok(None) };
        let address = &target.name;
        let scheme = if target.tls { "https" } else { "http" };
        let server: Uri = format!("{scheme}://{to}/").parse().map_err(|_| ConnectError::Address {
            address: address.clone(),
            source: AddressError::Malformed,
        })?;
        let opened = match proxy.hop(&server) {
            Ok(None) => return Ok(None),
            Ok(Some(hop)) => self.through(hop, server).await,
            Err(error) => Err(error),
        };
        opened.map(Some).map_err(|source| ConnectError::ForwardProxy { address: address.clone(), source })
    }

    async fn through(&self, hop: Hop, server: Uri) -> Result<TcpStream, ProxyError> {
        let started = Instant::now();
        let stream = self
            .tcp_stream(&hop.address, &hop.address)
            .await
            .map_err(|source| ProxyError::Unreachable { source: Box::new(source) })?;
        let heard = Arc::<Mutex<Heard>>::default();
        let given = hop.has_credentials();
        let is_http = matches!(hop.protocol, Protocol::Http(_));
        let open = Open(Some(TokioIo::new(Overheard { stream, heard: heard.clone() })));
        let opening = async {
            match hop.protocol {
                Protocol::Http(authorization) => {
                    let mut tunnel = Tunnel::new(hop.uri, open);
                    if let Some(value) = authorization {
                        tunnel = tunnel.with_auth(value);
                    }
                    tunnel.call(server).await.map_err(|error| error.to_string())
                }
                Protocol::Socks5(credentials) => {
                    let mut socks = SocksV5::new(hop.uri, open);
                    if let Some((user, password)) = credentials {
                        socks = socks.with_auth(user, password);
                    }
                    socks.call(server).await.map_err(|error| error.to_string())
                }
            }
        };
        let proxy = hop.address;
        match timeout(self.dial_timeout.saturating_sub(started.elapsed()), opening).await {
            Ok(Ok(io)) => Ok(io.into_inner().stream),
            Ok(Err(error)) => {
                let heard = std::mem::take(&mut *lock(&heard));
                Err(if is_http { heard.http(proxy, given, error) } else { heard.socks5(proxy, given, error) })
            }
            Err(_) => Err(ProxyError::Timeout { proxy, after: self.dial_timeout }),
        }
    }
}

/// What a proxy has said, and how the connection to it ended. The errors of hyper-util's parts do not tell.
#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    end: Option<io::Error>,
}

impl Heard {
    /// What kept an HTTP proxy from opening the way; `error` is what hyper-util calls it.
    fn http(self, proxy: String, given: bool, error: String) -> ProxyError {
        if let Ok(Some(whole)) = HeadBuffer::default().push(&self.bytes) {
            return match parse_answer(Entry::Connect, &whole.head, &[]) {
                Err(AnswerError::Refused(mut answer) | AnswerError::Proxy { mut answer, .. }) => {
                    if answer.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
                        return ProxyError::Unauthorized { proxy, given };
                    }
                    answer.read_body(whole.rest);
                    ProxyError::Refused { proxy, source: answer }
                }
                Err(other) => ProxyError::Malformed { proxy, reason: other.to_string() },
                Ok(_) => ProxyError::Malformed { proxy, reason: error },
            };
        }
        if let Err(other) = check_first_bytes(&self.bytes) {
            return ProxyError::Malformed { proxy, reason: other.to_string() };
        }
        self.ended(proxy, error)
    }

    /// The same of a SOCKS5 proxy.
    fn socks5(self, proxy: String, given: bool, error: String) -> ProxyError {
        match self.bytes[..] {
            [5, 0xff, ..] => ProxyError::Unauthorized { proxy, given },
            [5, 2, 1, status, ..] if status != 0 => ProxyError::Unauthorized { proxy, given },
            [5, 0, 5, reply, ..] | [5, 2, 1, 0, 5, reply, ..] if reply != 0 => {
                ProxyError::Reply { proxy, reply }
            }
            _ => self.ended(proxy, error),
        }
    }

    /// Keeps the error, and gives hyper-util its kind.
    fn ended_by(&mut self, error: io::Error) -> io::Error {
        let kind = error.kind();
        self.end = Some(error);
        kind.into()
    }

    fn ended(self, proxy: String, error: String) -> ProxyError {
        match self.end {
            Some(source) => ProxyError::Closed { proxy, source },
            None => {
                let began = self.bytes[..self.bytes.len().min(64)].escape_ascii();
                ProxyError::Malformed { proxy, reason: format!("{error}, it began with \"{began}\"") }
            }
        }
    }
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A stream to a proxy that is listened in on.
struct Overheard {
    stream: TcpStream,
    heard: Arc<Mutex<Heard>>,
}

impl AsyncRead for Overheard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        let mut heard = lock(&self.heard);
        Poll::Ready(match (read, &buf.filled()[before..]) {
            (Err(error), _) => Err(heard.ended_by(error)),
            (Ok(()), []) => {
                heard.end = Some(io::ErrorKind::UnexpectedEof.into());
                Ok(())
            }
            (Ok(()), bytes) => {
                heard.bytes.extend_from_slice(bytes);
                Ok(())
            }
        })
    }
}

impl AsyncWrite for Overheard {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = std::task::ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        Poll::Ready(written.map_err(|error| lock(&self.heard).ended_by(error)))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Hands out the stream that is open already: it was dialled as all others are, and fails as they do.
struct Open(Option<TokioIo<Overheard>>);

impl Service<Uri> for Open {
    type Response = TokioIo<Overheard>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(self.0.take().ok_or_else(|| io::ErrorKind::NotConnected.into()))
    }
}
