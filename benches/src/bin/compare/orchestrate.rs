//! Round after round: every case, every subject, a server and a client each time.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Error, Result, ensure};
use benches::case::Case;
use benches::machine::Machine;
use benches::noise::wait_for_quiet;
use benches::pair::{Figures, Pair, Syscalls};
use benches::process::Tracer;
use benches::record::{Comparison, Record, Run, Setting};
use benches::runtime::Flavour;
use benches::subject::Subject;
use benches::table;

/// What to measure, and how.
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    pub(crate) cases: Vec<Case>,
    pub(crate) subjects: Vec<Subject>,
    pub(crate) json: Option<PathBuf>,
    pub(crate) pin: bool,
    pub(crate) runtime: Flavour,
    /// Seconds to wait for a quiet machine before each run, at the most.
    pub(crate) wait: f64,
    /// Runs of which the quietest counts, unless one is quiet before.
    pub(crate) tries: usize,
    pub(crate) syscalls: bool,
}

/// CPUs that others may keep busy in a run that is still called quiet.
const QUIET: f64 = 0.1;

impl Default for Plan {
    fn default() -> Self {
        Self {
            rounds: 5,
            seconds: 2.0,
            cases: Case::UNARY.to_vec(),
            subjects: Subject::USUAL.to_vec(),
            json: None,
            pin: true,
            runtime: Flavour::Current,
            wait: 5.0,
            tries: 1,
            syscalls: false,
        }
    }
}

pub(crate) fn run(plan: &Plan) -> Result<()> {
    ensure!((1..=1000).contains(&plan.rounds), "rounds: from 1 to 1000");
    ensure!((0.1..=60.0).contains(&plan.seconds), "seconds: from 0.1 to 60");
    ensure!((0.0..=600.0).contains(&plan.wait), "wait: up to 600 seconds");
    ensure!((1..=20).contains(&plan.tries), "tries: from 1 to 20");
    let tracer = if plan.syscalls { Some(Tracer::find()?) } else { None };
    let (mut runs, mut failures) = (Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        for case in &plan.cases {
            let mut order: Vec<_> =
                plan.subjects.iter().copied().filter(|subject| subject.has(*case)).collect();
            // Whoever comes second may find a warmer machine: they take turns at that too.
            if round % 2 == 1 {
                order.reverse();
            }
            for subject in order.into_iter().filter(|subject| subject.has(*case)) {
                let (at, with) = (case.name(), subject.name());
                let mut fail = |what: &str, error: Error| {
                    let failure = format!("round {}, {at} with {with}: {what}{error:#}", round + 1);
                    eprintln!("FAILED: {failure}");
                    failures.push(failure);
                };
                let figures = match quietest(plan, *case, subject) {
                    Ok(figures) => figures,
                    Err(error) => {
                        fail("", error);
                        continue;
                    }
                };
                eprintln!("round {}, {at} with {with}: {}", round + 1, table::progress(&figures));
                // Hardly any round differs in these, and the second run takes as long as the first.
                let syscalls = match tracer.filter(|_| round == 0) {
                    Some(tracer) => measure(plan, *case, subject, Some(tracer)).map(|(_, counted)| counted),
                    None => Ok(None),
                };
                let syscalls = syscalls.unwrap_or_else(|error| {
                    fail("counting system calls: ", error);
                    None
                });
                runs.push(Run { round, case: at.to_owned(), subject: with.to_owned(), figures, syscalls });
            }
        }
    }
    let setting = Setting {
        pinned: plan.pin,
        runtime: plan.runtime,
        rounds: plan.rounds,
        seconds: plan.seconds,
        tracer,
        machine: Machine::here(),
    };
    let measured = Comparison { setting, runs, failures };
    println!("{}", table::comparison(&measured));
    let failed = measured.failures.len();
    if let Some(file) = &plan.json {
        Record::Compare(measured).write(file)?;
    }
    ensure!(failed == 0, "{failed} runs have failed");
    Ok(())
}

fn quietest(plan: &Plan, case: Case, subject: Subject) -> Result<Figures> {
    let mut best: Option<Figures> = None;
    for _ in 0..plan.tries {
        wait_for_quiet(Duration::from_secs_f64(plan.wait));
        let (figures, _) = measure(plan, case, subject, None)?;
        if figures.noise() < QUIET {
            return Ok(figures);
        }
        if best.is_none_or(|best| figures.noise() < best.noise()) {
            best = Some(figures);
        }
    }
    best.context("no run")
}

fn measure(
    plan: &Plan,
    case: Case,
    subject: Subject,
    tracer: Option<Tracer>,
) -> Result<(Figures, Option<Syscalls>)> {
    let (name, runtime) = (subject.name(), plan.runtime.name());
    let seconds = plan.seconds.to_string();
    let serve = ["serve", name, "--runtime", runtime];
    let drive = ["drive", name, "--case", case.name(), "--seconds", &seconds, "--runtime", runtime];
    Pair { program: subject.program()?, pin: plan.pin, tracer }.measure(&serve, &drive)
}
