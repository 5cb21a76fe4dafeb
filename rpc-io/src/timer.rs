//! The one timer of a connection.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::time::{Instant as TokioInstant, Sleep, sleep_until};

/// Wakes a task no later than something is due. Made on first use, and used again.
///
/// What is due moves with every sign of life, mostly to later. The timer does not follow: it goes
/// off when it was set to, and is set anew then. So moving costs a comparison.
#[derive(Debug, Default)]
pub struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    set: Option<Instant>,
    /// Who is woken, once that is settled.
    waker: Option<Waker>,
}

impl Timer {
    /// Ready when `due` has come.
    ///
    /// # Panics
    /// Outside of a tokio runtime with time.
    pub fn poll(&mut self, due: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(due) = due else { return Poll::Pending };
        loop {
            if self.set.is_none_or(|set| due < set) {
                (self.set, self.waker) = (Some(due), None);
                match &mut self.sleep {
                    Some(sleep) => sleep.as_mut().reset(due.into()),
                    none => *none = Some(Box::pin(sleep_until(due.into()))),
                }
            }
            let Some(sleep) = &mut self.sleep else { return Poll::Pending };
            // A poll settles anew who is woken, which costs more than all else of a turn without a
            // deadline.
            let settled = self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
            if settled && !sleep.is_elapsed() {
                return Poll::Pending;
            }
            if sleep.as_mut().poll(cx).is_pending() {
                self.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            (self.set, self.waker) = (None, None);
            if due <= now() {
                return Poll::Ready(());
            }
        }
    }
}

/// The clock of the runtime, which tests and simulations can stop.
#[must_use]
pub fn now() -> Instant {
    TokioInstant::now().into_std()
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::Wake;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_goes_off_when_the_last_due_time_has_come() {
        let (mut timer, start) = (Timer::default(), now());
        let mut dues = [50, 20, 70].map(|ms| start + Duration::from_millis(ms)).into_iter();
        let mut due = dues.next();
        poll_fn(|cx| {
            for later in dues.by_ref() {
                assert!(timer.poll(due, cx).is_pending());
                due = Some(later);
            }
            timer.poll(due, cx)
        })
        .await;
        assert_eq!(now() - start, Duration::from_millis(70));
    }

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_wakes_whoever_polled_it_last() {
        let (mut timer, due) = (Timer::default(), now() + Duration::from_millis(10));
        let (first, last) = (Arc::new(Woken::default()), Arc::new(Woken::default()));
        for woken in [&first, &first, &last, &last] {
            let waker = woken.clone().into();
            assert!(timer.poll(Some(due), &mut Context::from_waker(&waker)).is_pending());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(last.0.load(Ordering::Relaxed) && !first.0.load(Ordering::Relaxed));
    }

    #[tokio::test(start_paused = true)]
    async fn it_can_be_set_again() {
        let mut timer = Timer::default();
        for _ in 0..3 {
            let due = now() + Duration::from_millis(10);
            poll_fn(|cx| timer.poll(Some(due), cx)).await;
            assert_eq!(now(), due);
        }
    }
}
