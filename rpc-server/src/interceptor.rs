//! What sees every call of a server.

use std::time::{Duration, Instant};

use rpc_core::{Code, Context, Peer, Status};

/// A call that is over.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Ended<'a> {
    /// The full name of the method.
    pub method: &'a str,
    /// Who called.
    pub peer: &'a Peer,
    /// How it ended; `None`: with a result.
    pub code: Option<Code>,
    /// From when it came in until its answer was ready to be sent.
    pub elapsed: Duration,
}

/// What is kept of a call that interceptors have seen.
#[derive(Clone, Copy)]
pub(crate) struct Intercepted {
    /// When it came in.
    pub(crate) since: Instant,
    /// How many let it pass.
    pub(crate) agreed: usize,
}

/// Sees every call that reaches a method: refuses, counts, times.
///
/// Runs in the task of the connection, so it must not block. Interceptors run in the order in which
/// they were added, and in the opposite order when the call ends.
pub trait Interceptor: Send + Sync + 'static {
    /// The call is about to be handled; its arguments are not decoded yet.
    ///
    /// # Errors
    /// Refuses it with this status; the handler does not run.
    fn before(&self, cx: &Context) -> Result<(), Status> {
        let _ = cx;
        Ok(())
    }

    /// The call is over; called once for each `before` that agreed, unless the connection was lost.
    fn after(&self, call: &Ended<'_>) {
        let _ = call;
    }
}
