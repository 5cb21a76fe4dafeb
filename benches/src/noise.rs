//! How busy the machine is with other things.

use std::fs::read_to_string;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Ticks of all CPUs since the start of the machine, from /proc/stat: those that were busy or
/// stolen, and all.
#[derive(Clone, Copy, Debug)]
pub struct Ticks {
    busy: u64,
    all: u64,
}

impl Ticks {
    /// `None` where there is no /proc.
    #[must_use]
    pub fn now() -> Option<Self> {
        let stat = read_to_string("/proc/stat").ok()?;
        // user nice system idle iowait irq softirq steal; what follows is counted in user already.
        let line = stat.lines().next()?.split_whitespace().skip(1).take(8);
        let ticks: Vec<u64> = line.map_while(|tick| tick.parse().ok()).collect();
        let all = ticks.iter().sum();
        let idle = ticks.get(3)? + ticks.get(4)?;
        Some(Self { busy: all - idle, all })
    }

    /// The CPUs that were busy between `before` and now, on average: 2.0 is two.
    #[must_use]
    pub fn busy_since(self, before: Self) -> f64 {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let all = (self.all - before.all).max(1);
        (self.busy - before.busy) as f64 / all as f64 * cpus as f64
    }
}

/// Waits until the machine is all but idle, at the most for `longest`.
pub fn wait_for_quiet(longest: Duration) {
    let began = Instant::now();
    while began.elapsed() < longest {
        let Some(before) = Ticks::now() else { return };
        sleep(Duration::from_millis(200));
        let Some(after) = Ticks::now() else { return };
        if after.busy_since(before) < 0.15 {
            return;
        }
    }
}
