//! Schedules of sends, reads, stalls, cancels and drops on up to 50 streams over one connection, each
//! from its seed: real client, real server, a pipe between them, and time that stands still while anybody
//! can go on.
//!
//! Of every schedule is held: each stream ends once, at each end; what arrived is what was sent, in order,
//! and all of it where the end says so; whatever else ended it, the schedule explains; what is handed to the
//! library and not taken at the other end stays, for each direction of a stream, under its window and one
//! item; and nothing is left on the server. A deadlock is a schedule whose time runs out.

#![forbid(unsafe_code)]

mod caller;
mod handler;
mod item;
mod judge;
mod ledger;
mod pace;
mod pipe;
mod plan;
mod run;
mod tally;

#[cfg(test)]
mod tests;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use lexopt::prelude::*;
use rpc_core::planted::Bug;
use run::run;
use tally::Tally;

const USAGE: &str = "\
cargo run --release --bin streams -- [OPTIONS]

  --schedules N  so many [default: 1000]
  --from S       the first seed [default: 0]
  --seed S       this schedule alone
  --trace        with --seed: what happens, line by line
  --planted all  plants each bug of streams in up to --schedules of them; fails if one is not found
";

/// After so many schedules with violations, the rest would only fill the screen.
const ENOUGH: usize = 5;

/// No schedule takes so long, on the slowest machine.
const LONGEST: Duration = Duration::from_secs(60);

struct Options {
    schedules: u64,
    from: u64,
    seed: Option<u64>,
    trace: bool,
    planted: bool,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprint!("{error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    run::keep_panics();
    let good = match options {
        Options { planted: true, .. } => find_planted(&options),
        Options { seed: Some(seed), .. } => replay(seed, options.trace),
        _ => explore(&options),
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn options() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options { schedules: 1000, from: 0, seed: None, trace: false, planted: false };
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("schedules") => options.schedules = args.value()?.parse()?,
            Long("from") => options.from = args.value()?.parse()?,
            Long("seed") => options.seed = Some(args.value()?.parse()?),
            Long("trace") => options.trace = true,
            Long("planted") => {
                let which = args.value()?.string()?;
                if which != "all" {
                    return Err(format!("{which:?} is not all").into());
                }
                options.planted = true;
            }
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

fn explore(options: &Options) -> bool {
    let began = Instant::now();
    let (mut tally, mut failed) = (Tally::default(), 0);
    let watched = Arc::new(AtomicU64::new(0));
    watch(watched.clone());
    for seed in (0..options.schedules).map(|at| options.from.wrapping_add(at)) {
        watched.store(seed, Relaxed);
        let verdict = run(seed, false, None);
        if !verdict.violations.is_empty() {
            eprintln!("seed {seed} (cargo run --release --bin streams -- --seed {seed} --trace):");
            verdict.violations.iter().take(ENOUGH).for_each(|violation| eprintln!("  {violation}"));
            failed += 1;
        }
        tally.add(verdict.tally);
        if failed == ENOUGH {
            break;
        }
    }
    let (seconds, schedules) = (began.elapsed().as_secs_f64(), tally.of("schedule"));
    println!("{tally}{schedules} schedules, {} violations, {seconds:.1} s", tally.of("violation"));
    failed == 0
}

fn replay(seed: u64, trace: bool) -> bool {
    let verdict = run(seed, trace, None);
    verdict.events.iter().for_each(|event| println!("{event}"));
    verdict.violations.iter().for_each(|violation| eprintln!("{violation}"));
    println!("{}", verdict.tally);
    verdict.violations.is_empty()
}

fn find_planted(options: &Options) -> bool {
    let finds = Bug::OF_STREAMS.map(|bug| {
        let found = search(bug, options.from, options.schedules);
        match &found {
            Some((count, violation)) => {
                let what: String = violation.chars().take(120).collect();
                println!("{bug:?}: found in schedule {count}: {what}");
            }
            None => println!("{bug:?}: NOT FOUND in {} schedules", options.schedules),
        }
        found.is_some()
    });
    finds.iter().all(|found| *found)
}

/// Plants `bug` in schedules until one breaks a promise; how many that took, and what was broken.
fn search(bug: Bug, from: u64, schedules: u64) -> Option<(u64, String)> {
    (0..schedules).find_map(|at| {
        let violations = run(from.wrapping_add(at), false, Some(bug)).violations;
        violations.into_iter().next().map(|violation| (at + 1, violation))
    })
}

/// Ends the program when a schedule does not: somebody in it turns in circles while its time stands still.
fn watch(seed: Arc<AtomicU64>) {
    std::thread::spawn(move || {
        let mut before = None;
        loop {
            std::thread::sleep(LONGEST);
            let now = Some(seed.load(Relaxed));
            if before == now {
                eprintln!("seed {} does not end", seed.load(Relaxed));
                std::process::exit(1);
            }
            before = now;
        }
    });
}
