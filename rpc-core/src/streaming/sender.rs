//! The sending half of a client's stream.

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::sync::Arc;

use futures_core::Stream;
use serde::Serialize;

use crate::format::{EncodeError, Format};
use crate::stream::{Closed, Duplex, PackError, Parcel};

/// Sends the items of a call. [`finish`](Self::finish) says that there are no more; dropping it without
/// that gives the call up, on the server too.
#[must_use = "dropping a sender that is not finished gives the call up"]
pub struct Sender<T> {
    duplex: Arc<Duplex>,
    format: Format,
    parcel: Parcel,
    finished: bool,
    /// Lasts as long as this.
    _keep: Arc<dyn Any + Send + Sync>,
    types: PhantomData<fn(T)>,
}

/// Why an item was not sent.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The call is over: the server has answered, or the call was given up, or its connection is lost.
    /// Its answer, the other half of the call, tells which.
    #[error("the call is over; its answer tells why")]
    Closed,
    /// The item could not be encoded. The stream goes on.
    #[error("the item could not be encoded: {0}")]
    Encode(#[from] EncodeError),
    /// The item is longer than the server takes. The stream goes on.
    #[error("item of {len} bytes is over the server's limit of {limit}")]
    TooLarge {
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        limit: u32,
    },
}

impl SendError {
    pub(super) fn of(error: PackError, limit: u32) -> Self {
        match error {
            PackError::Encode(error) => SendError::Encode(error),
            PackError::TooLarge { len } => SendError::TooLarge { len, limit },
        }
    }
}

impl From<Closed> for SendError {
    fn from(_: Closed) -> Self {
        SendError::Closed
    }
}

impl<T> Sender<T> {
    pub(super) fn new(duplex: Arc<Duplex>, format: Format, keep: Arc<dyn Any + Send + Sync>) -> Self {
        Self { duplex, format, parcel: Parcel::default(), finished: false, _keep: keep, types: PhantomData }
    }

    /// Sends an item, as soon as the server has room for it.
    ///
    /// A server that waits for its caller to take its items makes no room: one task that sends all before it
    /// takes any stands still with more than about a window each way. Send and receive in two tasks, or poll both.
    ///
    /// It has been handed to the connection then, and will be written with all that came before it; the
    /// server has not seen it.
    ///
    /// # Errors
    /// See [`SendError`].
    ///
    /// # Cancel safety
    /// Dropping the future before it is ready: the item is not sent, and the stream goes on.
    pub async fn send(&mut self, item: T) -> Result<(), SendError>
    where
        T: Serialize + 'static,
    {
        let Self { duplex, format, parcel, .. } = self;
        // What an unfinished call left.
        parcel.clear();
        let limit = duplex.largest_item();
        match parcel.pack(*format, &item, limit).map_err(|error| SendError::of(error, limit))? {
            None => poll_fn(|cx| duplex.poll_send(parcel, cx)).await?,
            Some(large) => {
                poll_fn(|cx| duplex.poll_credit(cx)).await?;
                duplex.send(parcel, Some(large));
            }
        }
        Ok(())
    }

    /// Sends all items of a stream, each as soon as the server has room for it. To end the call's items
    /// with them, [`finish`](Self::finish) it after that.
    ///
    /// # Errors
    /// See [`SendError`]; the items after the one that failed are dropped with the stream.
    ///
    /// # Cancel safety
    /// Dropping the future drops the stream; an item that was taken from it may not be sent.
    pub async fn send_all(&mut self, items: impl Stream<Item = T>) -> Result<(), SendError>
    where
        T: Serialize + 'static,
    {
        let mut items = pin!(items);
        while let Some(item) = poll_fn(|cx| Pin::new(&mut items).poll_next(cx)).await {
            self.send(item).await?;
        }
        Ok(())
    }

    /// Says that these were all items. Does not wait until they are sent; the call's answer comes after
    /// that.
    pub fn finish(mut self) {
        self.finished = true;
        self.duplex.finish();
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if !self.finished {
            self.duplex.give_up();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("finished", &self.finished).finish_non_exhaustive()
    }
}
