//! The calls of a connection that were not ready at once.

use std::collections::{BTreeMap, BTreeSet};
use std::task::{Context as TaskContext, Poll};
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rpc_core::{CallId, CancelReason, Context};

use crate::waiting::{Done, Waiting};

#[derive(Default)]
pub(crate) struct Unready {
    calls: FuturesUnordered<Waiting>,
    /// Of `calls`; in order, so that they are given up in the same one each time.
    contexts: BTreeMap<CallId, Context>,
    deadlines: BTreeSet<(Instant, CallId)>,
}

impl Unready {
    pub(crate) fn push(&mut self, context: Context, call: Waiting) {
        if let Some(deadline) = context.deadline() {
            self.deadlines.insert((deadline, context.id()));
        }
        self.contexts.insert(context.id(), context);
        self.calls.push(call);
    }

    /// The next call that has ended. `None`: there are none that could.
    pub(crate) fn poll_next(&mut self, cx: &mut TaskContext<'_>) -> Poll<Option<Done>> {
        if self.calls.is_empty() {
            return Poll::Ready(None);
        }
        self.calls.poll_next_unpin(cx).map(|done| {
            if let Some(Done { record, .. }) = &done {
                let id = record.context.id();
                self.contexts.remove(&id);
                if let Some(deadline) = record.context.deadline() {
                    self.deadlines.remove(&(deadline, id));
                }
            }
            done
        })
    }

    /// When [`expire`](Self::expire) is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Gives up the calls whose deadline has passed.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some((at, id)) = self.deadlines.first().copied()
            && at <= now
        {
            self.deadlines.pop_first();
            self.cancel(id, CancelReason::Deadline);
        }
    }

    /// Gives up one call, if it has not ended.
    pub(crate) fn cancel(&self, id: CallId, reason: CancelReason) {
        if let Some(context) = self.contexts.get(&id) {
            context.cancel(reason);
        }
    }

    /// Those that have not been answered, in order.
    pub(crate) fn contexts(&self) -> impl Iterator<Item = &Context> {
        self.contexts.values()
    }

    /// Drops the handlers.
    pub(crate) fn abandon(&mut self) {
        self.calls = FuturesUnordered::new();
    }
}
