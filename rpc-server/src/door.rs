//! The HTTP phase of a connection: who may enter, and what everybody else is told.

use std::future::Future;
use std::io;
use std::sync::Arc;

use http::request::Parts;
use http::{Method, StatusCode};
use rpc_core::handshake::{
    HeadBuffer, Refusal, check_request_bytes, negotiate, parse_request, write_acceptance, write_response,
};
use rpc_core::input::Input;
use rpc_core::output::Output;
use rpc_core::{Origin, Peer};
use rpc_io::{Head, HeadError, Stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

use crate::authorize::check_origin;
use crate::connection::Connection;
use crate::error::ConnectionError;
use crate::guard::guarded;
use crate::linger::linger;
use crate::room::{Place, Refused};
use crate::route::{Boxed, Hijacked, Kind, Reply, Request};
use crate::state::State;

/// Where one connection comes in.
pub(crate) struct Door {
    server: Arc<State>,
    peer: Peer,
}

/// A connection on which HTTP has ended. What the HTTP phase took is freed by now.
pub(crate) struct Entered<IO> {
    server: Arc<State>,
    taker: Taker<IO>,
    place: Place,
}

/// Who has taken it over.
enum Taker<IO> {
    Rpc(Box<Connection<IO>>),
    Route(Boxed<()>),
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Entered<IO> {
    /// Serves it until it ends.
    pub(crate) async fn serve(self) -> Result<(), ConnectionError> {
        let Self { server, taker, place: _place } = self;
        match taker {
            Taker::Rpc(connection) => connection.run().await,
            Taker::Route(taker) => {
                let ended = server.shutdown.cancel.run_until_cancelled(guarded(taker)).await;
                match ended {
                    Some(ended) => ended.map_err(|_| ConnectionError::Panicked),
                    None => {
                        server.shutdown.count_cut_off();
                        Ok(())
                    }
                }
            }
        }
    }
}

/// What a request comes to.
enum Decision {
    Enter(Entrance),
    Reply(Reply),
}

/// On what terms RPC begins.
struct Entrance {
    origin: Origin,
    max_frame: u32,
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
    pub(crate) fn new(server: Arc<State>, peer: Peer) -> Self {
        Self { server, peer }
    }

    /// Answers the request head; the right one lets the connection in.
    pub(crate) async fn enter<IO>(self, mut io: IO) -> Result<Option<Entered<IO>>, ConnectionError>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let server = self.server.clone();
        let place = match Place::take(&server, self.peer.address) {
            Ok(place) => place,
            Err(why) => {
                let refusal = Refusal::service_unavailable(why);
                let Some(_told) = Refused::new(&server) else {
                    return Err(ConnectionError::Refused(refusal));
                };
                return self.refuse(&mut io, refusal, false).await;
            }
        };
        let deadline = Instant::now().checked_add(server.config.head_timeout);
        let (head, rest) = match self.read_request(&mut io, deadline).await {
            Ok(request) => request,
            Err(NoRequest::Probe) => return Ok(None),
            Err(NoRequest::Failed(error)) => return Err(ConnectionError::Io(error)),
            Err(NoRequest::Refused(refusal)) => return self.refuse(&mut io, refusal, false).await,
        };
        let head_only = head.method == Method::HEAD;
        let request = Request::new(head, self.peer.clone());
        let taker = match self.decide(request, deadline).await {
            Ok(Decision::Enter(Entrance { origin, max_frame })) => {
                let mut input = Input::new(server.config.limits.max_frame);
                input.keep(&rest);
                let mut acceptance = Vec::new();
                write_acceptance(origin.format, server.config.limits, &mut acceptance);
                let mut connection = Box::new(Connection::new(io, input, server.clone(), origin, max_frame));
                connection.accept(&acceptance);
                Taker::Rpc(connection)
            }
            Ok(Decision::Reply(Reply(Kind::Hijack(taker)))) => {
                let stream = Stream::new(io, rest);
                Taker::Route(taker(Hijacked::new(stream, server.shutdown.drain.clone())))
            }
            Ok(Decision::Reply(Reply(Kind::Respond(response)))) => {
                let mut bytes = Vec::new();
                write_response(&response, head_only, &mut bytes);
                self.answer(&mut io, &bytes).await;
                return Ok(None);
            }
            Ok(Decision::Reply(Reply(Kind::Refuse(refusal)))) | Err(refusal) => {
                return self.refuse(&mut io, refusal, head_only).await;
            }
        };
        Ok(Some(Entered { server, taker, place }))
    }

    /// The request, and what came behind it.
    async fn read_request<IO>(&self, io: &mut IO, deadline: Deadline) -> Result<(Parts, Vec<u8>), NoRequest>
    where
        IO: AsyncRead + Unpin,
    {
        let mut buffer = HeadBuffer::new(self.server.config.max_head);
        let read = rpc_io::read_head(io, &mut buffer, check_request_bytes);
        let read = by(deadline, read);
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

    async fn decide(&self, mut request: Request, deadline: Deadline) -> Result<Decision, Refusal> {
        let config = &self.server.config;
        check_origin(&request, &config.origins)?;
        // A CONNECT that names a host is not for any path here, but for a proxy.
        let for_proxy = request.head.method == Method::CONNECT && request.head.uri.authority().is_some();
        let Some(route) = self.server.routes.get(request.path()).filter(|_| !for_proxy) else {
            let terms = negotiate(&request.head, &config.path, &config.formats)?;
            self.authorize(&mut request, deadline).await?;
            let Request { head: Parts { headers, extensions, .. }, peer } = request;
            let origin = Origin::new(peer, terms.format).with_headers(headers).with_extensions(extensions);
            return Ok(Decision::Enter(Entrance { origin, max_frame: terms.limits.max_frame }));
        };
        self.authorize(&mut request, deadline).await?;
        let reply = guarded(async { route(&self.server, request).await });
        let reply = self.server.shutdown.cancel.run_until_cancelled(reply).await.ok_or_else(shutting_down)?;
        reply.map(Decision::Reply).map_err(|_| internal("the handler of this path panicked"))
    }

    /// Asks the hook, if there is one, and leaves with the request what it found out.
    async fn authorize(&self, request: &mut Request, deadline: Deadline) -> Result<(), Refusal> {
        let Some(authorize) = &self.server.config.authorize else { return Ok(()) };
        let asked = request.clone();
        let decided = by(deadline, guarded(async { authorize(asked).await }));
        let late = |_| Refusal::service_unavailable("who may enter was not decided in time");
        let decided = self.server.shutdown.drain.run_until_cancelled(decided).await;
        let decided = decided.ok_or_else(shutting_down)?.map_err(late)?;
        let known = decided.map_err(|_| internal("what decides who may enter panicked"))??;
        request.head.extensions.extend(known);
        Ok(())
    }

    async fn refuse<IO, T>(
        &self,
        io: &mut IO,
        refusal: Refusal,
        head_only: bool,
    ) -> Result<Option<T>, ConnectionError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        tracing::debug!(status = refusal.status().as_u16(), message = refusal.message(), "refused");
        let mut bytes = Vec::new();
        refusal.write(head_only, &mut bytes);
        self.answer(io, &bytes).await;
        Err(ConnectionError::Refused(refusal))
    }

    /// Says the only words, and sees to it that they arrive.
    async fn answer<IO>(&self, io: &mut IO, bytes: &[u8])
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let mut out = Output::default();
        out.extend(bytes);
        linger(io, &mut out, self.server.config.write_timeout).await;
    }
}

/// When the HTTP phase must be over; `None`: never, since no clock goes so far.
type Deadline = Option<Instant>;

async fn by<T>(deadline: Deadline, future: impl Future<Output = T>) -> Result<T, Elapsed> {
    match deadline {
        Some(deadline) => timeout_at(deadline, future).await,
        None => Ok(future.await),
    }
}

fn shutting_down() -> Refusal {
    Refusal::service_unavailable("the server is shutting down")
}

fn internal(message: &'static str) -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, message)
}
