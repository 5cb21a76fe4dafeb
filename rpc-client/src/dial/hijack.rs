//! Connections that are taken over after one request (Go: `httputil.ClientConn.Hijack`).

use std::fmt;

use http::{HeaderMap, StatusCode, Version};
use rpc_core::handshake::{AnswerError, HeadBuffer, check_first_bytes, parse_response, write_request};
use rpc_io::{Head, HeadError, Stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::exchange::{send, telling};
use super::{AddressError, DialConfig, Opened, Request};
use crate::connect_error::ConnectError;

/// What a server answered to a request, and the connection, which belongs to the caller.
#[non_exhaustive]
pub struct Hijacked {
    /// The answer's status, whichever it is. Informational ones (100, 103) are passed over; 101 is
    /// the end of HTTP.
    pub status: StatusCode,
    /// The answer's version: 1.0 or 1.1.
    pub version: Version,
    /// The answer's headers.
    pub headers: HeaderMap,
    /// The connection. What came behind the answer's head is read first: the beginning of its body,
    /// of whatever length the headers say, or of another protocol.
    pub stream: Stream,
}

impl fmt::Debug for Hijacked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hijacked")
            .field("status", &self.status)
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

impl DialConfig {
    /// Dials, sends the request's head, and reads that of its answer.
    pub(crate) async fn hijack(
        &self,
        address: &str,
        request: http::Request<()>,
    ) -> Result<Hijacked, ConnectError> {
        let target = self.target(address)?;
        if target.path.is_some() {
            return Err(ConnectError::Address { address: target.name, source: AddressError::Path });
        }
        let (mut parts, ()) = request.into_parts();
        for name in self.headers.keys().filter(|name| !parts.headers.contains_key(*name)).collect::<Vec<_>>()
        {
            for value in self.headers.get_all(name) {
                parts.headers.append(name, value.clone());
            }
        }
        let mut head = Vec::new();
        write_request(&parts, &target.authority, &mut head)
            .map_err(|source| ConnectError::Settings { address: target.name.clone(), source })?;
        let request = self.addressed(&target, parts.uri.path(), head).await?;
        match self.open(&target).await? {
            Opened::Tcp(io) => self.take_over(io, request).await,
            #[cfg(unix)]
            Opened::Unix(io) => self.take_over(io, request).await,
        }
    }

    async fn take_over<IO>(&self, io: IO, request: Request<'_>) -> Result<Hijacked, ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        #[cfg(feature = "tls")]
        if let Some(handshake) = &request.tls {
            let io = self.secure(io, request.address, handshake).await?;
            return self.ask(io, request).await;
        }
        self.ask(io, request).await
    }

    async fn ask<IO>(&self, mut io: IO, request: Request<'_>) -> Result<Hijacked, ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut buffer = HeadBuffer::default();
        let answered = timeout(self.answer_timeout, answer(&mut io, &mut buffer, &request.head)).await;
        let (head, rest) = match answered {
            Ok(Ok(answered)) => answered,
            Ok(Err(error)) => return Err(self.not_answered(request, &buffer, error)),
            Err(_) => return Err(self.answered_late(request)),
        };
        let stream = Stream::new(io, rest);
        Ok(Hijacked { status: head.status, version: head.version, headers: head.headers, stream })
    }
}

/// The final answer, and what came behind it.
async fn answer<IO>(
    io: &mut IO,
    buffer: &mut HeadBuffer,
    request: &[u8],
) -> Result<(http::response::Parts, Vec<u8>), HeadError<AnswerError>>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut sent = send(io, request).await.err();
    let mut rest = Vec::new();
    loop {
        let Head { head, rest: behind } = match buffer.push(&rest).map_err(HeadError::TooLarge)? {
            Some(whole) => Head { head: whole.head, rest: whole.rest.to_vec() },
            None => match rpc_io::read_head(io, buffer, check_first_bytes).await {
                // A server that has hung up unread may have answered all the same.
                Err(HeadError::Io(error)) if buffer.is_empty() => {
                    return Err(HeadError::Io(telling(error, sent.take())));
                }
                read => read?,
            },
        };
        rest = behind;
        let answer = parse_response(&head).map_err(HeadError::Refused)?;
        if !answer.status.is_informational() || answer.status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok((answer, rest));
        }
    }
}
