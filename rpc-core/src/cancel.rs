//! Cancellation of one call, without a runtime.

use std::task::{Context, Poll, Waker};

use crate::sync::{AtomicU8, Mutex, MutexGuard, Ordering, PoisonError};

/// Why a call was given up, or that it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CancelReason {
    /// The caller dropped it.
    Caller,
    /// Its deadline passed.
    Deadline,
    /// The connection was lost.
    Disconnected,
    /// The server's grace for a shutdown ended.
    Shutdown,
    /// The connection reached the age that the server gives one, and the grace after that ended.
    ConnectionAge,
    /// It was answered; seen only by what outlives the handler.
    Ended,
}

const REASONS: [CancelReason; 6] = [
    CancelReason::Caller,
    CancelReason::Deadline,
    CancelReason::Disconnected,
    CancelReason::Shutdown,
    CancelReason::ConnectionAge,
    CancelReason::Ended,
];

/// Fires once; the first reason stays.
///
/// Costs no allocation until somebody waits.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    /// 0: not fired; otherwise the reason's place in `REASONS` plus one.
    fired: AtomicU8,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    wakers: Vec<(u64, Waker)>,
}

impl Signal {
    #[inline]
    pub(crate) fn reason(&self) -> Option<CancelReason> {
        let fired = usize::from(self.fired.load(Ordering::Acquire));
        REASONS.get(fired.checked_sub(1)?).copied()
    }

    pub(crate) fn fire(&self, reason: CancelReason) {
        let place = REASONS.iter().position(|one| *one == reason).map_or(0, |at| at + 1) as u8;
        if self.fired.compare_exchange(0, place, Ordering::AcqRel, Ordering::Acquire).is_err() {
            return;
        }
        let wakers = std::mem::take(&mut self.waiting().wakers);
        wakers.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// `key` is the caller's place among those who wait, made at its first poll.
    pub(crate) fn poll(&self, key: &mut Option<u64>, cx: &mut Context<'_>) -> Poll<CancelReason> {
        if let Some(reason) = self.reason() {
            return Poll::Ready(reason);
        }
        let mut waiting = self.waiting();
        // `fire` sets the flag before it takes the wakers, so one of the two sides sees the other.
        if let Some(reason) = self.reason() {
            return Poll::Ready(reason);
        }
        let key = *key.get_or_insert_with(|| {
            waiting.next += 1;
            waiting.next
        });
        match waiting.wakers.iter_mut().find(|(one, _)| *one == key) {
            Some((_, waker)) => waker.clone_from(cx.waker()),
            None => waiting.wakers.push((key, cx.waker().clone())),
        }
        Poll::Pending
    }

    pub(crate) fn forget(&self, key: Option<u64>) {
        let Some(key) = key else { return };
        let mut waiting = self.waiting();
        let at = waiting.wakers.iter().position(|(one, _)| *one == key);
        let waker = at.map(|at| waiting.wakers.swap_remove(at));
        drop(waiting);
        drop(waker);
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_stays_and_wakes_those_who_wait() {
        let signal = Signal::default();
        let mut cx = Context::from_waker(Waker::noop());
        let (mut one, mut two) = (None, None);
        assert!(signal.poll(&mut one, &mut cx).is_pending());
        assert!(signal.poll(&mut two, &mut cx).is_pending());
        assert!(signal.poll(&mut one, &mut cx).is_pending());
        assert_eq!(signal.waiting().wakers.len(), 2);
        signal.forget(two);
        assert_eq!(signal.waiting().wakers.len(), 1);
        signal.fire(CancelReason::Deadline);
        signal.fire(CancelReason::Caller);
        assert_eq!(signal.poll(&mut one, &mut cx), Poll::Ready(CancelReason::Deadline));
        assert!(signal.waiting().wakers.is_empty());
    }
}
