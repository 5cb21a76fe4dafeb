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

/// A connection that was let in. What the HTTP phase took is freed by now.
pub(crate) struct Entered<IO> {
    connection: Box<Connection<IO>>,
    place: Place,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Entered<IO> {
    /// Serves it until it ends.
    pub(crate) async fn serve(self) -> Result<(), ConnectionError> {
        let _place = self.place;
        self.connection.run().await
    }
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

/// Why there is no request.
enum NoRequest {
    /// A probe that connects and goes away has asked for nothing.
    Probe,
    Failed(io::Error),
    Refused(Refusal),
}

impl From<Refusal> for NoRequest {
    fn from(refusal: Refusal) -> Self {
        NoRequest::Refused(refusal)
    }
}

impl Door {
    pub(crate) fn new(server: Arc<State>, from: Option<SocketAddr>) -> Self {
        Self { server, from }
    }

    /// Answers the request head; the right one lets the connection in.
    pub(crate) async fn enter<IO>(self, mut io: IO) -> Result<Option<Entered<IO>>, ConnectionError>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin,
    {
        let place = match Place::take(&self.server, self.from) {
            Ok(place) => place,
            Err(why) => {
                let refusal = Refusal::service_unavailable(why);
                let Some(_told) = Refused::new(&self.server) else {
                    return Err(ConnectionError::Refused(refusal));
                };
                return answer(&mut io, refusal.into(), false).await;
            }
        };
        let (parts, rest) = match self.read_request(&mut io).await {
            Ok(request) => request,
            Err(NoRequest::Probe) => return Ok(None),
            Err(NoRequest::Failed(error)) => return Err(ConnectionError::Io(error)),
            Err(NoRequest::Refused(refusal)) => return answer(&mut io, refusal.into(), false).await,
        };
        let terms = match self.admit(&parts) {
            Ok(terms) => terms,
            Err(refused) => return answer(&mut io, refused, parts.method == Method::HEAD).await,
        };
        let config = &self.server.config;
        let peer = Peer::new(self.from, parts.headers, terms.format);
        let mut input = Input::new(config.limits.max_frame);
        input.keep(&rest);
        let mut acceptance = Vec::new();
        write_acceptance(terms.format, config.limits, &mut acceptance);
        let server = self.server.clone();
        let mut connection = Box::new(Connection::new(io, input, server, peer, terms.limits.max_frame));
        connection.accept(&acceptance);
        Ok(Some(Entered { connection, place }))
    }

    /// The request, and what came behind it.
    async fn read_request<IO>(&self, io: &mut IO) -> Result<(Parts, Vec<u8>), NoRequest>
    where
        IO: AsyncRead + Unpin,
    {
        let config = &self.server.config;
        let mut buffer = HeadBuffer::new(config.max_head);
        let read = rpc_io::read_head(io, &mut buffer, |_| Ok::<_, Refusal>(()));
        let read = timeout(config.head_timeout, read);
        let read = self.server.shutdown.drain.run_until_cancelled(read).await;
        let late = |_| Refusal::request_timeout("the request head did not arrive in time");
        match read.ok_or_else(shutting_down)?.map_err(late)? {
            Ok(Head { head, rest }) => Ok((parse_request(&head)?, rest)),
            Err(HeadError::Io(error)) => Err(match error.kind() {
                io::ErrorKind::UnexpectedEof if buffer.is_empty() => NoRequest::Probe,
                _ => NoRequest::Failed(error),
            }),
            Err(HeadError::TooLarge(large)) => Err(NoRequest::Refused(large.into())),
            Err(HeadError::Refused(refusal)) => Err(refusal.into()),
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

/// Answers one who is not let in.
async fn answer<IO, T>(io: &mut IO, answer: Answer, head_only: bool) -> Result<Option<T>, ConnectionError>
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
            Ok(None)
        }
    };
    let mut out = Output::default();
    out.extend(&bytes);
    linger(io, &mut out).await;
    result
}
