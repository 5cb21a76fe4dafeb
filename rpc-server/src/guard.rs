//! Code of the user's, whose panic must not end more than its own work.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

/// It panicked; the panic hook has told how.
pub(crate) struct Panicked;

/// Runs a future to its end, or to its panic; bears also that it panics when it is dropped before.
pub(crate) struct Guarded<'a, T>(Option<Pin<Box<dyn Future<Output = T> + Send + 'a>>>);

pub(crate) fn guarded<'a, T>(future: impl Future<Output = T> + Send + 'a) -> Guarded<'a, T> {
    Guarded(Some(Box::pin(future)))
}

impl<T> Future for Guarded<'_, T> {
    type Output = Result<T, Panicked>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(future) = &mut self.0 else { return Poll::Pending };
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        let ended = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(_) => Err(Panicked),
        };
        Poll::Ready(release(&mut self.0).and(ended))
    }
}

impl<T> Drop for Guarded<'_, T> {
    fn drop(&mut self) {
        let _ = release(&mut self.0);
    }
}

fn release<F>(future: &mut Option<F>) -> Result<(), Panicked> {
    let future = future.take();
    catch_unwind(AssertUnwindSafe(|| drop(future))).map_err(|_| Panicked)
}
