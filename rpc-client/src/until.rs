//! What ends a call before its answer does: its time, or the call that it was made for.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rpc_core::context::{Cancelled, Context as CallContext};
use tokio::time::{Instant, Sleep, sleep_until};

pub(crate) struct Until {
    time: Option<Time>,
    parent: Option<(CallContext, Cancelled)>,
}

struct Time {
    deadline: Instant,
    given: Duration,
    /// Made at the first poll.
    sleep: Option<Pin<Box<Sleep>>>,
}

/// What came first.
pub(crate) enum Stop {
    /// The time is up; this much it was.
    Deadline(Duration),
    Parent,
}

impl Until {
    /// `None` when nothing but its answer ends the call.
    pub(crate) fn new(timeout: Option<Duration>, parent: Option<CallContext>) -> Option<Box<Self>> {
        if timeout.is_none() && parent.is_none() {
            return None;
        }
        let now = Instant::now();
        let own = timeout.and_then(|timeout| now.checked_add(timeout));
        let of_parent = parent.as_ref().and_then(CallContext::deadline).map(Instant::from_std);
        let time = own.into_iter().chain(of_parent).min();
        let time = time.map(|deadline| Time { deadline, given: deadline - now, sleep: None });
        let parent = parent.map(|context| (context.clone(), context.cancelled()));
        Some(Box::new(Self { time, parent }))
    }

    pub(crate) fn deadline(&self) -> Option<std::time::Instant> {
        self.time.as_ref().map(|time| time.deadline.into_std())
    }

    pub(crate) fn time_left(&self) -> Option<Duration> {
        self.time.as_ref().map(|time| time.deadline.saturating_duration_since(Instant::now()))
    }

    /// Whether the call is over before it was made.
    pub(crate) fn already(&self) -> Option<Stop> {
        if self.parent.as_ref().is_some_and(|(context, _)| context.cancel_reason().is_some()) {
            return Some(Stop::Parent);
        }
        self.time.as_ref().filter(|time| time.given.is_zero()).map(|time| Stop::Deadline(time.given))
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Stop> {
        if let Some((_, cancelled)) = &mut self.parent
            && Pin::new(cancelled).poll(cx).is_ready()
        {
            return Poll::Ready(Stop::Parent);
        }
        if let Some(Time { deadline, given, sleep }) = &mut self.time {
            let sleep = sleep.get_or_insert_with(|| Box::pin(sleep_until(*deadline)));
            if sleep.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Stop::Deadline(*given));
            }
        }
        Poll::Pending
    }
}
