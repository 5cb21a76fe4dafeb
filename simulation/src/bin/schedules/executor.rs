//! A thread for each future, which is polled once for each wake-up and never without.
//!
//! Shuttle's own executor polls a task twice for a wake-up that found it asleep, and so finds no
//! wake-up that is lost right after another one.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use shuttle::sync::{Condvar, Mutex, PoisonError};
use shuttle::thread::{self, JoinHandle};

#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }
}

/// Runs a future on this thread.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    let (mut cx, mut future) = (Context::from_waker(&waker), pin!(future));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        let mut rung = bell.rung.lock().unwrap_or_else(PoisonError::into_inner);
        while !*rung {
            rung = bell.changed.wait(rung).unwrap_or_else(PoisonError::into_inner);
        }
        *rung = false;
    }
}

/// Runs a future on a thread of its own.
pub(crate) fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    thread::spawn(|| block_on(future))
}

/// What they all came to.
pub(crate) fn join<T>(handles: impl IntoIterator<Item = JoinHandle<T>>) -> Vec<T> {
    // One that panicked has ended the schedule.
    handles.into_iter().map(|handle| handle.join().expect("no thread panics")).collect()
}
