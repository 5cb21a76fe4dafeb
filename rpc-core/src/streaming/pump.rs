//! What a handler's stream goes through on its way to the caller.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use futures_core::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Streaming;
use super::items::{InHandler, Items};
use super::sender::{SendError, send_now};
use crate::context::Context;
use crate::output::TooLarge;
use crate::status::Status;

/// Items sent in one go before others on the connection get their turn.
const BATCH: usize = 128;

/// The items that come with the call.
#[must_use]
pub fn items<T: DeserializeOwned + 'static>(cx: &Context) -> Streaming<T> {
    match cx.duplex() {
        Some(duplex) => Streaming::of(Items::new(duplex.clone(), cx.format(), InHandler), duplex.clone()),
        None => Streaming::new(NoItems(std::marker::PhantomData)),
    }
}

/// The items of a call that has none: it was not made by a client.
struct NoItems<T>(std::marker::PhantomData<fn() -> T>);

impl<T> Stream for NoItems<T> {
    type Item = Result<T, Status>;

    fn poll_next(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(None)
    }
}

/// Sends all items of `stream` to the caller, each when the caller has room for it, and ends when the
/// last is on its way.
///
/// # Errors
/// The stream's own error, after the items before it; an item that cannot be sent.
pub async fn pump<S, T, E>(cx: &Context, stream: S) -> Result<(), Status>
where
    S: Stream<Item = Result<T, E>>,
    T: Serialize + 'static,
    E: Into<Status>,
{
    let Some(duplex) = cx.duplex() else { return Ok(()) };
    duplex.put_head(&cx.take_reply_metadata()).map_err(|TooLarge { len }| {
        let limit = duplex.largest_item();
        Status::resource_exhausted(format!("head of {len} bytes is over the caller's limit of {limit}"))
    })?;
    let (mut stream, format, mut buffer) = (pin!(stream), cx.format(), Vec::new());
    let ended = poll_fn(|task| {
        for _ in 0..BATCH {
            let Poll::Ready(ready) = duplex.poll_ready(task) else { return Poll::Pending };
            if ready.is_err() {
                return Poll::Ready(Err(over()));
            }
            let Poll::Ready(item) = stream.as_mut().poll_next(task) else { return Poll::Pending };
            let sent = match item {
                None => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(error.into())),
                Some(Ok(item)) => send_now(duplex, format, &mut buffer, &item),
            };
            if let Err(error) = sent {
                return Poll::Ready(Err(match error {
                    SendError::TooLarge { len, limit } => Status::resource_exhausted(format!(
                        "item of {len} bytes is over the caller's limit of {limit}"
                    )),
                    SendError::Encode(error) => {
                        Status::internal(format!("an item could not be encoded: {error}"))
                    }
                    SendError::Closed => over(),
                }));
            }
        }
        task.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
    // The call's last frame must not pass its items.
    poll_fn(|task| duplex.poll_flushed(task)).await;
    ended
}

fn over() -> Status {
    Status::cancelled("the call is over")
}
