//! Every case with every subject, in rounds.

use serde::{Deserialize, Serialize};

use super::distinct;
use crate::machine::Machine;
use crate::pair::{Figures, Syscalls};
use crate::process::Tracer;
use crate::runtime::Flavour;
use crate::statistics::Spread;

/// How it was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Setting {
    /// Whether the server had CPU 0 and the client CPU 1.
    pub pinned: bool,
    /// The runtime of each side.
    pub runtime: Flavour,
    /// How often.
    pub rounds: usize,
    /// How long each time, after the warm-up.
    pub seconds: f64,
    /// What has counted system calls, in a second run of each pair in the first round.
    pub tracer: Option<Tracer>,
    /// With what.
    pub machine: Machine,
}

/// One run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// Only runs of the same round are compared: what the machine did then, it did to both.
    pub round: usize,
    /// The load.
    pub case: String,
    /// On whom.
    pub subject: String,
    /// What was measured.
    #[serde(flatten)]
    pub figures: Figures,
    /// From a run of their own.
    pub syscalls: Option<Syscalls>,
}

/// What `compare` has measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Comparison {
    /// How.
    #[serde(flatten)]
    pub setting: Setting,
    /// All runs.
    pub runs: Vec<Run>,
    /// Pairs that failed, and why.
    pub failures: Vec<String>,
}

impl Comparison {
    /// The cases, in their order.
    #[must_use]
    pub fn cases(&self) -> Vec<&str> {
        distinct(self.runs.iter().map(|run| &*run.case))
    }

    /// Those that were measured with this case, in the order of the first round.
    #[must_use]
    pub fn subjects(&self, case: &str) -> Vec<&str> {
        distinct(self.runs.iter().filter(|run| run.case == case).map(|run| &*run.subject))
    }

    fn of(&self, case: &str, subject: &str) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(move |run| run.case == case && run.subject == subject)
    }

    /// A figure over the rounds.
    #[must_use]
    pub fn spread(&self, case: &str, subject: &str, figure: impl Fn(&Run) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.of(case, subject).filter_map(figure))
    }

    /// A figure of one beside that of another in the same round, over the rounds that have both.
    #[must_use]
    pub fn ratio(
        &self,
        case: &str,
        subject: &str,
        beside: &str,
        figure: impl Fn(&Run) -> Option<f64>,
    ) -> Option<Spread> {
        let ratios = self.of(case, subject).filter_map(|run| {
            let other = self.of(case, beside).find(|other| other.round == run.round)?;
            Some(figure(run)? / figure(other)?)
        });
        Spread::of(ratios)
    }
}

#[cfg(test)]
mod tests;
