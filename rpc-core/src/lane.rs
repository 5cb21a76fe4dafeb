//! How the calls of one method run on one connection, without allocating for those that end at once.

use std::future::Future;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::body::Body;
use crate::call_id::CallId;
use crate::context::Context;
use crate::frame::Kind;
use crate::message::{self, write_metadata};
use crate::metadata::Metadata;
use crate::output::Output;
use crate::peer::Origin;
use crate::status::{Code, Executed, Status};
use crate::stream::Duplex;

/// A call whose handler has been made.
pub trait Running: Send {
    /// The call.
    fn context(&self) -> &Context;

    /// Polls the handler; ready once it has ended, also by a panic.
    fn poll(&mut self, cx: &mut task::Context<'_>) -> Poll<()>;

    /// Drops the handler and makes `status` the outcome, with what it says of having run.
    fn fail(&mut self, status: Status);

    /// Appends the terminal frame. Called once, after `poll` was ready or after `fail`.
    fn reply(&mut self, limit: u32, out: &mut Output) -> Ended;
}

/// The calls of one method on one connection, one at a time: [`open`](Self::open),
/// [`begin`](Self::begin), then [`Running::poll`]; a call that is not ready is
/// [detached](Self::detach) to go on elsewhere.
pub trait Lane: Running {
    /// Makes the context of a new call.
    fn open(
        &mut self,
        id: CallId,
        deadline: Option<Instant>,
        metadata: Metadata,
        duplex: Option<Arc<Duplex>>,
    ) -> &Context;

    /// Decodes the arguments and makes the handler.
    ///
    /// # Errors
    /// `InvalidArgument` when they do not decode, `Internal` after a panic. The status says whether
    /// the handler may have run.
    fn begin(&mut self, body: Body<'_>) -> Result<(), Status>;

    /// Lets the call go on by itself; the lane is free for the next one.
    fn detach(&mut self) -> Box<dyn Running>;
}

/// How a call ended on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// `None`: with a result.
    pub code: Option<Code>,
    /// Whether the handler, or the encoding of its answer, panicked.
    pub panicked: bool,
}

pub(crate) struct FnLane<H, A, R, E, F> {
    handler: Arc<H>,
    /// What says that all went well: the result, or that its items were all.
    answer: Kind,
    context: Context,
    /// Boxed once, so that a handler that ends at its first poll costs no allocation.
    future: Pin<Box<Option<F>>>,
    outcome: Option<Result<R, Status>>,
    panicked: bool,
    types: PhantomData<fn(A) -> E>,
}

impl<H, A, R, E, F> FnLane<H, A, R, E, F> {
    /// `items`: the handler sends its answer itself, as the items of a stream.
    pub(crate) fn new(handler: Arc<H>, items: bool, origin: Arc<Origin>, method: Arc<str>) -> Self {
        Self::with(handler, if items { Kind::End } else { Kind::Response }, Context::new(origin, method))
    }

    fn with(handler: Arc<H>, answer: Kind, context: Context) -> Self {
        Self {
            handler,
            answer,
            context,
            future: Box::pin(None),
            outcome: None,
            panicked: false,
            types: PhantomData,
        }
    }

    /// Runs code of the user's; a panic becomes a status.
    fn guarded<T>(panicked: &mut bool, run: impl FnOnce() -> T) -> Result<T, Status> {
        catch_unwind(AssertUnwindSafe(run)).map_err(|payload| {
            *panicked = true;
            // What it panicked with is the user's too, and may panic when it is dropped.
            if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                std::mem::forget(again);
            }
            Status::internal("the handler panicked")
        })
    }
}

impl<H, A, R, E, F> Drop for FnLane<H, A, R, E, F> {
    /// What is left of the user's must not unwind into the connection, which may drop others with it.
    fn drop(&mut self) {
        let Self { future, outcome, panicked, .. } = self;
        let _ = Self::guarded(panicked, || future.set(None));
        let _ = Self::guarded(panicked, || *outcome = None);
    }
}

impl<H, A, R, E, F> Running for FnLane<H, A, R, E, F>
where
    H: Fn(Context, A) -> F + Send + Sync + 'static,
    F: Future<Output = Result<R, E>> + Send + 'static,
    A: DeserializeOwned + Send + 'static,
    R: Serialize + Send + 'static,
    E: Into<Status>,
{
    fn context(&self) -> &Context {
        &self.context
    }

    #[inline]
    fn poll(&mut self, cx: &mut task::Context<'_>) -> Poll<()> {
        let future = &mut self.future;
        let polled = Self::guarded(&mut self.panicked, || {
            let Some(running) = future.as_mut().as_pin_mut() else { return Poll::Ready(None) };
            let outcome = std::task::ready!(running.poll(cx));
            future.set(None);
            Poll::Ready(Some(outcome.map_err(|error| error.into().with_executed(Executed::Yes))))
        });
        match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(outcome)) => self.outcome = outcome.or(self.outcome.take()),
            Err(status) => self.fail(status),
        }
        Poll::Ready(())
    }

    fn fail(&mut self, status: Status) {
        let Self { future, outcome, panicked, .. } = self;
        // A second panic, in a destructor, changes nothing about the status.
        let _ = Self::guarded(panicked, || future.set(None));
        let _ = Self::guarded(panicked, || *outcome = None);
        self.outcome = Some(Err(status));
    }

    #[inline]
    fn reply(&mut self, limit: u32, out: &mut Output) -> Ended {
        let (id, format, answer) = (self.context.id(), self.context.format(), self.answer);
        let metadata = self.context.take_reply_metadata();
        let outcome =
            self.outcome.take().unwrap_or_else(|| Err(Status::internal("the handler left no answer")));
        #[cfg(planted)]
        if crate::planted::bites(crate::planted::Bug::LostAnswer) {
            return Ended { code: None, panicked: false };
        }
        let ended = Self::guarded(&mut self.panicked, || {
            let value = outcome?;
            let mut draft = out.draft(answer, id);
            let flags = write_metadata(draft.body(), &metadata);
            let shared = match answer {
                Kind::End => None,
                _ => format
                    .encode_split(&value, draft.body())
                    .map_err(|error| Status::internal(format!("the reply could not be encoded: {error}")))?,
            };
            // While the draft can still be dropped: after a panic here the call must not have its
            // answer already.
            drop(value);
            draft.finish(flags, shared, limit).map_err(|large| {
                let text = format!("reply of {} bytes is over the caller's limit of {limit}", large.len);
                Status::resource_exhausted(text)
            })
        });
        self.context.end();
        let code = match ended.and_then(|ended| ended) {
            Ok(()) => None,
            Err(status) => {
                put_status(id, &status, status.executed(), &metadata, limit, out);
                Some(status.code())
            }
        };
        Ended { code, panicked: std::mem::take(&mut self.panicked) }
    }
}

impl<H, A, R, E, F> Lane for FnLane<H, A, R, E, F>
where
    H: Fn(Context, A) -> F + Send + Sync + 'static,
    F: Future<Output = Result<R, E>> + Send + 'static,
    A: DeserializeOwned + Send + 'static,
    R: Serialize + Send + 'static,
    E: Into<Status> + 'static,
{
    #[inline]
    fn open(
        &mut self,
        id: CallId,
        deadline: Option<Instant>,
        metadata: Metadata,
        duplex: Option<Arc<Duplex>>,
    ) -> &Context {
        self.context.renew(id, deadline, metadata, duplex);
        self.panicked = false;
        &self.context
    }

    #[inline]
    fn begin(&mut self, body: Body<'_>) -> Result<(), Status> {
        let Self { handler, context, future, panicked, .. } = self;
        Self::guarded(panicked, || {
            let args = context.format().decode::<A>(body).map_err(|error| {
                let text = format!("arguments of {} do not decode: {error}", context.method());
                Status::invalid_argument(text).with_executed(Executed::No)
            })?;
            future.set(Some(handler(context.clone(), args)));
            Ok(())
        })?
    }

    fn detach(&mut self) -> Box<dyn Running> {
        let fresh = Self::with(self.handler.clone(), self.answer, self.context.sibling());
        Box::new(std::mem::replace(self, fresh))
    }
}

/// Appends a Status frame; one too large for the peer is replaced by a short one that says so.
pub fn put_status(
    id: CallId,
    status: &Status,
    executed: Executed,
    metadata: &Metadata,
    limit: u32,
    out: &mut Output,
) {
    let mut draft = out.draft(Kind::Status, id);
    let flags = write_metadata(draft.body(), metadata);
    message::write_status(draft.body(), status, executed);
    if let Err(large) = draft.finish(flags, None, limit) {
        let text = format!(
            "status of {} bytes ({}) is over the caller's limit of {limit}",
            large.len,
            status.code()
        );
        let mut draft = out.draft(Kind::Status, id);
        message::write_status(draft.body(), &Status::resource_exhausted(text), executed);
        // Fits: the smallest limit that a peer can announce is far larger.
        let _ = draft.finish(0, None, limit);
    }
}

#[cfg(test)]
mod tests;
