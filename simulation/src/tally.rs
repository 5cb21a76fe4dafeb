//! How often what happened.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use rpc_core::Executed;

use crate::journal::{Outcome, Record};
use crate::streams::StreamRecord;

const SEEDS: &str = "= seeds";
const CALLS: &str = "= calls";
const VIOLATIONS: &str = "= violations";
const ANSWERED: &str = "= ok";
const GIVEN_UP: &str = "= given up";
const NO: &str = "= No";
const MAYBE: &str = "= Maybe";
const YES: &str = "= Yes";

/// Counts of worlds, calls, outcomes and faults. As text it can be read again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    counts: BTreeMap<Cow<'static, str>, u64>,
}

impl Tally {
    /// So many more of that kind.
    pub fn count(&mut self, kind: impl Into<Cow<'static, str>>, times: usize) {
        *self.counts.entry(kind.into()).or_default() += times as u64;
    }

    /// A world with so many broken promises.
    pub fn world(&mut self, violations: usize) {
        self.count(SEEDS, 1);
        self.count(VIOLATIONS, violations);
    }

    /// A call that is over.
    pub fn call(&mut self, record: &Record) {
        self.count(CALLS, 1);
        self.count("call that ran", record.begun.min(1) as usize);
        self.count("call that ran again", record.begun.saturating_sub(1) as usize);
        for (outcome, _) in &record.ended {
            match outcome {
                Outcome::Answered { .. } => self.count(ANSWERED, 1),
                Outcome::GivenUp => self.count(GIVEN_UP, 1),
                Outcome::Failed { executed, kind, .. } => {
                    self.count(*kind, 1);
                    let executed = match executed {
                        Executed::No => NO,
                        Executed::Maybe => MAYBE,
                        Executed::Yes => YES,
                    };
                    self.count(executed, 1);
                }
            }
        }
    }

    /// A call with items that is over.
    pub fn stream(&mut self, record: &StreamRecord) {
        self.count("stream", 1);
        self.count("stream that ran", record.begun as usize);
        self.count("item of a stream", record.taken.iter().sum());
        for (outcome, _) in &record.ended {
            match outcome {
                Outcome::Answered { .. } => self.count("stream: complete", 1),
                Outcome::GivenUp => self.count("stream: given up", 1),
                Outcome::Failed { executed, kind, .. } => {
                    self.count(format!("stream: {kind}, executed {executed:?}"), 1);
                }
            }
        }
    }

    /// Adds what another counted.
    pub fn add(&mut self, other: Tally) {
        for (kind, count) in other.counts {
            *self.counts.entry(kind).or_default() += count;
        }
    }

    fn of(&self, kind: &str) -> u64 {
        self.counts.get(kind).copied().unwrap_or_default()
    }

    /// Worlds.
    #[must_use]
    pub fn seeds(&self) -> u64 {
        self.of(SEEDS)
    }

    /// Broken promises.
    #[must_use]
    pub fn violations(&self) -> u64 {
        self.of(VIOLATIONS)
    }

    /// In one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let [seeds, calls, ok, no, maybe, yes, given_up, violations] =
            [SEEDS, CALLS, ANSWERED, NO, MAYBE, YES, GIVEN_UP, VIOLATIONS].map(|kind| self.of(kind));
        format!(
            "{seeds} seeds, {calls} calls ({ok} ok, {no} No, {maybe} Maybe, {yes} Yes, {given_up} given up), \
             {violations} violations"
        )
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counts.iter().try_for_each(|(kind, count)| writeln!(f, "{count:>12}  {kind}"))
    }
}

impl FromStr for Tally {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = |line: &str| {
            let (count, kind) = line.trim_start().split_once("  ")?;
            Some((kind.to_owned().into(), count.parse().ok()?))
        };
        let counts = text.lines().map(|line| parse(line).ok_or_else(|| format!("not a count: {line:?}")));
        Ok(Self { counts: counts.collect::<Result<_, _>>()? })
    }
}
