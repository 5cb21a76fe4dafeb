//! What is counted, timed and read from the system.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Result;
use hdrhistogram::Histogram;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::{Deserialize, Serialize};

/// Counts the calls of all tasks.
#[derive(Debug)]
pub struct Meter {
    counts: Vec<Arc<AtomicU64>>,
    nanoseconds: Arc<Mutex<Histogram<u64>>>,
}

/// Counts the calls of one task.
#[derive(Debug)]
pub struct Tally {
    /// Written by one task alone, so that counting needs no locked instruction.
    count: Arc<AtomicU64>,
    nanoseconds: Option<Arc<Mutex<Histogram<u64>>>>,
}

impl Meter {
    /// Nothing yet.
    ///
    /// # Errors
    /// Never: a minute with three significant digits is within the histogram's bounds.
    pub fn new() -> Result<Self> {
        let nanoseconds = Histogram::new_with_max(60_000_000_000, 3)?;
        Ok(Self { counts: Vec::new(), nanoseconds: Arc::new(Mutex::new(nanoseconds)) })
    }

    /// For one more task.
    pub fn tally(&mut self, timed: bool) -> Tally {
        let count = Arc::<AtomicU64>::default();
        self.counts.push(count.clone());
        Tally { count, nanoseconds: timed.then(|| self.nanoseconds.clone()) }
    }

    /// Calls that have ended so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Forgets the latencies so far.
    pub fn forget_latencies(&self) {
        self.nanoseconds.lock().unwrap_or_else(PoisonError::into_inner).reset();
    }

    /// Microseconds that this part of the calls took at the most, if calls were timed.
    #[must_use]
    pub fn latency(&self, quantile: f64) -> Option<f64> {
        let nanoseconds = self.nanoseconds.lock().unwrap_or_else(PoisonError::into_inner);
        (!nanoseconds.is_empty()).then(|| nanoseconds.value_at_quantile(quantile) as f64 / 1e3)
    }
}

impl Tally {
    /// Calls that have ended.
    #[inline]
    pub fn add(&mut self, calls: u64) {
        self.count.store(self.count.load(Ordering::Relaxed) + calls, Ordering::Relaxed);
    }

    /// A call begins: reads the clock if calls are timed.
    #[inline]
    #[must_use]
    pub fn begin(&self) -> Option<Instant> {
        self.nanoseconds.as_ref().map(|_| Instant::now())
    }

    /// The call that began then has ended.
    #[inline]
    pub fn end(&mut self, began: Option<Instant>) {
        self.add(1);
        if let (Some(began), Some(nanoseconds)) = (began, &self.nanoseconds) {
            let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
            nanoseconds.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(took);
        }
    }
}

/// CPU time in microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Cpu {
    /// Spent in the program.
    pub user: f64,
    /// Spent in the kernel for it.
    pub system: f64,
}

impl Cpu {
    /// Of this process, so far.
    ///
    /// # Errors
    /// As the system's.
    pub fn used() -> Result<Self> {
        let usage = getrusage(UsageWho::RUSAGE_SELF)?;
        let micros = |time: nix::sys::time::TimeVal| time.num_microseconds() as f64;
        Ok(Self { user: micros(usage.user_time()), system: micros(usage.system_time()) })
    }

    /// What came on top since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self { user: self.user - before.user, system: self.system - before.system }
    }

    /// In the program and in the kernel.
    #[must_use]
    pub fn total(self) -> f64 {
        self.user + self.system
    }
}

/// One measurement, as the driver prints it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// Calls that ended in the measured span.
    pub calls: u64,
    /// Its length.
    pub seconds: f64,
    /// CPU time of the client in it.
    pub client: Cpu,
    /// Median latency in microseconds.
    pub p50: Option<f64>,
    /// The latency that one call in a hundred exceeds, in microseconds.
    pub p99: Option<f64>,
    /// Calls with those of the warm-up, for counts that span the whole process.
    pub all_calls: u64,
}

impl Sample {
    /// Calls per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.calls as f64 / self.seconds
    }
}
