//! Memory of connections on which nothing happens.

use serde::{Deserialize, Serialize};

use super::distinct;
use crate::machine::Machine;
use crate::statistics::Spread;

/// What `idle` has measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Idle {
    /// How many were held.
    pub connections: usize,
    /// How often.
    pub rounds: usize,
    /// With what.
    pub machine: Machine,
    /// All rounds.
    pub runs: Vec<Held>,
    /// Subjects that failed, and why.
    #[serde(default)]
    pub failures: Vec<String>,
}

/// Resident bytes that each connection has added.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Held {
    /// In which round.
    pub round: usize,
    /// Whose connections.
    pub subject: String,
    /// Bytes per connection on the server.
    pub server: f64,
    /// Bytes per connection on the client.
    pub client: f64,
}

impl Idle {
    /// Those that were measured, in their order.
    #[must_use]
    pub fn subjects(&self) -> Vec<&str> {
        distinct(self.runs.iter().map(|run| &*run.subject))
    }

    /// A figure over the rounds, in KiB.
    #[must_use]
    pub fn kibibytes(&self, subject: &str, bytes: impl Fn(&Held) -> f64) -> Option<Spread> {
        let runs = self.runs.iter().filter(|run| run.subject == subject);
        Spread::of(runs.map(|run| bytes(run) / 1024.0))
    }
}
