//! A blocking method that does not end when it is given up.

use std::sync::{Arc, Mutex, mpsc};

use rpc_core::{CancelReason, Context, Execution, Method, Service, Status};
use tokio::sync::Semaphore;

use crate::within;

/// A method, `Block.Wait`, that tells when it was entered and when and why it was given up, and ends
/// when it is released.
#[derive(Debug)]
pub struct Blocker {
    entered: Arc<Semaphore>,
    given_up: Arc<Semaphore>,
    reason: Arc<Mutex<Option<CancelReason>>>,
    release: mpsc::Sender<()>,
}

impl Blocker {
    /// The method in its service, and the hold on it.
    #[must_use]
    pub fn new() -> (Self, Service) {
        let (release, released) = mpsc::channel();
        let released = Arc::new(Mutex::new(released));
        let entered = Arc::new(Semaphore::new(0));
        let (given_up, reason) = (Arc::new(Semaphore::new(0)), Arc::default());
        let blocker = Self { entered, given_up, reason, release };
        let (entered, given_up) = (blocker.entered.clone(), blocker.given_up.clone());
        let reason = blocker.reason.clone();
        let wait = move |cx: Context, (): ()| {
            let (entered, given_up) = (entered.clone(), given_up.clone());
            let (reason, released) = (reason.clone(), released.clone());
            async move {
                entered.add_permits(1);
                let why = cx.cancelled().await;
                assert_eq!(cx.cancel_reason(), Some(why));
                *reason.lock().expect("never poisoned") = Some(why);
                given_up.add_permits(1);
                let _ = released.lock().map(|released| released.recv());
                Ok::<_, Status>(())
            }
        };
        (blocker, Service::new("Block").with(Method::new("Wait", wait).execution(Execution::Blocking)))
    }

    /// Waits until a call has come in.
    ///
    /// # Panics
    /// When none comes.
    pub async fn entered(&self) {
        within(self.entered.acquire()).await.expect("never closed").forget();
    }

    /// Waits until it has seen that its call was given up, and says why.
    ///
    /// # Panics
    /// When it does not see it.
    pub async fn given_up(&self) -> CancelReason {
        within(self.given_up.acquire()).await.expect("never closed").forget();
        self.reason.lock().expect("never poisoned").expect("told before")
    }

    /// Lets it end.
    ///
    /// # Panics
    /// When there is nobody to let go.
    pub fn release(&self) {
        self.release.send(()).expect("a handler that waits");
    }
}
