//! How it went, in numbers.

use std::fmt;
use std::time::Duration;

use super::job::{Job, Kind};
use super::records::{Outcome, Told};

#[derive(Default)]
pub(crate) struct Tally {
    /// By kind and outcome.
    counts: [[u64; 5]; 5],
    /// Items that were told of.
    items: u64,
    /// Idempotent calls that ran more than once.
    repeated: u64,
    /// Whatever is not as it has to be, what hung among it.
    pub(crate) wrong: u64,
    pub(crate) longest: Duration,
    /// The longest that anybody waited after the time was up.
    latest: Duration,
}

impl Tally {
    pub(crate) fn count(&mut self, job: &Job, told: &Told, begun: u32) {
        self.counts[job.kind as usize][told.outcome as usize] += 1;
        self.items += u64::from(told.got);
        self.repeated += u64::from(job.kind == Kind::Again && begun > 1);
        self.longest = self.longest.max(told.took);
        self.latest = self.latest.max(told.took.saturating_sub(job.time()));
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, more) in self.counts.iter_mut().flatten().zip(other.counts.iter().flatten()) {
            *sum += more;
        }
        self.items += other.items;
        self.repeated += other.repeated;
        self.wrong += other.wrong;
        self.longest = self.longest.max(other.longest);
        self.latest = self.latest.max(other.latest);
    }

    /// All that ended so.
    pub(crate) fn ended(&self, outcome: Outcome) -> u64 {
        self.counts.iter().map(|counts| counts[outcome as usize]).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {:<24}{:>10}{:>8}{:>8}{:>8}{:>8}", "told", "ok", "no", "maybe", "yes", "hung")?;
        for kind in Kind::ALL {
            let name = match kind {
                Kind::Once => "calls",
                Kind::Again => "calls, idempotent",
                Kind::Server => "streams of the server",
                Kind::Client => "streams of the client",
                Kind::Bidi => "streams both ways",
            };
            let [ok, no, maybe, yes, hung] = self.counts[kind as usize];
            writeln!(f, "  {name:<24}{ok:>10}{no:>8}{maybe:>8}{yes:>8}{hung:>8}")?;
        }
        writeln!(
            f,
            "  {} items came; {} idempotent calls ran more than once; the longest wait was {:.1?}, and {:.0?} after its time",
            self.items, self.repeated, self.longest, self.latest
        )?;
        write!(f, "  {} wrong, {} hung", self.wrong, self.ended(Outcome::Hung))
    }
}
