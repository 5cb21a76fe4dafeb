//! From rounds to text.

use std::fmt::Write;

use benches::subject::Subject;

use crate::memory::Memory;
use crate::rounds::{Plan, Round};

const HEAD: &str = "\
| subject | connections | server KiB per connection | client KiB per connection |
|---|---:|---:|---:|
";

/// One line per round, while it goes on.
pub(crate) fn progress(number: usize, round: &Round) -> String {
    let side = |side: Memory| format!("{:.2} KiB ({:.2} private dirty)", side.resident, side.private_dirty);
    let name = round.subject.name();
    format!("round {number} {name:5} server {}, client {}", side(round.server), side(round.client))
}

/// Medians over the rounds.
pub(crate) fn table(plan: &Plan, rounds: &[Round]) -> String {
    let mut text = HEAD.to_owned();
    let mut private = Vec::new();
    for subject in &plan.subjects {
        let mid = |value: &dyn Fn(&Round) -> f64| median(*subject, rounds, value);
        let _ = writeln!(
            text,
            "| {} | {} | {:.2} | {:.2} |",
            subject.name(),
            plan.connections,
            mid(&|round| round.server.resident),
            mid(&|round| round.client.resident),
        );
        private.push(format!(
            "{} {:.2} and {:.2}",
            subject.name(),
            mid(&|round| round.server.private_dirty),
            mid(&|round| round.client.private_dirty),
        ));
    }
    let _ = write!(
        text,
        "\nMedians over {} rounds. Private dirty pages alone, server and client: {}.",
        plan.rounds,
        private.join(", "),
    );
    text
}

fn median(subject: Subject, rounds: &[Round], value: impl Fn(&Round) -> f64) -> f64 {
    let mut sorted: Vec<f64> = rounds.iter().filter(|round| round.subject == subject).map(value).collect();
    sorted.sort_by(f64::total_cmp);
    let Some(middle) = sorted.len().checked_sub(1) else { return f64::NAN };
    (sorted[middle / 2] + sorted[sorted.len() / 2]) / 2.0
}
