//! Many worlds, on all cores.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::tally::Tally;
use crate::world::{self, Verdict};

/// After so many seeds with violations, the rest would only fill the screen.
const ENOUGH: u64 = 20;

/// Which worlds.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// The first seed.
    pub from: u64,
    /// How many, at most.
    pub seeds: u64,
    /// For how long, at most.
    pub time: Option<Duration>,
}

impl Campaign {
    /// Runs them, tells of violations on the standard error output, and returns the counts.
    #[must_use]
    pub fn run(self) -> Tally {
        let began = Instant::now();
        let (next, failed) = (AtomicU64::new(0), AtomicU64::new(0));
        let total = Mutex::new(Tally::default());
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let work = || {
            let mut tally = Tally::default();
            while failed.load(Relaxed) < ENOUGH && self.time.is_none_or(|time| began.elapsed() < time) {
                let at = next.fetch_add(1, Relaxed);
                if at >= self.seeds {
                    break;
                }
                let seed = self.from.wrapping_add(at);
                let verdict = world::run(seed, false, None);
                if !verdict.violations.is_empty() {
                    failed.fetch_add(1, Relaxed);
                    report(seed, &verdict);
                }
                tally.add(&verdict.tally);
            }
            total.lock().unwrap_or_else(PoisonError::into_inner).add(&tally);
        };
        std::thread::scope(|scope| (0..cores).for_each(|_| _ = scope.spawn(work)));
        let total = total.into_inner().unwrap_or_else(PoisonError::into_inner);
        let seconds = began.elapsed().as_secs_f64();
        eprintln!("{:.0} seeds/s on {cores} cores, {seconds:.1} s", total.seeds as f64 / seconds);
        total
    }
}

fn report(seed: u64, verdict: &Verdict) {
    let mut text = format!("seed {seed} (cargo run --release -- --seed {seed} --trace):\n");
    verdict.violations.iter().for_each(|violation| text += &format!("  {violation}\n"));
    eprint!("{text}");
}
