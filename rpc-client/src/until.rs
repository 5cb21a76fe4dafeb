//! What ends a call before its answer does: its time, or the call that it was made for.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rpc_core::context::{Cancelled, Context as CallContext};
use rpc_io::now;
use tokio::time::{Sleep, sleep_until};

/// Small, for every call has one and is moved a few times.
#[derive(Default)]
pub(crate) struct Until {
    time: Option<Time>,
    parent: Option<Box<(CallContext, Cancelled)>>,
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
        let parent = parent.map(|context| Box::new((context.clone(), context.cancelled())));
        Self { time, parent, sleep: None }
    }

    #[inline]
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.time.map(|time| time.deadline)
    }

    #[inline]
    pub(crate) fn time_left(&self) -> Option<Duration> {
        self.time.map(|time| time.deadline.saturating_duration_since(now()))
    }

    /// Whether nothing but its answer ends the call.
    #[inline]
    pub(crate) fn is_never(&self) -> bool {
        self.time.is_none() && self.parent.is_none()
    }

    /// Whether the call is over before it was made.
    pub(crate) fn already(&self) -> Option<Stop> {
        if self.parent.as_ref().is_some_and(|parent| parent.0.cancel_reason().is_some()) {
            return Some(Stop::Parent);
        }
        self.time.filter(|time| time.given.is_zero()).map(|time| Stop::Deadline(time.given))
    }

    /// The time is up, as the connection saw it.
    pub(crate) fn expired(&self) -> Stop {
        Stop::Deadline(self.time.map_or(Duration::ZERO, |time| time.given))
    }

    /// `on_connection`: there the time is seen to.
    pub(crate) fn poll(&mut self, on_connection: bool, cx: &mut Context<'_>) -> Poll<Stop> {
        if let Some(parent) = &mut self.parent
            && Pin::new(&mut parent.1).poll(cx).is_ready()
        {
            return Poll::Ready(Stop::Parent);
        }
        if let Some(Time { deadline, given }) = self.time
            && !on_connection
        {
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline.into())));
            if sleep.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Stop::Deadline(given));
            }
        }
        Poll::Pending
    }
}
