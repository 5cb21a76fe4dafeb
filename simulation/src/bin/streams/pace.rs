//! How fast somebody is.

use std::future::Future;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::time::{sleep, timeout};

use crate::ledger::Ledger;
use crate::plan::{Pace, Stall};

/// Somebody with a pace, who makes or takes items.
pub(crate) struct Walker {
    pace: Pace,
    rng: SmallRng,
    index: usize,
    /// The direction that stands still when this does.
    takes: Option<(usize, bool)>,
}

impl Walker {
    pub(crate) fn producer(pace: &Pace) -> Self {
        let rng = SmallRng::seed_from_u64(pace.seed);
        Self { pace: pace.clone(), rng, index: 0, takes: None }
    }

    pub(crate) fn consumer(pace: &Pace, stream: usize, up: bool) -> Self {
        Self { takes: Some((stream, up)), ..Self::producer(pace) }
    }

    /// Before the next item.
    pub(crate) async fn pause(&mut self, ledger: &Ledger) {
        let index = self.index;
        self.index += 1;
        if let Some((at, stall)) = self.pace.stall
            && at == index
        {
            if let Some((stream, up)) = self.takes {
                ledger.stalled(stream, up, true);
            }
            match stall {
                Stall::For(time) => sleep(time).await,
                Stall::UntilTold => ledger.release.cancelled().await,
            }
            if let Some((stream, up)) = self.takes {
                ledger.stalled(stream, up, false);
            }
        }
        let (often, longest) = self.pace.pauses;
        if often > 0.0 && self.rng.random_bool(often) {
            sleep(longest.mul_f64(self.rng.random())).await;
        }
    }

    /// Tries it, perhaps for a moment only; `None`: it was dropped before it was ready.
    pub(crate) async fn attempt<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        if self.pace.impatient > 0.0 && self.rng.random_bool(self.pace.impatient) {
            let moment = Duration::from_millis(self.rng.random_range(0..50));
            return timeout(moment, future).await.ok();
        }
        Some(future.await)
    }
}
