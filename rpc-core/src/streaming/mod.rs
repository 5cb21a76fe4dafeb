//! Streams as handlers and callers see them: [`Streaming`] to receive items, [`Sender`] to send them.
//!
//! A method of a contract has items when one of its arguments is a [`Streaming`], or when it returns a
//! [`Stream`]. On the wire each direction has credit of its own, so whoever does not
//! take items stops whoever sends them, and nobody else.

mod call;
mod items;
mod pump;
mod sender;

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::metadata::Metadata;
use crate::status::Status;
use crate::stream::Duplex;

pub use call::{
    Answer, AnswersItems, BidiStream, ClientStream, OpeningOf, ServerStream, StreamCall, StreamShape,
};
pub use futures_core::Stream;
pub use items::{Ending, Opened};
#[doc(hidden)]
pub use pump::{items, pump};
pub use sender::{SendError, Sender};

/// Items that the other side sends, in their order, as a [`Stream`].
///
/// It ends with `None` when the other side has sent all of them; otherwise the last item is an error
/// that says why there are no more: a stream never just stops. After either there is nothing but `None`.
///
/// In a handler the error is a [`Status`]; a client's streams have the errors of its calls.
///
/// Dropping it before its end: a client's call is given up then, on the server too. A handler goes on;
/// what its caller still sends is dropped, and its sending waits once the window is used up.
///
/// ```
/// use rpc_core::{Status, Streaming};
///
/// async fn sum(mut numbers: Streaming<i64>) -> Result<i64, Status> {
///     let mut sum = 0;
///     while let Some(number) = numbers.next().await {
///         sum += number?;
///     }
///     Ok(sum)
/// }
/// ```
pub struct Streaming<T, E = Status> {
    items: Pin<Box<dyn Stream<Item = Result<T, E>> + Send>>,
    over: bool,
    duplex: Option<Arc<Duplex>>,
}

impl<T, E> Streaming<T, E> {
    /// A stream of items from here: for tests of handlers.
    pub fn new(items: impl Stream<Item = Result<T, E>> + Send + 'static) -> Self {
        Self { items: Box::pin(items), over: false, duplex: None }
    }

    fn of(items: impl Stream<Item = Result<T, E>> + Send + 'static, duplex: Arc<Duplex>) -> Self {
        Self { duplex: Some(duplex), ..Self::new(items) }
    }

    /// The next item; `None` after the last.
    ///
    /// # Errors
    /// Why there are no more items, if the other side has not sent all of them.
    ///
    /// # Cancel safety
    /// Safe to drop: no item is lost.
    pub async fn next(&mut self) -> Option<Result<T, E>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// The next item; `None` after the last. For `while let Some(item) = items.try_next().await?`.
    ///
    /// # Errors
    /// Why there are no more items, if the other side has not sent all of them.
    ///
    /// # Cancel safety
    /// Safe to drop: no item is lost.
    pub async fn try_next(&mut self) -> Result<Option<T>, E> {
        self.next().await.transpose()
    }

    /// What the handler put [beside its answer](crate::Context::reply_metadata) before its first item;
    /// `None` until it has begun to answer, and in handlers.
    #[must_use]
    pub fn metadata(&self) -> Option<Metadata> {
        self.duplex.as_ref()?.metadata()
    }

    /// What the handler put beside its answer after that; empty before the end of the stream, and in
    /// handlers.
    #[must_use]
    pub fn trailers(&self) -> Metadata {
        self.duplex.as_ref().map(|duplex| duplex.trailers()).unwrap_or_default()
    }
}

impl<T, E> Stream for Streaming<T, E> {
    type Item = Result<T, E>;

    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        let polled = self.items.as_mut().poll_next(cx);
        self.over = matches!(polled, Poll::Ready(None | Some(Err(_))));
        polled
    }
}

impl<T, E> fmt::Debug for Streaming<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming").field("over", &self.over).finish_non_exhaustive()
    }
}
