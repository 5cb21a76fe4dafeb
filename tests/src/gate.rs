//! A method that tests can hold open.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rpc_core::handshake::Refusal;
use rpc_core::{Context, Method, Status};
use rpc_server::{Builder, Request};
use tokio::sync::Semaphore;

use crate::within;

/// A method, `Gate.Pass`, that gives its number back once it is let through, and tells when it was
/// entered and when it was left, by itself or by being dropped.
#[derive(Clone, Debug)]
pub struct Gate {
    entered: Arc<Semaphore>,
    open: Arc<Semaphore>,
    dropped: Arc<Semaphore>,
    ran: Arc<AtomicUsize>,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        let closed = || Arc::new(Semaphore::new(0));
        Self { entered: closed(), open: closed(), dropped: closed(), ran: Arc::default() }
    }

    /// Adds the method.
    pub fn register(&self, builder: Builder) -> Builder {
        let gate = self.clone();
        builder.register_fn("Gate.Pass", move |_: Context, number: i64| gate.clone().pass(number))
    }

    /// The same as a method of any service, to set its execution.
    #[must_use]
    pub fn method(&self, name: &'static str) -> Method {
        let gate = self.clone();
        Method::new(name, move |_: Context, number: i64| gate.clone().pass(number))
    }

    /// A hook that lets in whom the gate lets through.
    pub fn hook(
        &self,
    ) -> impl Fn(Request) -> Pin<Box<dyn Future<Output = Result<i64, Refusal>> + Send>> + Send + Sync + use<>
    {
        let gate = self.clone();
        move |_| {
            let passing = gate.clone().pass(1);
            Box::pin(async move { passing.await.map_err(|_| Refusal::forbidden("")) })
        }
    }

    /// What the method does: for routes and hooks too.
    ///
    /// # Errors
    /// None, since a gate is never closed for good.
    pub async fn pass(self, number: i64) -> Result<i64, Status> {
        let mut leaving = Leaving(Some(self.dropped));
        self.ran.fetch_add(1, Ordering::Relaxed);
        self.entered.add_permits(1);
        self.open.acquire().await?.forget();
        leaving.0 = None;
        Ok(number)
    }

    /// Waits until one more call has come in.
    ///
    /// # Panics
    /// When none comes.
    pub async fn entered(&self) {
        within(self.entered.acquire()).await.expect("never closed").forget();
    }

    /// Lets so many calls through.
    pub fn open(&self, calls: usize) {
        self.open.add_permits(calls);
    }

    /// Waits until one more call was dropped before it was let through.
    ///
    /// # Panics
    /// When none is.
    pub async fn dropped(&self) {
        within(self.dropped.acquire()).await.expect("never closed").forget();
    }

    /// How many calls came in so far.
    #[must_use]
    pub fn ran(&self) -> usize {
        self.ran.load(Ordering::Relaxed)
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

struct Leaving(Option<Arc<Semaphore>>);

impl Drop for Leaving {
    fn drop(&mut self) {
        if let Some(dropped) = self.0.take() {
            dropped.add_permits(1);
        }
    }
}
