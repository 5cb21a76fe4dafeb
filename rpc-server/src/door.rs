//! The HTTP phase of a connection: who may enter, and what everybody else is told.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use http::Method;
use http::request::Parts;
use rpc_core::Peer;
use rpc_core::handshake::{HeadBuffer, Refusal, Terms, negotiate, parse_request, write_acceptance};
use rpc_core::input::Input;
use rpc_core::output::Output;
use rpc_io::{Head, HeadError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::connection::Connection;
use crate::error::ConnectionError;
use crate::linger::linger;
use crate::room::{Place, Refused};
use crate::state::State;

/// Where one connection comes in.
pub(crate) struct Door {
    server: Arc<State>,
    from: Option<SocketAddr>,
}

/// What a head is answered with, other than by hijacking.
enum Answer {
    Refusal(Refusal),
    #[cfg(feature = "debug-page")]
    Page(Box<http::Response<Vec<u8>>>),
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Answer::Refusal(refusal)
    }
}

impl Door {
    pub(crate) fn new(server: Arc<State>, from: Option<SocketAddr>) -> Self {
        Self { server, from }
    }

    /// Answers the request head; the right one opens a connection, which this then serves.
    pub(crate) async fn enter<IO>(self, mut io: IO) -> Result<(), ConnectionError>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin,
    {
        let config = &self.server.config;
        let _place = match Place::take(&self.server, self.from) {
            Ok(place) => place,
            Err(why) => {
                let refusal = Refusal::service_unavailable(why);
                let Some(_told) = Refused::new(&self.server) else {
                    return Err(ConnectionError::Refused(refusal));
                };
                return answer(&mut io, refusal.into(), false).await;
            }
        };
        let mut buffer = HeadBuffer::new(config.max_head);
        let read = rpc_io::read_head(&mut io, &mut buffer, |_| Ok::<_, Refusal>(()));
        let read = timeout(config.head_timeout, read);
        let read = self.server.shutdown.drain.run_until_cancelled(read).await;
        let Head { head, rest } = match read.unwrap_or(Ok(Err(HeadError::Refused(shutting_down())))) {
            Ok(Ok(head)) => head,
            // A probe that connects and goes away has asked for nothing.
            Ok(Err(HeadError::Io(error))) => match error.kind() {
                io::ErrorKind::UnexpectedEof if buffer.is_empty() => return Ok(()),
                _ => return Err(ConnectionError::Io(error)),
            },
            Ok(Err(HeadError::TooLarge(large))) => return answer(&mut io, large_refusal(large), false).await,
            Ok(Err(HeadError::Refused(refusal))) => return answer(&mut io, refusal.into(), false).await,
            Err(_) => {
                let refusal = Refusal::request_timeout("the request head did not arrive in time");
                return answer(&mut io, refusal.into(), false).await;
            }
        };
        let parts = match parse_request(&head) {
            Ok(parts) => parts,
            Err(refusal) => return answer(&mut io, refusal.into(), false).await,
        };
        match self.admit(&parts) {
            Ok(terms) => {
                let peer = Peer::new(self.from, parts.headers, terms.format);
                let mut input = Input::new(config.limits.max_frame);
                input.keep(&rest);
                let mut acceptance = Vec::new();
                write_acceptance(terms.format, config.limits, &mut acceptance);
                let server = self.server.clone();
                let mut connection = Connection::new(io, input, server, peer, terms.limits.max_frame);
                connection.accept(&acceptance);
                connection.run().await
            }
            Err(refused) => answer(&mut io, refused, parts.method == Method::HEAD).await,
        }
    }

    fn admit(&self, parts: &Parts) -> Result<Terms, Answer> {
        let config = &self.server.config;
        #[cfg(feature = "debug-page")]
        if config.debug_path.as_deref() == Some(parts.uri.path()) {
            return Err(crate::debug::page(&self.server, parts)
                .map_or_else(Answer::Refusal, |page| Answer::Page(Box::new(page))));
        }
        let terms = negotiate(parts, &config.path, &config.formats)?;
        if let Some(accept) = &config.accept {
            accept(parts, self.from)?;
        }
        Ok(terms)
    }
}

fn shutting_down() -> Refusal {
    Refusal::service_unavailable("the server is shutting down")
}

fn large_refusal(large: rpc_core::handshake::HeadTooLarge) -> Answer {
    Answer::Refusal(large.into())
}

async fn answer<IO>(io: &mut IO, answer: Answer, head_only: bool) -> Result<(), ConnectionError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut bytes = Vec::new();
    let result = match answer {
        Answer::Refusal(refusal) => {
            refusal.write(head_only, &mut bytes);
            tracing::debug!(status = refusal.status().as_u16(), message = refusal.message(), "refused");
            Err(ConnectionError::Refused(refusal))
        }
        #[cfg(feature = "debug-page")]
        Answer::Page(page) => {
            rpc_core::handshake::write_response(&page, head_only, &mut bytes);
            Ok(())
        }
    };
    let mut out = Output::default();
    out.extend(&bytes);
    linger(io, &mut out).await;
    result
}
