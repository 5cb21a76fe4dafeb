//! The HTTP phase of a connection: who may enter, and what everybody else is told.

mod attention;
mod decision;
#[cfg(feature = "mount")]
mod mounted;
mod switching;

use std::future::Future;
use std::io;
use std::sync::Arc;

#[cfg(feature = "mount")]
use bytes::Bytes;
use http::Method;
use http::request::Parts;
use rpc_core::Peer;
use rpc_core::handshake::{
    Entry, HeadBuffer, Refusal, check_request_bytes, parse_request, write_acceptance, write_response,
    write_switching,
};
use rpc_core::input::Input;
use rpc_core::output::Output;
#[cfg(feature = "websocket")]
use rpc_io::websocket::WebSocket;
use rpc_io::{Head, HeadError, Stream};
#[cfg(feature = "websocket")]
use tokio::io::AsyncWriteExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::error::Elapsed;
#[cfg(feature = "websocket")]
use tokio::time::timeout;
use tokio::time::{Instant, timeout_at};

use crate::connection::Connection;
use crate::error::ConnectionError;
use crate::guard::guarded;
use crate::linger::linger;
use crate::room::{Place, Refused};
use crate::route::{Boxed, Hijacked, Kind, Request};
use crate::state::State;
#[cfg(feature = "tls")]
use crate::tls::ServerTls;

use attention::while_there;
use decision::{Decision, Entrance};

/// Where one connection comes in.
pub(crate) struct Door {
    server: Arc<State>,
    peer: Peer,
}

/// What goes on where HTTP has ended, until the connection does: in a box, and what the HTTP phase took is
/// freed by now.
pub(crate) type Entered = Boxed<Result<(), ConnectionError>>;

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
    pub(crate) async fn enter<IO>(self, mut io: IO) -> Result<Option<Entered>, ConnectionError>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        match Place::take(&self.server, self.peer.address) {
            Ok(place) => self.enter_at(io, place).await,
            Err(why) => {
                let refusal = Refusal::service_unavailable(why);
                let Some(_told) = Refused::new(&self.server) else {
                    return Err(ConnectionError::Refused(refusal));
                };
                self.refuse(&mut io, refusal, false).await
            }
        }
    }

    /// The same over TLS. Its handshake takes a place, and who gets none is not told: that would take
    /// a handshake, too.
    #[cfg(feature = "tls")]
    pub(crate) async fn enter_tls<IO>(
        mut self,
        io: IO,
        tls: ServerTls,
    ) -> Result<Option<Entered>, ConnectionError>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let place = Place::take(&self.server, self.peer.address);
        let place = place.map_err(|why| ConnectionError::Refused(Refusal::service_unavailable(why)))?;
        let (io, peer) = tls.accept(io, &self.server).await?;
        drop(tls);
        self.peer.tls = Some(Arc::new(peer));
        self.enter_at(io, place).await
    }

    async fn enter_at<IO>(self, mut io: IO, place: Place) -> Result<Option<Entered>, ConnectionError>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let server = self.server.clone();
        let deadline = Instant::now().checked_add(server.config.head_timeout);
        let (head, mut rest) = match self.read_request(&mut io, deadline).await {
            Ok(request) => request,
            Err(NoRequest::Probe) => return Ok(None),
            Err(NoRequest::Failed(error)) => return Err(ConnectionError::Io(error)),
            Err(NoRequest::Refused(refusal)) => return self.refuse(&mut io, refusal, false).await,
        };
        let head_only = head.method == Method::HEAD;
        let reply = match self.decide(Request::new(head, self.peer.clone()), deadline).await {
            Ok(Decision::Enter(entrance)) => return Ok(Some(self.let_in(io, rest, entrance, place))),
            Ok(Decision::Route(route, request)) => {
                let reply = self.reply(route, request);
                while_there(&mut io, &mut rest, reply).await.map_err(ConnectionError::Io)?
            }
            Err(refusal) => Err(refusal),
        };
        match reply {
            Ok(Kind::Hijack(taker)) => {
                let stream = Stream::new(io, rest);
                let taker = taker(Hijacked::new(stream, server.shutdown.drain.clone()));
                Ok(Some(Box::pin(taken_over(server, taker, place))))
            }
            Ok(Kind::Respond(response)) => {
                let mut bytes = Vec::new();
                write_response(&response, head_only, &mut bytes);
                let answered = self.answer(&mut io, &bytes);
                // It has had the grace to be taken.
                if server.shutdown.cancel.run_until_cancelled(answered).await.is_none() {
                    server.shutdown.count_cut_off();
                }
                Ok(None)
            }
            Ok(Kind::Refuse(refusal)) | Err(refusal) => self.refuse(&mut io, refusal, head_only).await,
        }
    }

    /// RPC from here on: the acceptance, then frames, of which these bytes are the first.
    fn let_in<IO>(&self, io: IO, rest: Vec<u8>, entrance: Entrance, place: Place) -> Entered
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let own = self.server.config.limits;
        let mut acceptance = Vec::new();
        match entrance.entry {
            Entry::Connect => write_acceptance(entrance.origin.format, own, &mut acceptance),
            _ => write_switching(&entrance.switching, entrance.origin.format, own, &mut acceptance),
        }
        #[cfg(feature = "websocket")]
        if entrance.entry == Entry::WebSocket {
            return Box::pin(websocket(
                self.server.clone(),
                Stream::new(io, rest),
                acceptance,
                entrance,
                place,
            ));
        }
        let mut connection = connection(self.server.clone(), io, &rest, entrance, place);
        connection.accept(&acceptance);
        Box::pin(connection.run())
    }

    /// The same where the acceptance has gone out already.
    #[cfg(feature = "mount")]
    fn serve_accepted<IO>(&self, io: IO, rest: Bytes, entrance: Entrance, place: Place) -> Entered
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let server = self.server.clone();
        #[cfg(feature = "websocket")]
        if entrance.entry == Entry::WebSocket {
            return Box::pin(websocket(server, Stream::new(io, rest), Vec::new(), entrance, place));
        }
        Box::pin(connection(server, io, &rest, entrance, place).run())
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

fn connection<IO>(server: Arc<State>, io: IO, rest: &[u8], entrance: Entrance, place: Place) -> Connection<IO>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut input = Input::new(server.config.limits.max_frame).with_spare(&rpc_io::SPARE);
    input.keep(rest);
    Connection::new(io, input, server, entrance.origin, entrance.limits, place)
}

/// Says the rest of the HTTP phase, and then frames go in messages. Whatever the transport, this is built once.
#[cfg(feature = "websocket")]
async fn websocket(
    server: Arc<State>,
    mut io: Stream,
    acceptance: Vec<u8>,
    entrance: Entrance,
    place: Place,
) -> Result<(), ConnectionError> {
    let said = timeout(server.config.write_timeout, async {
        io.write_all(&acceptance).await?;
        io.flush().await
    });
    said.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(ConnectionError::Io)?;
    let io = WebSocket::server(io, []).await;
    connection(server, io, &[], entrance, place).run().await
}

/// Runs what has taken a connection over, as long as the server lets it.
async fn taken_over(server: Arc<State>, taker: Boxed<()>, _place: Place) -> Result<(), ConnectionError> {
    match server.shutdown.cancel.run_until_cancelled(guarded(taker)).await {
        Some(ended) => ended.map_err(|_| ConnectionError::Panicked),
        None => {
            server.shutdown.count_cut_off();
            Ok(())
        }
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
