//! Calls with streams, from the caller's side.

use std::borrow::Cow;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use futures_core::Stream;

use super::items::Items;
use super::{Opened, Sender, Streaming};
#[cfg(doc)]
use crate::caller::Call;
use crate::caller::{Caller, Reply, Request};
use crate::context::Context as CallContext;
use crate::stream::Shape;

/// A [`StreamCall`] with items in its answer: it comes to a [`Streaming`].
pub struct ServerStream<T> {
    types: PhantomData<fn() -> T>,
}

/// A [`StreamCall`] with items behind its arguments: it comes to a [`Sender`] and an [`Answer`].
pub struct ClientStream<T, R> {
    types: PhantomData<fn(T) -> R>,
}

/// A [`StreamCall`] with items in both directions: it comes to a [`Sender`] and a [`Streaming`].
///
/// Send in one task and receive in another, or poll both together, unless the two sides take turns. A handler that
/// answers items as they come stops taking them while its caller takes no answers, and then a caller that only sends
/// waits for ever: only a [`timeout`](StreamCall::timeout) ends it.
pub struct BidiStream<T, R> {
    types: PhantomData<fn(T) -> R>,
}

/// One of the three shapes of calls with streams: [`ServerStream`], [`ClientStream`], [`BidiStream`].
pub trait StreamShape: 'static {
    /// What the caller gets when the call is on its way.
    type Made<E: 'static>;

    /// Which directions have items.
    const SHAPE: Shape;

    /// Gives a stream its types.
    fn made<E: 'static>(opened: Opened<E>) -> Self::Made<E>;
}

fn streaming<T: DeserializeOwned + Send + 'static, E: 'static>(opened: Opened<E>) -> Streaming<T, E> {
    let Opened { format, duplex, ending, .. } = opened;
    Streaming::of(Items::new(duplex.clone(), format, ending), duplex)
}

fn sender<T, E>(opened: &Opened<E>) -> Sender<T> {
    Sender::new(opened.duplex.clone(), opened.format, opened.keep.clone())
}

impl<T: DeserializeOwned + Send + 'static> StreamShape for ServerStream<T> {
    type Made<E: 'static> = Streaming<T, E>;

    const SHAPE: Shape = Shape::Server;

    fn made<E: 'static>(opened: Opened<E>) -> Streaming<T, E> {
        streaming(opened)
    }
}

impl<T: 'static, R: DeserializeOwned + Send + 'static> StreamShape for ClientStream<T, R> {
    type Made<E: 'static> = (Sender<T>, Answer<R, E>);

    const SHAPE: Shape = Shape::Client;

    fn made<E: 'static>(opened: Opened<E>) -> (Sender<T>, Answer<R, E>) {
        (sender(&opened), Answer { items: streaming(opened) })
    }
}

impl<T: 'static, R: DeserializeOwned + Send + 'static> StreamShape for BidiStream<T, R> {
    type Made<E: 'static> = (Sender<T>, Streaming<R, E>);

    const SHAPE: Shape = Shape::Bidi;

    fn made<E: 'static>(opened: Opened<E>) -> (Sender<T>, Streaming<R, E>) {
        (sender(&opened), streaming(opened))
    }
}

/// A call that is answered with items.
#[diagnostic::on_unimplemented(
    message = "a call with one answer has no time between items: set its `timeout`"
)]
pub trait AnswersItems: StreamShape {}

impl<T: DeserializeOwned + Send + 'static> AnswersItems for ServerStream<T> {}

impl<T: 'static, R: DeserializeOwned + Send + 'static> AnswersItems for BidiStream<T, R> {}

/// A call with streams that has not been made yet: set its options, then `.await` it.
///
/// What that gives depends on which directions have items: a [`Streaming`] for a [`ServerStream`], once the
/// handler has begun to answer; a [`Sender`] and an [`Answer`] for a [`ClientStream`], and a `Sender` and a
/// `Streaming` for a [`BidiStream`], once the call is on its way.
#[must_use = "a call is made when it is awaited"]
pub struct StreamCall<C, A, S> {
    caller: C,
    request: Request<A>,
    shape: PhantomData<fn() -> S>,
}

impl<C: Caller, A: Serialize + Send, S: StreamShape> StreamCall<C, A, S> {
    /// A call of `method` through `caller`, with arguments that own their data.
    pub fn new(caller: C, method: impl Into<Cow<'static, str>>, args: A) -> Self
    where
        A: 'static,
    {
        Self { caller, request: Request::new(method.into(), args), shape: PhantomData }
    }

    /// A call of `method` through `caller`, with arguments that may borrow.
    pub fn borrowing(caller: C, method: impl Into<Cow<'static, str>>, args: A) -> Self {
        Self { caller, request: Request::borrowing(method.into(), args), shape: PhantomData }
    }

    /// The time that the whole call may take, until its last item is here; see [`Call::timeout`].
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.request.options.get_or_insert_default().timeout = Some(timeout);
        self
    }

    /// The longest time to wait for the next item. When none has come by then, the call fails and the
    /// server is told to stop. It runs while this side waits for an item, and not while it is busy with
    /// the one before. Default: as long as it takes.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self
    where
        S: AnswersItems,
    {
        self.request.options.get_or_insert_default().idle_timeout = Some(timeout);
        self
    }

    /// Adds a pair to what goes beside the arguments; see [`Call::metadata`].
    pub fn metadata(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.request.options.get_or_insert_default().add_metadata(key, value);
        self
    }

    /// Makes the call on behalf of the one that `cx` is the context of; see [`Call::within`].
    pub fn within(mut self, cx: &CallContext) -> Self {
        self.request.options.get_or_insert_default().set_parent(cx);
        self
    }

    /// Says that a server that did not begin to answer may be asked again, or another one in its place;
    /// see [`Call::idempotent`].
    pub fn idempotent(mut self) -> Self {
        self.request.options.get_or_insert_default().idempotent = true;
        self
    }
}

impl<C: Caller, A: Serialize + Send, S: StreamShape> IntoFuture for StreamCall<C, A, S> {
    type Output = Result<S::Made<C::Error>, C::Error>;
    type IntoFuture = OpeningOf<C::Opening<A>, S>;

    fn into_future(self) -> Self::IntoFuture {
        OpeningOf { opening: self.caller.open(self.request, S::SHAPE), shape: PhantomData }
    }
}

impl<C, A, S> fmt::Debug for StreamCall<C, A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Request { method, options, .. } = &self.request;
        f.debug_struct("StreamCall").field("method", method).field("options", options).finish_non_exhaustive()
    }
}

/// A call with streams that gets on its way.
///
/// Safe to drop at any time: the call is given up then, on the server too.
#[must_use = "dropping a call gives it up"]
pub struct OpeningOf<F, S> {
    opening: F,
    shape: PhantomData<fn() -> S>,
}

impl<F, S, E> Future for OpeningOf<F, S>
where
    F: Future<Output = Result<Opened<E>, E>> + Unpin,
    S: StreamShape,
    E: 'static,
{
    type Output = Result<S::Made<E>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let opened = ready!(Pin::new(&mut self.opening).poll(cx));
        Poll::Ready(opened.map(S::made))
    }
}

impl<F, S> fmt::Debug for OpeningOf<F, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpeningOf").finish_non_exhaustive()
    }
}

/// The one answer to many items: a future.
///
/// Safe to drop at any time: the call is given up then, on the server too.
///
/// # Panics
/// When it is polled again after it was ready.
#[derive(Debug)]
#[must_use = "dropping the answer gives the call up"]
pub struct Answer<R, E> {
    items: Streaming<R, E>,
}

impl<R, E> Answer<R, E> {
    /// Waits for the answer with the metadata that the handler added.
    ///
    /// # Errors
    /// As the call's.
    pub async fn with_metadata(mut self) -> Result<Reply<R>, E> {
        let value = (&mut self).await?;
        Ok(Reply { value, metadata: self.items.trailers() })
    }
}

impl<R, E> Future for Answer<R, E> {
    type Output = Result<R, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match ready!(Pin::new(&mut self.items).poll_next(cx)) {
            Some(answer) => {
                // The end came with the answer, and what watches the call is to see it.
                if answer.is_ok() {
                    let _ = Pin::new(&mut self.items).poll_next(cx);
                }
                Poll::Ready(answer)
            }
            // A stream that expects one answer ends with that or with an error.
            None => panic!("an answer was polled after it was ready"),
        }
    }
}
