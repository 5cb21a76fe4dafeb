//! What else a server's listener answers: ordinary HTTP, and connections that are taken over.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderValue, Response};
use rpc_core::Peer;
use rpc_core::handshake::Refusal;
use rpc_io::Stream;
use tokio_util::sync::CancellationToken;

use crate::state::State;

pub(crate) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// By path.
pub(crate) type Routes = BTreeMap<String, Route>;

/// Answers a request to the server whose state it is given.
pub(crate) type Route = Box<dyn Fn(&State, Request) -> Boxed<Reply> + Send + Sync>;

pub(crate) fn route<F>(handler: impl Fn(Request) -> F + Send + Sync + 'static) -> Route
where
    F: Future<Output: Into<Reply>> + Send + 'static,
{
    Box::new(move |_, request| {
        let reply = handler(request);
        Box::pin(async move { reply.await.into() })
    })
}

/// A request's head, and who sent it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// Method, target, version and headers. What an [`authorize`](crate::Builder::authorize) hook
    /// found out is among the extensions, when this comes to a route.
    pub head: Parts,
    /// Who sent it, as the transport knows it.
    pub peer: Peer,
}

impl Request {
    pub(crate) fn new(head: Parts, peer: Peer) -> Self {
        Self { head, peer }
    }

    /// The path that is asked for, without its query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.head.uri.path()
    }
}

/// What becomes of a request: an answer, or the end of HTTP on its connection.
///
/// One or the other: who [takes the connection over](Self::hijack) has no answer left to give (Go
/// finds out at run time: `ErrHijacked`).
///
/// An answer is anything that can be made into a reply: a text, an [`http::Response`], a
/// [`Refusal`], or a `Result` of such. It is HTTP/1.0 and closes the connection. The client has the
/// [`write_timeout`](crate::Builder::write_timeout) to take it all. The body of a request is not
/// read for it; services that need bodies or keep-alive run on an HTTP stack of their own.
///
/// ```compile_fail
/// # use rpc_server::{Reply, Request};
/// async fn both(_: Request) -> Reply {
///     let reply = Reply::hijack(|_taken| async {});
///     reply.respond(http::Response::new("and an answer")) // There is no such method.
/// }
/// ```
#[must_use = "a reply is returned by the handler of a route"]
pub struct Reply(pub(crate) Kind);

pub(crate) enum Kind {
    Respond(Box<Response<Bytes>>),
    Refuse(Refusal),
    Hijack(Box<dyn FnOnce(Hijacked) -> Boxed<()> + Send>),
}

impl Reply {
    /// Takes the connection over: `taker` runs on it, in the task of the connection, until its future ends.
    ///
    /// Nothing is answered: what the peer is to see, a head like `HTTP/1.1 101 Switching Protocols`
    /// included, the taker writes. No timeout of the HTTP phase goes on (Go leaves its deadlines on
    /// the connection); timeouts are the taker's from here. The connection counts among those that
    /// are open.
    ///
    /// A server that shuts down waits for the taker for its grace; see [`Hijacked::draining`]. Then
    /// its future is dropped.
    pub fn hijack<F>(taker: impl FnOnce(Hijacked) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        // Called where its future is polled, since it may panic as well.
        Self(Kind::Hijack(Box::new(move |hijacked| Box::pin(async move { taker(hijacked).await }))))
    }
}

impl<B: Into<Bytes>> From<Response<B>> for Reply {
    fn from(response: Response<B>) -> Self {
        Self(Kind::Respond(Box::new(response.map(Into::into))))
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        Self(Kind::Refuse(refusal))
    }
}

/// 200, as `text/plain; charset=utf-8`.
impl From<String> for Reply {
    fn from(text: String) -> Self {
        let mut response = Response::new(text);
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, plain);
        response.into()
    }
}

/// As a `String`.
impl From<&str> for Reply {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl<T: Into<Self>, E: Into<Self>> From<Result<T, E>> for Reply {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(reply) => reply.into(),
            Err(reply) => reply.into(),
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Respond(response) => f.debug_tuple("Respond").field(&response.status()).finish(),
            Kind::Refuse(refusal) => f.debug_tuple("Refuse").field(refusal).finish(),
            Kind::Hijack(_) => f.write_str("Hijack"),
        }
    }
}

/// A connection on which HTTP has ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct Hijacked {
    /// The connection. What came behind the request's head is read first.
    pub stream: Stream,
    drain: CancellationToken,
}

impl Hijacked {
    pub(crate) fn new(stream: Stream, drain: CancellationToken) -> Self {
        Self { stream, drain }
    }

    /// Ends when the server begins to shut down: the time to bring work to its end, before the grace is over.
    /// It borrows nothing, so that it can be waited for beside reads and writes.
    ///
    /// # Cancel safety
    /// Safe to drop at any time.
    pub fn draining(&self) -> impl Future<Output = ()> + Send + use<> {
        self.drain.clone().cancelled_owned()
    }
}
