//! Calls from the caller's side, whatever carries them.

use std::borrow::Cow;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{self, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::context::Context;
use crate::error::MetadataError;
use crate::format::{EncodeError, Format};
use crate::metadata::Metadata;
use crate::stream::Shape;
use crate::streaming::Opened;

/// Metadata that [`Call::within`] hands on: the trace, in W3C's names.
const TRACE_KEYS: [&str; 3] = ["traceparent", "tracestate", "baggage"];

/// Something that calls can be made through: a client's connection, or a stand-in for it in tests, which can
/// answer calls without streams. To test calls with streams, join client and server by a pipe in memory.
///
/// Generated clients work with any of them.
pub trait Caller: Clone + Send + Sync + 'static {
    /// How a call fails.
    type Error: std::error::Error + Send + Sync + 'static;

    /// A call on its way. Dropping it gives the call up.
    type Pending<A, R>: Future<Output = Result<Reply<R>, Self::Error>> + Send + Unpin
    where
        A: Serialize + Send,
        R: DeserializeOwned + Send + 'static;

    /// A call with streams that gets on its way. Dropping it gives the call up.
    type Opening<A>: Future<Output = Result<Opened<Self::Error>, Self::Error>> + Send + Unpin
    where
        A: Serialize + Send;

    /// A call that is made when it is first polled.
    fn send<A, R>(self, request: Request<A>) -> Self::Pending<A, R>
    where
        A: Serialize + Send,
        R: DeserializeOwned + Send + 'static;

    /// A call that is made now; `args` are not needed after that.
    fn start<A, R>(self, request: Request<A>) -> Self::Pending<(), R>
    where
        A: Serialize + Send,
        R: DeserializeOwned + Send + 'static;

    /// A call with streams that is made when it is first polled. Ready when it is on its way; one whose
    /// answer alone has items, when the handler has begun to answer.
    fn open<A>(self, request: Request<A>, shape: Shape) -> Self::Opening<A>
    where
        A: Serialize + Send;
}

/// A result with what came beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply<R> {
    /// The result.
    pub value: R,
    /// The metadata that the handler added.
    pub metadata: Metadata,
}

/// What to call, with what, and how.
#[derive(Debug)]
pub struct Request<A> {
    /// The full name, `Service.Method`.
    pub method: Cow<'static, str>,
    /// The arguments.
    pub args: A,
    /// How to encode the arguments.
    pub encode: Encode<A>,
    /// Everything else. `None`: the defaults, and nothing to carry along.
    pub options: Option<Box<Options>>,
}

impl<A: Serialize> Request<A> {
    pub(crate) fn new(method: Cow<'static, str>, args: A) -> Self
    where
        A: 'static,
    {
        let encode: Encode<A> = |format, args, out| format.encode_split(args, out);
        Self { method, args, encode, options: None }
    }

    pub(crate) fn borrowing(method: Cow<'static, str>, args: A) -> Self {
        let encode: Encode<A> = |format, args, out| format.encode(args, out).map(|()| None);
        Self { method, args, encode, options: None }
    }
}

/// Encodes arguments: [`Format::encode_split`] where the type allows it, otherwise
/// [`Format::encode`].
pub type Encode<A> = fn(Format, &A, &mut Vec<u8>) -> Result<Option<Bytes>, EncodeError>;

/// The options of one call.
#[derive(Debug)]
pub struct Options {
    /// The time that the call may take; the caller's own default when `None`.
    pub timeout: Option<Duration>,
    /// The longest time to wait for the next item of a stream.
    pub idle_timeout: Option<Duration>,
    /// The call that this one is made for.
    pub parent: Option<Context>,
    /// What goes beside the arguments, or the first thing that was wrong with it.
    pub metadata: Result<Metadata, MetadataError>,
    /// Whether the method may run twice to the same effect as once.
    pub idempotent: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: None,
            idle_timeout: None,
            parent: None,
            metadata: Ok(Metadata::EMPTY),
            idempotent: false,
        }
    }
}

impl Options {
    pub(crate) fn add_metadata(&mut self, key: &str, value: impl AsRef<[u8]>) {
        if let Ok(pairs) = &mut self.metadata
            && let Err(error) = pairs.insert(key, value)
        {
            self.metadata = Err(error);
        }
    }

    pub(crate) fn set_parent(&mut self, cx: &Context) {
        for key in TRACE_KEYS {
            if let Some(value) = cx.metadata().value(key) {
                self.add_metadata(key, value);
            }
        }
        self.parent = Some(cx.clone());
    }

    /// When the call has to be over: the sooner of its timeout, counted from `now`, and the
    /// deadline of the call it is made for.
    #[must_use]
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let own = self.timeout.and_then(|timeout| now.checked_add(timeout));
        let parent = self.parent.as_ref().and_then(Context::deadline);
        own.into_iter().chain(parent).min()
    }
}

/// A call that has not been made yet: set its options, then `.await` or [`start`](Self::start) it. One with
/// streams is a [`StreamCall`](crate::StreamCall).
///
/// Dropping the future that `.await` polls gives the call up, on the server too.
#[must_use = "a call is made when it is awaited or started"]
pub struct Call<C, A, R> {
    caller: C,
    request: Request<A>,
    reply: PhantomData<fn() -> R>,
}

impl<C: Caller, A: Serialize + Send, R: DeserializeOwned + Send + 'static> Call<C, A, R> {
    /// A call of `method` through `caller`, with arguments that own their data. A large
    /// [`Bytes`] is sent without being copied.
    pub fn new(caller: C, method: impl Into<Cow<'static, str>>, args: A) -> Self
    where
        A: 'static,
    {
        Self { caller, request: Request::new(method.into(), args), reply: PhantomData }
    }

    /// A call of `method` through `caller`, with arguments that may borrow.
    pub fn borrowing(caller: C, method: impl Into<Cow<'static, str>>, args: A) -> Self {
        Self { caller, request: Request::borrowing(method.into(), args), reply: PhantomData }
    }

    /// The time the call may take, from when it is made until its result is here. After that it
    /// fails, and the server is told to stop. Default: the caller's own.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.request.options.get_or_insert_default().timeout = Some(timeout);
        self
    }

    /// Adds a pair to what goes beside the arguments. A pair that breaks the limits of
    /// [`Metadata`] fails the call when it is made.
    pub fn metadata(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.request.options.get_or_insert_default().add_metadata(key, value);
        self
    }

    /// Says that running the method twice is as good as running it once: then the call may be sent
    /// again when the connection was lost and nobody knows whether it has run. Methods declared with
    /// `#[rpc(idempotent)]` say so themselves.
    pub fn idempotent(mut self) -> Self {
        self.request.options.get_or_insert_default().idempotent = true;
        self
    }

    /// Makes the call on behalf of the one that `cx` is the context of: it ends no later, is given
    /// up with it, and carries its trace (`traceparent`, `tracestate`, `baggage`).
    pub fn within(mut self, cx: &Context) -> Self {
        self.request.options.get_or_insert_default().set_parent(cx);
        self
    }
    /// Makes the call now, without waiting for it (Go: `Client.Go`). The future that this returns
    /// owns nothing of the arguments; dropping it gives the call up.
    #[must_use = "dropping a started call gives it up"]
    pub fn start(self) -> ValueOf<C::Pending<(), R>> {
        ValueOf { pending: self.caller.start(self.request) }
    }

    /// Waits for the result with the metadata that the handler added.
    ///
    /// # Errors
    /// As the caller has them.
    pub async fn with_metadata(self) -> Result<Reply<R>, C::Error> {
        self.caller.send(self.request).await
    }
}

impl<C: Caller, A: Serialize + Send, R: DeserializeOwned + Send + 'static> IntoFuture for Call<C, A, R> {
    type Output = Result<R, C::Error>;
    type IntoFuture = ValueOf<C::Pending<A, R>>;

    fn into_future(self) -> Self::IntoFuture {
        ValueOf { pending: self.caller.send(self.request) }
    }
}

impl<C, A, R> fmt::Debug for Call<C, A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Request { method, options, .. } = &self.request;
        f.debug_struct("Call").field("method", method).field("options", options).finish_non_exhaustive()
    }
}

/// A call on its way, of which only the value of the reply is wanted.
///
/// Safe to drop at any time: the call is given up then, on the server too.
#[derive(Debug)]
#[must_use = "dropping a call gives it up"]
pub struct ValueOf<P> {
    pending: P,
}

impl<P> ValueOf<P> {
    /// The call with the metadata of its reply.
    pub fn with_metadata(self) -> P {
        self.pending
    }
}

impl<P, R, E> Future for ValueOf<P>
where
    P: Future<Output = Result<Reply<R>, E>> + Unpin,
{
    type Output = Result<R, E>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let reply = ready!(Pin::new(&mut self.pending).poll(cx));
        Poll::Ready(reply.map(|reply| reply.value))
    }
}
