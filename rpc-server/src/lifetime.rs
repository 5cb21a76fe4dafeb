//! How long a connection may last.

use std::time::{Duration, Instant};

use crate::shutdown::Phase;

/// The end of one connection for its age, in the phases of a shutdown.
pub(crate) struct Lifetime {
    phase: Phase,
    /// When the next phase begins.
    next: Option<Instant>,
}

impl Lifetime {
    /// `None`: for ever.
    pub(crate) fn new(age: Option<Duration>, now: Instant) -> Self {
        Self { phase: Phase::Serving, next: age.and_then(|age| now.checked_add(age)) }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// When to [`advance`](Self::advance).
    pub(crate) fn due(&self) -> Option<Instant> {
        self.next
    }

    /// Whether another phase has begun. Calls in flight go on for `grace`.
    pub(crate) fn advance(&mut self, now: Instant, grace: Duration) -> bool {
        if self.next.is_none_or(|next| now < next) {
            return false;
        }
        (self.phase, self.next) = match self.phase {
            Phase::Serving => (Phase::Draining, now.checked_add(grace)),
            Phase::Draining | Phase::Cancelling => (Phase::Cancelling, None),
        };
        true
    }
}
