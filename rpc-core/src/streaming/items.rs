//! From what came on a stream to values.

use std::any::Any;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use serde::de::DeserializeOwned;

use crate::format::{DecodeError, Format};
use crate::status::{Executed, Status};
use crate::stream::{Batch, Duplex, Fault, ITEM_COST, Next, Outcome};

/// Turns how a stream ends into the errors of one side, and may end it before its time.
pub trait Ending: Send {
    /// The errors.
    type Error;

    /// Asked while no item is there: ready with what ends the stream on this side.
    fn poll_stop(&mut self, cx: &mut Context<'_>) -> Poll<Self::Error> {
        let _ = cx;
        Poll::Pending
    }

    /// An item came.
    fn heard(&mut self) {}

    /// No more items come; `None`: and that is right.
    fn ended(&mut self, outcome: Outcome) -> Option<Self::Error>;

    /// An item does not decode.
    fn undecodable(&mut self, source: DecodeError) -> Self::Error;
}

impl<X: Ending + ?Sized> Ending for Box<X> {
    type Error = X::Error;

    fn poll_stop(&mut self, cx: &mut Context<'_>) -> Poll<X::Error> {
        (**self).poll_stop(cx)
    }

    fn heard(&mut self) {
        (**self).heard();
    }

    fn ended(&mut self, outcome: Outcome) -> Option<X::Error> {
        (**self).ended(outcome)
    }

    fn undecodable(&mut self, source: DecodeError) -> X::Error {
        (**self).undecodable(source)
    }
}

/// A stream of the client's that is on its way, without its types.
pub struct Opened<E> {
    /// What its items are encoded in.
    pub format: Format,
    /// Its two directions.
    pub duplex: Arc<Duplex>,
    /// How it ends for the caller.
    pub ending: Box<dyn Ending<Error = E>>,
    /// What has to last as long as either half of it.
    pub keep: Arc<dyn Any + Send + Sync>,
}

/// The receiving half of a stream, until it is dropped.
pub(super) struct Items<T, X> {
    duplex: Arc<Duplex>,
    format: Format,
    batch: Batch,
    /// Items that were taken and not told of, and their bytes.
    consumed: (u64, u64),
    half_window: u64,
    ending: X,
    types: PhantomData<fn() -> T>,
}

// Nothing in it is ever pinned in place.
impl<T, X> Unpin for Items<T, X> {}

impl<T, X> Items<T, X> {
    pub(super) fn new(duplex: Arc<Duplex>, format: Format, ending: X) -> Self {
        let half_window = duplex.half_window();
        Self {
            duplex,
            format,
            batch: Batch::default(),
            consumed: (0, 0),
            half_window,
            ending,
            types: PhantomData,
        }
    }
}

impl<T, X> Items<T, X> {
    /// The peer may send more, for what was consumed.
    fn tell(&mut self) {
        let (items, bytes) = std::mem::take(&mut self.consumed);
        if items > 0 {
            self.duplex.consume(items, bytes);
        }
    }
}

impl<T: DeserializeOwned + 'static, X: Ending> Stream for Items<T, X> {
    type Item = Result<T, X::Error>;

    #[inline]
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some((len, body)) = this.batch.pop() {
                let decoded = this.format.decode(body);
                this.consumed.0 += 1;
                this.consumed.1 += len as u64;
                if this.consumed.1 + this.consumed.0 * u64::from(ITEM_COST) >= this.half_window {
                    this.tell();
                }
                return Poll::Ready(Some(decoded.map_err(|source| {
                    this.duplex.stop_reading();
                    this.batch = Batch::default();
                    this.ending.undecodable(source)
                })));
            }
            this.tell();
            match this.duplex.poll_items(cx, &mut this.batch) {
                Poll::Ready(Next::Items) => this.ending.heard(),
                Poll::Ready(Next::End(outcome)) => return Poll::Ready(this.ending.ended(outcome).map(Err)),
                Poll::Pending => {
                    let Poll::Ready(error) = this.ending.poll_stop(cx) else { return Poll::Pending };
                    this.duplex.give_up();
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}

impl<T, X> Drop for Items<T, X> {
    fn drop(&mut self) {
        self.duplex.stop_reading();
    }
}

/// How the items that a client sends end in a handler.
pub(super) struct InHandler;

impl Ending for InHandler {
    type Error = Status;

    fn ended(&mut self, outcome: Outcome) -> Option<Status> {
        Some(match outcome {
            Outcome::Complete => return None,
            Outcome::Fault(fault @ (Fault::ItemTooLarge { .. } | Fault::OutOfMemory)) => {
                Status::resource_exhausted(fault.to_string())
            }
            Outcome::Fault(fault) => Status::unimplemented(fault.to_string()),
            Outcome::Status(status) => *status,
            Outcome::Lost(_) => Status::cancelled("the connection was lost before the last item came"),
            Outcome::Expired | Outcome::GivenUp => {
                Status::cancelled("the call was over before the last item came")
            }
        })
    }

    fn undecodable(&mut self, source: DecodeError) -> Status {
        Status::invalid_argument(format!("an item does not decode: {source}")).with_executed(Executed::Yes)
    }
}
