//! Round after round: every case, every subject, a server and a client each time.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use benches::case::Case;
use benches::measure::{Cpu, Sample};
use benches::subject::Subject;
use serde::Serialize;

use crate::Flavour;
use crate::noise::{Ticks, wait_for_quiet};
use crate::process::{Process, Tracer};
use crate::report;

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

/// One run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Run {
    pub(crate) round: usize,
    pub(crate) case: &'static str,
    pub(crate) subject: &'static str,
    #[serde(flatten)]
    pub(crate) sample: Sample,
    /// CPU time of the server in the measured span.
    pub(crate) server: Cpu,
    /// CPUs that were busy with something else meanwhile, on average.
    pub(crate) others: Option<f64>,
    /// System calls per call, from a run of their own.
    pub(crate) syscalls: Option<Syscalls>,
}

/// System calls per call.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Syscalls {
    pub(crate) server: f64,
    pub(crate) client: f64,
}

pub(crate) fn run(plan: &Plan) -> Result<()> {
    ensure!((1..=1000).contains(&plan.rounds), "rounds: from 1 to 1000");
    ensure!((0.1..=60.0).contains(&plan.seconds), "seconds: from 0.1 to 60");
    ensure!((0.0..=600.0).contains(&plan.wait), "wait: up to 600 seconds");
    ensure!((1..=20).contains(&plan.tries), "tries: from 1 to 20");
    let tracer = if plan.syscalls { Some(Tracer::find()?) } else { None };
    let mut runs = Vec::new();
    for round in 0..plan.rounds {
        for case in &plan.cases {
            let mut order: Vec<_> =
                plan.subjects.iter().copied().filter(|subject| subject.has(*case)).collect();
            // Whoever comes second may find a warmer machine: they take turns at that too.
            if round % 2 == 1 {
                order.reverse();
            }
            for subject in order {
                let mut run = quietest(plan, round, *case, subject)?;
                if tracer.is_some() {
                    run.syscalls = measure(plan, round, *case, subject, tracer)?.syscalls;
                }
                eprintln!("{}", report::progress(&run));
                runs.push(run);
            }
        }
    }
    if let Some(file) = &plan.json {
        std::fs::write(file, serde_json::to_string_pretty(&runs)?)?;
    }
    println!("{}", report::table(plan, tracer, &runs));
    Ok(())
}

fn quietest(plan: &Plan, round: usize, case: Case, subject: Subject) -> Result<Run> {
    let noise = |run: &Run| run.others.unwrap_or(0.0);
    let mut best: Option<Run> = None;
    for _ in 0..plan.tries {
        wait_for_quiet(Duration::from_secs_f64(plan.wait));
        let run = measure(plan, round, case, subject, None)?;
        if best.as_ref().is_none_or(|best| noise(&run) < noise(best)) {
            best = Some(run);
        }
        if best.as_ref().is_some_and(|best| noise(best) < QUIET) {
            break;
        }
    }
    best.context("no run")
}

fn measure(plan: &Plan, round: usize, case: Case, subject: Subject, tracer: Option<Tracer>) -> Result<Run> {
    let (name, runtime) = (subject.name(), plan.runtime.name());
    let seconds = plan.seconds.to_string();
    let cpu = |cpu| plan.pin.then_some(cpu);
    let mut server =
        Process::start(subject.program()?, &["serve", name, "--runtime", runtime], cpu(0), tracer)?;
    let told = server.line()?;
    let arguments =
        ["drive", name, &told, "--case", case.name(), "--seconds", &seconds, "--runtime", runtime];
    let mut client = Process::start(subject.program()?, &arguments, cpu(1), tracer)?;
    ensure!(client.line()? == "measuring", "the client does not measure");
    let mut server_cpu = || -> Result<Cpu> { Ok(serde_json::from_str(&server.ask("cpu")?)?) };
    let (before, ticks) = (server_cpu()?, Ticks::now());
    let line = client.line()?;
    let (used, ticks_after) = (server_cpu()?.since(before), Ticks::now());
    let sample: Sample = serde_json::from_str(&line)?;
    let own = (used.total() + sample.client.total()) / 1e6 / sample.seconds;
    let busy = ticks.zip(ticks_after).map(|(before, after)| after.busy_since(before));
    let per_call = |count: u64| count as f64 / sample.all_calls as f64;
    let client_calls = client.end()?;
    let counts = server.end()?.zip(client_calls);
    if let Some(file) = told.strip_prefix("unix:") {
        std::fs::remove_file(file)?;
    }
    Ok(Run {
        round,
        case: case.name(),
        subject: name,
        sample,
        server: used,
        others: busy.map(|busy| (busy - own).max(0.0)),
        syscalls: counts
            .map(|(server, client)| Syscalls { server: per_call(server), client: per_call(client) }),
    })
}
