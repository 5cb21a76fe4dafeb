//! How often what happened.

use std::collections::BTreeMap;
use std::fmt;

use rpc_core::Executed;

use crate::journal::{Outcome, Record};

/// Counts of worlds, calls, outcomes and faults.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Worlds.
    pub seeds: u64,
    /// Calls.
    pub calls: u64,
    /// Broken promises.
    pub violations: u64,
    answered: u64,
    given_up: u64,
    executed: [u64; 3],
    kinds: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// One more of that kind.
    pub fn count(&mut self, kind: &'static str, times: usize) {
        *self.kinds.entry(kind).or_default() += times as u64;
    }

    /// A call that is over.
    pub fn call(&mut self, record: &Record) {
        self.calls += 1;
        self.count("call that ran", record.begun as usize);
        for (outcome, _) in &record.ended {
            match outcome {
                Outcome::Answered { .. } => self.answered += 1,
                Outcome::GivenUp => self.given_up += 1,
                Outcome::Failed { executed, kind, .. } => {
                    self.count(kind, 1);
                    self.executed[match executed {
                        Executed::No => 0,
                        Executed::Maybe => 1,
                        Executed::Yes => 2,
                    }] += 1;
                }
            }
        }
    }

    /// Adds what another counted.
    pub fn add(&mut self, other: &Tally) {
        self.seeds += other.seeds;
        self.calls += other.calls;
        self.violations += other.violations;
        self.answered += other.answered;
        self.given_up += other.given_up;
        for (here, there) in self.executed.iter_mut().zip(other.executed) {
            *here += there;
        }
        for (kind, count) in &other.kinds {
            *self.kinds.entry(kind).or_default() += count;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, count) in &self.kinds {
            writeln!(f, "{count:>12}  {kind}")?;
        }
        let Self { seeds, calls, violations, answered, given_up, executed: [no, maybe, yes], .. } = self;
        write!(
            f,
            "{seeds} seeds, {calls} calls ({answered} ok, {no} No, {maybe} Maybe, {yes} Yes, {given_up} given up), \
             {violations} violations"
        )
    }
}
