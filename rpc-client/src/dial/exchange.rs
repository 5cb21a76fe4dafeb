//! CONNECT, and what is answered to it.

use std::io;
use std::time::Duration;

#[cfg(feature = "websocket")]
use rpc_core::handshake::Entry;
use rpc_core::handshake::{AnswerError, HeadBuffer, Terms, check_first_bytes, parse_answer};
use rpc_core::input::Input;
#[cfg(feature = "tls")]
use rpc_io::tls::TlsFailure;
use rpc_io::{Head, HeadError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

#[cfg(feature = "tls")]
use super::secure::{Handshake, is_alert};
#[cfg(feature = "websocket")]
use super::websocket;
use super::{DialConfig, Dialled, Request};
use crate::connect_error::ConnectError;

impl DialConfig {
    pub(super) async fn exchange<IO>(
        &self,
        mut io: IO,
        request: Request<'_>,
    ) -> Result<Dialled<IO>, ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let (terms, rest) = self.agree(&mut io, request).await?;
        let mut input = Input::new(self.limits.max_frame).with_spare(&rpc_io::SPARE);
        input.keep(&rest);
        Ok(Dialled { io, input, terms, own: self.limits })
    }

    /// What the server agrees to, and what came right behind its answer.
    pub(super) async fn agree<IO>(
        &self,
        io: &mut IO,
        request: Request<'_>,
    ) -> Result<(Terms, Vec<u8>), ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let mut buffer = HeadBuffer::default();
        let exchanged = timeout(self.answer_timeout, exchange(io, &mut buffer, &request.head)).await;
        let head = match exchanged {
            Ok(Ok(head)) => head,
            Ok(Err(error)) => return Err(self.not_answered(request, &buffer, error)),
            Err(_) => return Err(self.answered_late(request)),
        };
        let answered = parse_answer(self.entry, &head.head, &self.formats);
        #[cfg(feature = "websocket")]
        let answered = answered.and_then(|terms| match self.entry {
            Entry::WebSocket => websocket::check(&request.head, &head.head).map(|()| terms),
            _ => Ok(terms),
        });
        match answered {
            Ok(terms) => Ok((terms, head.rest)),
            Err(mut error) => {
                if let AnswerError::Refused(answer) | AnswerError::Proxy { answer, .. } = &mut error {
                    answer.read_body(&read_some(io, head.rest).await);
                }
                Err(self.answered(request, error))
            }
        }
    }

    pub(super) fn not_answered(
        &self,
        request: Request<'_>,
        buffer: &HeadBuffer,
        error: HeadError<AnswerError>,
    ) -> ConnectError {
        match error {
            HeadError::Io(source) => ended(&request, buffer, source),
            HeadError::TooLarge(large) => self.answered(request, large.into()),
            HeadError::Refused(error) => self.answered(request, error),
        }
    }

    pub(super) fn answered_late(&self, request: Request<'_>) -> ConnectError {
        ConnectError::AnswerTimeout { address: request.address.into(), after: self.answer_timeout }
    }

    pub(super) fn answered(&self, request: Request<'_>, error: AnswerError) -> ConnectError {
        let address = request.address.into();
        match error {
            AnswerError::Refused(source) => ConnectError::Refused { address, path: request.path, source },
            AnswerError::Proxy { proxy, answer } => ConnectError::Proxy { address, proxy, source: answer },
            AnswerError::WebPage { status, sender } => ConnectError::WebPage { address, status, sender },
            AnswerError::NotSwitched { status, sender } => {
                ConnectError::NotSwitched { address, status, sender }
            }
            AnswerError::Tls => ConnectError::ServerSpeaksTls { address },
            AnswerError::NotHttp(first_bytes) => ConnectError::OtherProtocol { address, first_bytes },
            AnswerError::Version(theirs) => ConnectError::Version { address, theirs },
            AnswerError::NoCommonFormat(theirs) => {
                let offered = self.formats.iter().map(|format| format.name()).collect::<Vec<_>>().join(", ");
                ConnectError::NoCommonFormat { address, offered, theirs }
            }
            AnswerError::Format(chosen) => ConnectError::FormatNotOffered { address, chosen },
            AnswerError::Limits(reason) => ConnectError::Limits { address, reason },
            AnswerError::Malformed(reason) => ConnectError::Malformed { address, reason },
            AnswerError::TooLarge(large) => ConnectError::Malformed { address, reason: large.to_string() },
            other => ConnectError::Malformed { address, reason: other.to_string() },
        }
    }
}

async fn exchange<IO>(
    io: &mut IO,
    buffer: &mut HeadBuffer,
    request: &[u8],
) -> Result<Head, HeadError<AnswerError>>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let sent = send(io, request).await;
    // A server that refused without reading has perhaps hung up already; its answer is here still, and says
    // more than the failure to write.
    match (rpc_io::read_head(io, buffer, check_first_bytes).await, sent) {
        (Err(HeadError::Io(reading)), sent) if buffer.is_empty() => {
            Err(HeadError::Io(telling(reading, sent.err())))
        }
        (read, _) => read,
    }
}

pub(super) async fn send<IO: AsyncWrite + Unpin>(io: &mut IO, request: &[u8]) -> io::Result<()> {
    io.write_all(request).await?;
    io.flush().await
}

/// Of the failures to read and to write the one that tells more: the first, unless the server said why over TLS.
pub(super) fn telling(reading: io::Error, sending: Option<io::Error>) -> io::Error {
    #[cfg(feature = "tls")]
    if is_alert(&reading) {
        return reading;
    }
    sending.unwrap_or(reading)
}

fn ended(request: &Request<'_>, buffer: &HeadBuffer, source: io::Error) -> ConnectError {
    const SHOWN: usize = 64;
    let address = request.address.into();
    #[cfg(feature = "tls")]
    if is_alert(&source) {
        let in_vain = request.tls.as_ref().is_some_and(Handshake::asked_in_vain);
        return ConnectError::TlsHandshake { address, source: TlsFailure::new(source, in_vain) };
    }
    if buffer.is_empty() {
        return ConnectError::Closed { address, tls: request.is_tls(), source };
    }
    let received = &buffer.bytes()[..buffer.bytes().len().min(SHOWN)];
    ConnectError::BrokenOff { address, received: received.escape_ascii().to_string(), source }
}

/// What a refusal says for a person, as far as it comes within a second.
async fn read_some<IO: AsyncRead + Unpin>(io: &mut IO, mut some: Vec<u8>) -> Vec<u8> {
    let mut more = io.take(1024);
    let _ = timeout(Duration::from_secs(1), more.read_to_end(&mut some)).await;
    some
}
