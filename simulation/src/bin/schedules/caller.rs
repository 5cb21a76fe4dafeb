//! A caller, as the client's `Pending` is one.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use rpc_core::client::{OpenError, Outcome, RequestHead};
use rpc_core::{CallId, Metadata};

use crate::error::Lost;
use crate::shared::{Rejected, Shared};

/// How a call ended.
#[derive(Debug)]
pub(crate) enum End {
    Outcome(Outcome),
    /// It was not submitted.
    Lost(#[expect(dead_code, reason = "read by people only")] Lost),
}

enum State {
    New,
    Queued(u64),
    Sent(CallId),
    Over,
}

pub(crate) struct Caller {
    shared: Arc<Shared>,
    deadline: Option<Instant>,
    body: Vec<u8>,
    state: State,
}

impl Caller {
    /// A call whose answer is to be its own body.
    pub(crate) fn new(shared: &Arc<Shared>, body: u8, deadline: Option<Instant>) -> Self {
        Self { shared: shared.clone(), deadline, body: vec![body], state: State::New }
    }

    /// Submits the call without waiting, as `start` does.
    pub(crate) fn start(mut self) -> Self {
        if let Poll::Ready(end) = self.submit(None, None) {
            drop(end);
            self.state = State::Over;
        }
        self
    }

    fn submit(&mut self, cx: Option<&mut Context<'_>>, ticket: Option<u64>) -> Poll<End> {
        let head = RequestHead { method: "A.B", time_left: None, metadata: &Metadata::EMPTY, stream: None };
        let waker = cx.map(|cx| cx.waker());
        match self.shared.submit(head, self.deadline, &self.body, None, waker, ticket) {
            Ok((id, _)) => self.state = State::Sent(id),
            Err(Rejected::Queued(ticket)) => self.state = State::Queued(ticket),
            Err(Rejected::NoRoom) => {}
            Err(Rejected::Open(OpenError::GoingAway)) => {
                self.state = State::Over;
                return Poll::Ready(End::Lost(self.shared.lost()));
            }
            Err(Rejected::Open(error)) => panic!("{error}"),
            Err(Rejected::Lost(lost)) => {
                self.state = State::Over;
                return Poll::Ready(End::Lost(lost));
            }
        }
        Poll::Pending
    }
}

impl Future for Caller {
    type Output = End;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        let this = self.get_mut();
        match this.state {
            State::New => this.submit(Some(cx), None),
            State::Queued(ticket) => {
                ready!(this.shared.poll_room(ticket, cx.waker()));
                this.submit(Some(cx), Some(ticket))
            }
            State::Sent(id) => {
                let mut body = Vec::new();
                let outcome = ready!(this.shared.poll(id, cx.waker(), &mut body));
                this.state = State::Over;
                if let Outcome::Response { .. } = outcome {
                    assert_eq!(body, this.body, "the answer is another call's");
                }
                Poll::Ready(End::Outcome(outcome))
            }
            State::Over => panic!("ended twice"),
        }
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        match self.state {
            State::Sent(id) => self.shared.abandon(id),
            State::Queued(ticket) => self.shared.leave_queue(ticket),
            State::New | State::Over => {}
        }
    }
}
