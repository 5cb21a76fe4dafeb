//! What was meant to be reached, and what was.

use std::fmt::Write;

use benches::curve::Curve;
use benches::record::{Comparison, Run};
use benches::statistics::Spread;
use benches::table::spread;

use crate::{Measured, WRITTEN};

/// What a figure is meant to be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Target {
    AtLeast(f64),
    AtMost(f64),
    /// Told, and no more.
    None,
}

/// A figure with its target.
struct Goal {
    what: String,
    target: Target,
    figure: Option<Spread>,
}

use Target::{AtLeast, AtMost};

type Figure = fn(&Run) -> Option<f64>;

const RATE: Figure = |run| Some(run.figures.rate());

/// Ours beside another: the case, what is compared, its name, beside whom, what it is meant to be.
const RATIOS: [(&str, Figure, &str, &str, Target); 15] = [
    ("one", |run| run.figures.sample.p50, "p50", "floor", AtMost(1.05)),
    ("c64", RATE, "rate", "floor", AtLeast(0.80)),
    ("c64", RATE, "rate", "tarpc", AtLeast(5.0)),
    ("c64", RATE, "rate", "tonic", AtLeast(10.0)),
    ("c256", RATE, "rate", "floor", AtLeast(0.70)),
    ("c256", RATE, "rate", "tarpc", AtLeast(15.0)),
    ("c256", RATE, "rate", "tonic", AtLeast(30.0)),
    ("8x32", RATE, "rate", "floor", AtLeast(0.45)),
    ("8x32", RATE, "rate", "tarpc", AtLeast(10.0)),
    ("c64", |run| Some(run.figures.cost()), "CPU per call, both sides,", "floor", AtMost(1.6)),
    ("c256", |run| Some(run.figures.cost()), "CPU per call, both sides,", "floor", Target::None),
    ("4kib", RATE, "rate", "floor", AtLeast(0.70)),
    ("1mib", RATE, "rate", "floor", AtLeast(0.85)),
    (
        "wait",
        |run| Some(run.figures.calls_per_cpu_second()),
        "calls per CPU second, both sides,",
        "tonic",
        AtLeast(5.0),
    ),
    (
        "items64",
        |run| Some(run.figures.calls_per_cpu_second()),
        "items per CPU second, both sides,",
        "tonic",
        AtLeast(5.0),
    ),
];

/// Ours alone: the case, what, its name, what it is meant to be.
const FIGURES: [(&str, Figure, &str, Target); 2] = [
    ("c64", |run| Some(run.syscalls?.server), "system calls per call, server", AtMost(0.08)),
    ("c64", |run| Some(run.syscalls?.client), "system calls per call, client", AtMost(0.12)),
];

/// The most caller tasks that share a client.
const CALLERS: usize = 64;

/// Each goal with its figure, and whether it was met.
pub(crate) fn table(measured: &Measured) -> String {
    let mut text = format!(
        "{WRITTEN}# Goals\n\nPinned, which leaves tokio's multi_thread runtime one worker thread; ratios are taken within a round; medians (smallest - largest) over the rounds, \
         and it is the median that meets a goal or does not. Where rounds lie on both sides of a goal, that is said. \
         Allocations per call are watched by `scripts/guard`, and are not in here.\n"
    );
    let all: Vec<_> = measured.comparisons.iter().filter(|comparison| is_of_calls(comparison)).collect();
    for comparison in &all {
        let runtime = comparison.setting.runtime;
        let (pinned, goals) = match comparison.setting.pinned {
            true => ("", of_calls(Some(comparison))),
            false => (", not pinned (for these no goals were set)", told(of_calls(Some(comparison)))),
        };
        let _ = write!(text, "\n## tokio's {runtime} runtime{pinned}\n\n{}", rows(goals));
    }
    if all.is_empty() {
        let _ = write!(text, "\n## Calls\n\n{}", rows(of_calls(None)));
    }
    let _ = write!(text, "\n## Memory and growth\n\n{}", rows(of_the_rest(measured)));
    text
}

/// With ours in it.
fn is_of_calls(comparison: &Comparison) -> bool {
    comparison.runs.iter().any(|run| run.subject == "ours")
}

/// The figures that there are, without a goal.
fn told(goals: Vec<Goal>) -> Vec<Goal> {
    let measured = goals.into_iter().filter(|goal| goal.figure.is_some());
    measured.map(|goal| Goal { target: Target::None, ..goal }).collect()
}

fn rows(goals: Vec<Goal>) -> String {
    let mut text = "| what | goal | figure | |\n|---|---|---:|---|\n".to_owned();
    for Goal { what, target, figure } in goals {
        let digits = if figure.is_some_and(|spread| spread.median < 0.2) { 3 } else { 2 };
        let (aim, verdict) = (aim(target), verdict(target, figure));
        let _ = writeln!(text, "| {what} | {aim} | {} | {verdict} |", spread(figure, digits));
    }
    text
}

fn of_calls(comparison: Option<&Comparison>) -> Vec<Goal> {
    let ratios = RATIOS.iter().map(|&(case, value, name, beside, target)| Goal {
        what: format!("`{case}`: {name} ÷ {beside}'s"),
        target,
        figure: comparison.and_then(|comparison| comparison.ratio(case, "ours", beside, value)),
    });
    let figures = FIGURES.iter().map(|&(case, value, name, target)| Goal {
        what: format!("`{case}`: {name}"),
        target,
        figure: comparison.and_then(|comparison| comparison.spread(case, "ours", value)),
    });
    ratios.chain(figures).collect()
}

fn of_the_rest(measured: &Measured) -> Vec<Goal> {
    let most = measured.idle.iter().max_by_key(|idle| idle.connections);
    let idle = Goal {
        what: "KiB that an idle connection keeps on the server".into(),
        target: AtMost(2.5),
        // Of few connections each has more of what the server takes once.
        figure: most.and_then(|idle| idle.kibibytes("ours", |run| run.server)),
    };
    let callers = |line: &str| Goal {
        what: format!("{CALLERS} caller tasks that share a client: rate ÷ that of one ({line})"),
        target: Target::None,
        figure: measured.growth.iter().find_map(|growth| growth.ratio(Curve::Callers, line, CALLERS, 1)),
    };
    vec![idle, callers("ours"), callers(Curve::SPREAD_OUT)]
}

fn aim(target: Target) -> String {
    match target {
        AtLeast(bound) => format!("≥ {bound:.2}"),
        AtMost(bound) => format!("≤ {bound:.2}"),
        Target::None => "-".into(),
    }
}

fn verdict(target: Target, figure: Option<Spread>) -> &'static str {
    let meets = |value: f64| match target {
        AtLeast(bound) => Some(value >= bound),
        AtMost(bound) => Some(value <= bound),
        Target::None => None,
    };
    let Some(Spread { median, min, max }) = figure else { return "not measured" };
    match (meets(median), meets(min) == meets(max)) {
        (None, _) => "-",
        (Some(true), true) => "met",
        (Some(true), false) => "met, but not in every round",
        (Some(false), true) => "**not met**",
        (Some(false), false) => "**not met**, but in some rounds",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(min: f64, median: f64, max: f64) -> Option<Spread> {
        Some(Spread { median, min, max })
    }

    #[test]
    fn the_median_meets_a_goal_or_does_not() {
        assert_eq!(verdict(AtLeast(0.8), rounds(0.81, 0.82, 0.9)), "met");
        assert_eq!(verdict(AtLeast(0.8), rounds(0.80, 0.80, 0.80)), "met");
        assert_eq!(verdict(AtLeast(0.8), rounds(0.5, 0.6, 0.79)), "**not met**");
        assert_eq!(verdict(AtMost(1.6), rounds(1.7, 1.8, 1.9)), "**not met**");
        assert_eq!(verdict(AtMost(1.6), rounds(1.2, 1.6, 1.6)), "met");
    }

    #[test]
    fn rounds_on_both_sides_of_a_goal_are_said() {
        assert_eq!(verdict(AtLeast(0.8), rounds(0.74, 0.79, 0.83)), "**not met**, but in some rounds");
        assert_eq!(verdict(AtLeast(0.8), rounds(0.74, 0.81, 0.83)), "met, but not in every round");
        assert_eq!(verdict(AtMost(2.5), rounds(2.4, 2.5, 2.6)), "met, but not in every round");
    }

    #[test]
    fn what_was_not_measured_is_neither() {
        assert_eq!(verdict(AtLeast(0.8), None), "not measured");
        assert_eq!(verdict(Target::None, rounds(1.0, 2.0, 3.0)), "-");
    }

    #[test]
    fn every_goal_has_a_row_even_without_figures() {
        let text = table(&Measured::default());
        assert_eq!(text.matches("not measured").count(), RATIOS.len() + FIGURES.len() + 3);
    }
}
