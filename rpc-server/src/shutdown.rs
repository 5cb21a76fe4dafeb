//! Ending in good order: drain, then cancel.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    Serving = 0,
    /// No new calls; those in flight go on.
    Draining = 1,
    /// Those in flight are cancelled.
    Cancelling = 2,
}

/// What became of the calls when a server shut down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Connections that were open when it began.
    pub connections: usize,
    /// Calls in flight that ended by themselves within the grace.
    pub finished: u64,
    /// Calls that were cancelled because the grace ended.
    pub cancelled: u64,
    /// Connections of [routes](crate::Builder::route) that were cut off because the grace ended:
    /// while their handler worked, while its answer was taken, or taken over.
    pub cut_off: u64,
}

/// Tracks every connection, hijacked as they are, and tells them how far the end has come.
#[derive(Default)]
pub(crate) struct Shutdown {
    /// Cheap to look at in every turn of a connection; the tokens only wake.
    phase: AtomicU8,
    pub(crate) drain: CancellationToken,
    pub(crate) cancel: CancellationToken,
    pub(crate) connections: TaskTracker,
    finished: AtomicU64,
    cancelled: AtomicU64,
    cut_off: AtomicU64,
}

impl Shutdown {
    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Serving,
            1 => Phase::Draining,
            _ => Phase::Cancelling,
        }
    }

    /// Ready when the phase after this one has begun.
    pub(crate) fn after(&self, phase: Phase) -> WaitForCancellationFuture<'_> {
        match phase {
            Phase::Serving => self.drain.cancelled(),
            Phase::Draining | Phase::Cancelling => self.cancel.cancelled(),
        }
    }

    pub(crate) fn count_finished(&self) {
        self.finished.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_cancelled(&self) {
        self.cancelled.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_cut_off(&self) {
        self.cut_off.fetch_add(1, Ordering::Relaxed);
    }

    /// Drains for up to `grace`, then cancels what is left, and waits until all is gone.
    /// `connections` are open now.
    pub(crate) async fn run(&self, grace: Duration, connections: usize) -> Report {
        self.enter(Phase::Draining);
        self.drain.cancel();
        self.connections.close();
        if tokio::time::timeout(grace, self.connections.wait()).await.is_err() {
            self.enter(Phase::Cancelling);
            self.cancel.cancel();
            self.connections.wait().await;
        }
        Report {
            connections,
            finished: self.finished.load(Ordering::Relaxed),
            cancelled: self.cancelled.load(Ordering::Relaxed),
            cut_off: self.cut_off.load(Ordering::Relaxed),
        }
    }

    fn enter(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
    }
}
