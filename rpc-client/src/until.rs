//! What ends a call before its answer does: its time, or the call that it was made for.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rpc_core::context::{Cancelled, Context as CallContext};
use rpc_io::now;
use tokio::time::{Sleep, sleep_until};

/// Nothing for most calls, and small: a call is moved a few times.
#[derive(Default)]
pub(crate) struct Until(Option<Box<Limits>>);

struct Limits {
    time: Option<Time>,
    parent: Option<(CallContext, Cancelled)>,
    /// For a call that is not on a connection, whose timer it would share.
    sleep: Option<Pin<Box<Sleep>>>,
}

#[derive(Clone, Copy)]
struct Time {
    deadline: Instant,
    given: Duration,
}

/// What came first.
pub(crate) enum Stop {
    /// The time is up; this much it was.
    Deadline(Duration),
    Parent,
}

impl Until {
    #[inline]
    pub(crate) fn new(timeout: Option<Duration>, parent: Option<CallContext>) -> Self {
        match (timeout, parent) {
            (None, None) => Self::default(),
            (timeout, parent) => Self::first_of(timeout, parent),
        }
    }

    fn first_of(timeout: Option<Duration>, parent: Option<CallContext>) -> Self {
        let now = now();
        let own = timeout.and_then(|timeout| now.checked_add(timeout));
        let of_parent = parent.as_ref().and_then(CallContext::deadline);
        let first = own.into_iter().chain(of_parent).min();
        let time = first.map(|deadline| Time { deadline, given: deadline.saturating_duration_since(now) });
        let parent = parent.map(|context| (context.clone(), context.cancelled()));
        Self(Some(Box::new(Limits { time, parent, sleep: None })))
    }

    #[inline]
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.time().map(|time| time.deadline)
    }

    #[inline]
    pub(crate) fn time_left(&self) -> Option<Duration> {
        self.time().map(|time| time.deadline.saturating_duration_since(now()))
    }

    fn time(&self) -> Option<Time> {
        self.0.as_ref()?.time
    }

    /// Whether nothing but its answer ends the call.
    #[inline]
    pub(crate) fn is_never(&self) -> bool {
        self.0.is_none()
    }

    /// Whether the call is over before it was made.
    pub(crate) fn already(&self) -> Option<Stop> {
        let limits = self.0.as_ref()?;
        if limits.parent.as_ref().is_some_and(|(parent, _)| parent.cancel_reason().is_some()) {
            return Some(Stop::Parent);
        }
        limits.time.filter(|time| time.given.is_zero()).map(|time| Stop::Deadline(time.given))
    }

    /// The time is up, as the connection saw it.
    pub(crate) fn expired(&self) -> Stop {
        Stop::Deadline(self.time().map_or(Duration::ZERO, |time| time.given))
    }

    /// `on_connection`: there the time is seen to.
    pub(crate) fn poll(&mut self, on_connection: bool, cx: &mut Context<'_>) -> Poll<Stop> {
        let Some(limits) = &mut self.0 else { return Poll::Pending };
        if let Some((_, cancelled)) = &mut limits.parent
            && Pin::new(cancelled).poll(cx).is_ready()
        {
            return Poll::Ready(Stop::Parent);
        }
        if let Some(Time { deadline, given }) = limits.time
            && !on_connection
        {
            let sleep = limits.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline.into())));
            if sleep.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Stop::Deadline(given));
            }
        }
        Poll::Pending
    }
}
