//! What a handler knows of the call it serves.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{self, Poll};
use std::time::Instant;

use http::HeaderMap;

use crate::call_id::CallId;
use crate::cancel::{CancelReason, Signal};
use crate::error::MetadataError;
use crate::format::Format;
use crate::metadata::Metadata;
use crate::peer::{Origin, Peer};
use crate::stream::{Duplex, Outcome};

/// The call that a handler serves: who calls, with what beside the arguments, for how long.
///
/// A clone is the same call; it may outlive the handler, and is then
/// [cancelled](Self::cancelled) with [`CancelReason::Ended`].
#[derive(Clone)]
pub struct Context {
    call: Arc<Call>,
}

struct Call {
    origin: Arc<Origin>,
    method: Arc<str>,
    id: CallId,
    deadline: Option<Instant>,
    metadata: Metadata,
    signal: Signal,
    duplex: Option<Arc<Duplex>>,
    reply: Mutex<Metadata>,
    /// Whether there is anything in `reply`: most answers have no metadata, and a look is cheaper
    /// than a lock.
    has_reply: AtomicBool,
}

impl Context {
    /// A call of its own, with no peer, no deadline and no metadata: for tests of handlers.
    #[must_use]
    pub fn detached(method: &str) -> Self {
        let origin = Origin::new(Peer::unknown(), Format::Bincode);
        Self::new(Arc::new(origin), method.into())
    }

    pub(crate) fn new(origin: Arc<Origin>, method: Arc<str>) -> Self {
        Self {
            call: Arc::new(Call {
                origin,
                method,
                id: CallId::NONE,
                deadline: None,
                metadata: Metadata::EMPTY,
                signal: Signal::default(),
                duplex: None,
                reply: Mutex::default(),
                has_reply: AtomicBool::new(false),
            }),
        }
    }

    /// The context of another call of the same method on the same connection.
    pub(crate) fn sibling(&self) -> Self {
        Self::new(self.call.origin.clone(), self.call.method.clone())
    }

    /// Makes this the context of another call of the same method on the same connection. Its memory
    /// is used again when nobody holds on to the call before.
    #[inline]
    pub(crate) fn renew(
        &mut self,
        id: CallId,
        deadline: Option<Instant>,
        metadata: Metadata,
        duplex: Option<Arc<Duplex>>,
    ) {
        if Arc::strong_count(&self.call) > 1 {
            *self = self.sibling();
        }
        // There are no weak references, so this is the only one.
        if let Some(call) = Arc::get_mut(&mut self.call) {
            call.id = id;
            call.deadline = deadline;
            call.metadata = metadata;
            call.duplex = duplex;
            *call.reply.get_mut().unwrap_or_else(PoisonError::into_inner) = Metadata::EMPTY;
            if call.signal.reason().is_some() {
                call.signal = Signal::default();
            }
        }
    }

    /// Who calls.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.call.origin.peer
    }

    /// The headers of the CONNECT request that opened the connection.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.call.origin.headers
    }

    /// What the bodies of the connection are encoded in.
    #[must_use]
    #[inline]
    pub fn format(&self) -> Format {
        self.call.origin.format
    }

    /// What the server found out when it let the connection in, by its type: a user, say.
    #[must_use]
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.call.origin.extensions.get()
    }

    /// The full name of the method, as it was registered.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.call.method
    }

    /// The id of the call on its connection.
    #[must_use]
    #[inline]
    pub fn id(&self) -> CallId {
        self.call.id
    }

    /// When the call is given up, on this machine's clock: its caller stops waiting then, or the server
    /// gives a call no longer.
    #[must_use]
    #[inline]
    pub fn deadline(&self) -> Option<Instant> {
        self.call.deadline
    }

    /// What came beside the arguments.
    #[must_use]
    #[inline]
    pub fn metadata(&self) -> &Metadata {
        &self.call.metadata
    }

    /// Adds a pair to what goes beside the answer. On a method that answers with a stream: beside its
    /// beginning, until the stream was returned, and after that beside its end.
    ///
    /// # Errors
    /// When key or block break the limits of [`Metadata`].
    pub fn reply_metadata(&self, key: &str, value: impl AsRef<[u8]>) -> Result<(), MetadataError> {
        let inserted = self.call.reply.lock().unwrap_or_else(PoisonError::into_inner).insert(key, value);
        self.call.has_reply.store(true, Ordering::Release);
        inserted
    }

    #[inline]
    pub(crate) fn take_reply_metadata(&self) -> Metadata {
        if !self.call.has_reply.load(Ordering::Acquire) {
            return Metadata::EMPTY;
        }
        self.call.has_reply.store(false, Ordering::Release);
        std::mem::take(&mut self.call.reply.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn duplex(&self) -> Option<&Arc<Duplex>> {
        self.call.duplex.as_ref()
    }

    /// Why the call was given up, if it was.
    ///
    /// A handler that waits is simply dropped when its call is given up; this is for work that
    /// cannot be dropped: a blocking method, a task of its own.
    #[must_use]
    pub fn cancel_reason(&self) -> Option<CancelReason> {
        self.call.signal.reason()
    }

    /// Waits until the call is given up or over. Safe to drop at any time.
    #[must_use]
    pub fn cancelled(&self) -> Cancelled {
        Cancelled { context: self.clone(), key: None }
    }

    /// Gives the call up; the first reason stays. Called by the server that runs it.
    pub fn cancel(&self, reason: CancelReason) {
        self.call.signal.fire(reason);
        // Only then: a handler that its stream ends is seen to have been given up. One that cannot be dropped would wait
        // for items, or for room for them, for ever.
        if let Some(duplex) = &self.call.duplex {
            duplex.end_now(Outcome::GivenUp);
        }
    }

    /// Tells the clones that outlive the handler that the call is over.
    #[inline]
    pub(crate) fn end(&mut self) {
        if Arc::strong_count(&self.call) > 1 {
            self.cancel(CancelReason::Ended);
        } else if (!self.call.metadata.is_empty() || self.call.duplex.is_some())
            && let Some(call) = Arc::get_mut(&mut self.call)
        {
            // A lane may rest for long; it must not hold on to what a client sent.
            call.metadata = Metadata::EMPTY;
            call.duplex = None;
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("method", &self.method())
            .field("id", &self.id())
            .field("peer", self.peer())
            .field("deadline", &self.deadline())
            .field("metadata", self.metadata())
            .field("cancelled", &self.cancel_reason())
            .finish()
    }
}

/// The future of [`Context::cancelled`].
#[derive(Debug)]
pub struct Cancelled {
    context: Context,
    key: Option<u64>,
}

impl Future for Cancelled {
    type Output = CancelReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<CancelReason> {
        let Self { context, key } = &mut *self;
        context.call.signal.poll(key, cx)
    }
}

impl Drop for Cancelled {
    fn drop(&mut self) {
        self.context.call.signal.forget(self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_used_again_unless_somebody_holds_it() {
        let mut context = Context::detached("A.B");
        let place = Arc::as_ptr(&context.call);
        context.cancel(CancelReason::Caller);
        context.renew(CallId::client(1, 0), None, Metadata::EMPTY, None);
        assert_eq!(Arc::as_ptr(&context.call), place);
        assert_eq!(context.cancel_reason(), None);

        let held = context.clone();
        context.end();
        context.renew(CallId::client(2, 0), None, Metadata::EMPTY, None);
        assert_eq!((held.id(), context.id()), (CallId::client(1, 0), CallId::client(2, 0)));
        assert_eq!((held.cancel_reason(), context.cancel_reason()), (Some(CancelReason::Ended), None));
    }
}
