//! Handlers that do what they are told.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use rpc_core::{CallId, Status, Stream, Streaming};

/// A stream, as its handler sees it, and what the handler is to do next.
#[derive(Default)]
pub(crate) struct Handler {
    pub(crate) may_take: usize,
    pub(crate) drops_input: bool,
    pub(crate) taken: usize,
    pub(crate) input_ended: Option<bool>,
    pub(crate) to_send: VecDeque<usize>,
    pub(crate) sent: Vec<usize>,
    pub(crate) ends: Option<Result<(), ()>>,
    pub(crate) ended: Option<Result<(), ()>>,
}

pub(crate) type Handlers = Arc<Mutex<BTreeMap<CallId, Handler>>>;

pub(crate) fn lock(handlers: &Handlers) -> MutexGuard<'_, BTreeMap<CallId, Handler>> {
    handlers.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn body(id: CallId, up: bool, index: usize, len: usize) -> Bytes {
    let salt = id.counter() as usize * 7 + usize::from(up) * 3 + index * 11;
    (0..len).map(|at| (salt + at / 255) as u8).collect::<Vec<_>>().into()
}

/// What a handler does: takes items, then sends some.
pub(crate) struct Feed {
    pub(crate) id: CallId,
    pub(crate) handlers: Handlers,
    pub(crate) input: Option<Streaming<Bytes>>,
}

impl Feed {
    /// What it is to do next is no later than what it did.
    fn take(&mut self, cx: &mut Context<'_>) {
        let mut handlers = lock(&self.handlers);
        let handler = handlers.get_mut(&self.id).expect("it has begun");
        if handler.drops_input {
            self.input = None;
        }
        while handler.may_take > 0
            && handler.input_ended.is_none()
            && let Some(input) = &mut self.input
            && let Poll::Ready(item) = Pin::new(input).poll_next(cx)
        {
            handler.may_take -= 1;
            match item {
                None => handler.input_ended = Some(true),
                Some(Err(_)) => handler.input_ended = Some(false),
                Some(Ok(item)) => {
                    let expected = body(self.id, true, handler.taken, item.len());
                    assert_eq!(item, expected, "{}: item {} is another", self.id, handler.taken);
                    handler.taken += 1;
                }
            }
        }
    }

    pub(crate) fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<u32, Status>> {
        self.take(cx);
        let mut handlers = lock(&self.handlers);
        let handler = handlers.get_mut(&self.id).expect("it has begun");
        let waits = self.input.is_some() && handler.input_ended.is_none() && handler.may_take > 0;
        let Some(end) = handler.ends.filter(|_| !waits) else { return Poll::Pending };
        handler.ended = Some(end);
        let taken = handler.taken as u32;
        Poll::Ready(end.map(|()| taken).map_err(|()| Status::aborted("told to")))
    }
}

impl Stream for Feed {
    type Item = Result<Bytes, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        this.take(cx);
        let mut handlers = lock(&this.handlers);
        let handler = handlers.get_mut(&this.id).expect("it has begun");
        if let Some(len) = handler.to_send.pop_front() {
            let item = body(this.id, false, handler.sent.len(), len);
            handler.sent.push(len);
            return Poll::Ready(Some(Ok(item)));
        }
        let Some(end) = handler.ends else { return Poll::Pending };
        handler.ended = Some(end);
        Poll::Ready(end.err().map(|()| Err(Status::aborted("told to"))))
    }
}
