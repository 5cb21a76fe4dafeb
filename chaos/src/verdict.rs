//! What was seen beside what had to be.

use std::fmt;
use std::time::Duration;

/// How a command ended.
pub(crate) enum Verdict {
    /// It was tried, and these are the misses.
    Seen(Misses),
    /// It could not be tried here, or not all of it.
    Skipped(String),
}

impl Default for Verdict {
    fn default() -> Self {
        Self::Seen(Misses::default())
    }
}

/// More are counted, and not told.
const TOLD: usize = 20;

/// What was not as it has to be.
#[derive(Default)]
pub(crate) struct Misses {
    told: Vec<String>,
    count: u64,
}

impl Misses {
    /// Notes a miss unless it holds.
    pub(crate) fn expect(&mut self, holds: bool, miss: impl FnOnce() -> String) {
        if !holds {
            self.count += 1;
            if self.told.len() < TOLD {
                self.told.push(miss());
            }
        }
    }

    /// The verdict of a command that could not try everything.
    pub(crate) fn but_not_all(self, why: String) -> Verdict {
        match self.is_empty() {
            true => Verdict::Skipped(format!("but only in part: {why}")),
            false => Verdict::Seen(self),
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl fmt::Display for Misses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.told.iter().try_for_each(|miss| writeln!(f, "  MISS: {miss}"))?;
        writeln!(f, "  misses: {}", self.count)
    }
}

/// How long something took, time after time.
#[derive(Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn push(&mut self, took: Duration) {
        self.0.push(took);
    }

    pub(crate) fn most(&self) -> Duration {
        self.0.iter().max().copied().unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Zero when nothing was measured.
    pub(crate) fn median(&self) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.iter().max() {
            Some(most) => {
                let ms = |time: Duration| time.as_secs_f64() * 1e3;
                write!(f, "median {:.1} ms, max {:.1} ms", ms(self.median()), ms(*most))
            }
            None => f.write_str("not measured"),
        }
    }
}
