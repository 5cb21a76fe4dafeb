//! What sees every call of a client.

use std::time::{Duration, Instant};

use rpc_core::Metadata;

use crate::error::Error;

/// A call that is about to be made.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outgoing<'a> {
    /// The full name of the method.
    pub method: &'a str,
    /// What goes beside the arguments; pairs may be added.
    pub metadata: &'a mut Metadata,
    /// When the call has to be over.
    pub deadline: Option<Instant>,
}

/// A call that is over.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ended<'a> {
    /// The full name of the method.
    pub method: &'a str,
    /// How it ended; `None`: its future was dropped.
    pub outcome: Option<Result<(), &'a Error>>,
    /// From when it was made.
    pub elapsed: Duration,
}

/// Sees every call of a client: adds metadata, refuses, counts, times.
///
/// Runs on the caller's task, so it must not block. Interceptors run in the order in which they
/// were added, and in the opposite order when the call ends.
pub trait Interceptor: Send + Sync + 'static {
    /// The call is about to be made.
    ///
    /// # Errors
    /// Refuses it: the call fails with [`Error::Intercepted`].
    fn before(&self, call: &mut Outgoing<'_>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let _ = call;
        Ok(())
    }

    /// The call is over; called once for each `before` that agreed.
    fn after(&self, call: &Ended<'_>) {
        let _ = call;
    }
}
