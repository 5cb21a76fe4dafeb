//! Round after round: every point of every curve, a server and a client each time.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use benches::curve::{Curve, Line};
use benches::machine::Machine;
use benches::noise::wait_for_quiet;
use benches::pair::{Figures, Pair};
use benches::record::{Growth, Point, Record};
use benches::table;

/// What to measure, and how.
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    pub(crate) curves: Vec<Curve>,
    pub(crate) json: Option<PathBuf>,
    /// Seconds to wait for a quiet machine before each run, at the most.
    pub(crate) wait: f64,
    /// The ends of the curves only.
    pub(crate) short: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self { rounds: 5, seconds: 1.0, curves: Curve::ALL.to_vec(), json: None, wait: 5.0, short: false }
    }
}

impl Plan {
    fn places(&self, curve: Curve) -> Vec<usize> {
        let places = curve.places();
        match places {
            [first, .., last] if self.short => vec![*first, *last],
            _ => places.to_vec(),
        }
    }

    pub(crate) fn most_connections(&self) -> usize {
        let loads = self.curves.iter().flat_map(|curve| curve.places().iter().map(|at| curve.calls(*at)));
        loads.map(|load| load.connections).max().unwrap_or(1)
    }
}

pub(crate) fn run(plan: &Plan) -> Result<()> {
    ensure!((1..=1000).contains(&plan.rounds), "rounds: from 1 to 1000");
    ensure!((0.1..=60.0).contains(&plan.seconds), "seconds: from 0.1 to 60");
    ensure!((0.0..=600.0).contains(&plan.wait), "wait: up to 600 seconds");
    let (mut points, mut failures) = (Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        for curve in &plan.curves {
            for at in plan.places(*curve) {
                let mut lines = curve.lines().to_vec();
                // They take turns at coming second, as in `compare`.
                if round % 2 == 1 {
                    lines.reverse();
                }
                for line in lines {
                    wait_for_quiet(Duration::from_secs_f64(plan.wait));
                    let place = format!("round {}, {} {at}, {}", round + 1, curve.name(), line.name);
                    match measure(plan, *curve, line, at) {
                        Ok(figures) => {
                            eprintln!("{place}: {}", table::progress(&figures));
                            let line = line.name.to_owned();
                            points.push(Point { round, curve: *curve, line, at, figures });
                        }
                        Err(error) => {
                            eprintln!("FAILED: {place}: {error:#}");
                            failures.push(format!("{place}: {error:#}"));
                        }
                    }
                }
            }
        }
    }
    let (rounds, seconds, machine) = (plan.rounds, plan.seconds, Machine::here());
    let measured = Growth { rounds, seconds, machine, points, failures };
    println!("{}", table::growth(&measured));
    let failed = measured.failures.len();
    if let Some(file) = &plan.json {
        Record::Grow(measured).write(file)?;
    }
    ensure!(failed == 0, "{failed} points have failed");
    Ok(())
}

fn measure(plan: &Plan, curve: Curve, line: Line, at: usize) -> Result<Figures> {
    let (seconds, at, runtime) = (plan.seconds.to_string(), at.to_string(), line.runtime.name());
    let serve = ["serve", line.subject, "--runtime", runtime];
    let drive = [
        "drive",
        line.subject,
        "--curve",
        curve.name(),
        "--at",
        &at,
        "--seconds",
        &seconds,
        "--runtime",
        runtime,
    ];
    let pair = Pair { program: std::env::current_exe()?, pin: line.pin, tracer: None };
    Ok(pair.measure(&serve, &drive)?.0)
}
