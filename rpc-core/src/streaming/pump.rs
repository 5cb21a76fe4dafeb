//! What a handler's stream goes through on its way to the caller.

use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::task::{self, Poll, ready};

use futures_core::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Streaming;
use super::items::{InHandler, Items};
use crate::context::Context;
use crate::format::Format;
use crate::output::TooLarge;
use crate::status::Status;
use crate::stream::{Closed, Duplex, Large, PackError, Parcel};

/// Parcels sent in one go before others on the connection get their turn, and items in each.
const PARCELS: usize = 4;
const ITEMS: usize = 256;

/// The items that come with the call.
#[must_use]
pub fn items<T: DeserializeOwned + 'static>(cx: &Context) -> Streaming<T> {
    match cx.duplex() {
        Some(duplex) => Streaming::of(Items::new(duplex.clone(), cx.format(), InHandler), duplex.clone()),
        None => Streaming::new(NoItems(PhantomData)),
    }
}

/// The items of a call that has none: it was not made by a client.
struct NoItems<T>(PhantomData<fn() -> T>);

impl<T> Stream for NoItems<T> {
    type Item = Result<T, Status>;

    fn poll_next(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
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
    let (mut stream, mut parcel) = (pin!(stream), Parcel::default());
    let ended = poll_fn(|task| {
        for _ in 0..if duplex.packs { PARCELS } else { ITEMS } {
            let credit = match ready!(duplex.poll_credit(task)) {
                Ok(credit) => credit,
                Err(Closed) => return Poll::Ready(Err(over())),
            };
            let (packed, large) = pack(duplex, cx.format(), stream.as_mut(), &mut parcel, credit, task);
            duplex.send(&mut parcel, large);
            match packed {
                Packed::More => {}
                Packed::Waits => return Poll::Pending,
                Packed::Ended(ended) => return Poll::Ready(ended),
            }
        }
        task.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
    // The call's last frame must not pass its items.
    poll_fn(|task| duplex.poll_flushed(task)).await.map_err(|Closed| over())?;
    ended
}

/// What the handler's stream came to.
enum Packed {
    /// It may have more.
    More,
    /// It has no more now.
    Waits,
    Ended(Result<(), Status>),
}

/// Packs the items that are ready, as far as the credit goes.
fn pack<S, T, E>(
    duplex: &Duplex,
    format: Format,
    mut stream: Pin<&mut S>,
    parcel: &mut Parcel,
    credit: u64,
    task: &mut task::Context<'_>,
) -> (Packed, Option<Large>)
where
    S: Stream<Item = Result<T, E>>,
    T: Serialize + 'static,
    E: Into<Status>,
{
    let limit = duplex.largest_item();
    for _ in 0..if duplex.packs { ITEMS } else { 1 } {
        let item = match stream.as_mut().poll_next(task) {
            Poll::Pending => return (Packed::Waits, None),
            Poll::Ready(None) => return (Packed::Ended(Ok(())), None),
            Poll::Ready(Some(Err(error))) => return (Packed::Ended(Err(error.into())), None),
            Poll::Ready(Some(Ok(item))) => item,
        };
        match parcel.pack(format, &item, limit) {
            Ok(None) if parcel.is_full() || parcel.cost() >= credit => break,
            Ok(None) => {}
            Ok(large) => return (Packed::More, large),
            Err(PackError::Encode(error)) => {
                let text = format!("an item could not be encoded: {error}");
                return (Packed::Ended(Err(Status::internal(text))), None);
            }
            Err(PackError::TooLarge { len }) => {
                let text = format!("item of {len} bytes is over the caller's limit of {limit}");
                return (Packed::Ended(Err(Status::resource_exhausted(text))), None);
            }
        }
    }
    (Packed::More, None)
}

fn over() -> Status {
    Status::cancelled("the call is over")
}
