//! What callers and tasks share, under schedules of shuttle's: the very files of the client and the
//! core, with other locks.
//!
//! A schedule that never ends (a wake-up was lost) or breaks a promise ends the program, and shuttle
//! prints it.

#![forbid(unsafe_code)]
// The files of the core bring tests of their own, which have been run where they belong.
#![cfg(not(test))]

mod caller;
#[allow(dead_code, unreachable_pub, reason = "the file is the core's, and not all of it is used here")]
#[path = "../../../../rpc-core/src/cancel.rs"]
mod cancel;
mod core;
mod error;
mod executor;
mod scenarios;
mod server;
#[allow(dead_code, reason = "the file is the client's, and not all of it is used here")]
#[path = "../../../../rpc-client/src/shared/mod.rs"]
mod shared;
#[allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the files are the core's, and not all of it is used here"
)]
#[path = "../../../../rpc-core/src/stream/mod.rs"]
mod stream;
mod sync;
mod task;
mod wire;

// Where the core's files look for the rest of it.
pub(crate) use crate::core::{
    body, call_id, format, frame, limits, message, metadata, output, planted, status,
};

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use lexopt::prelude::*;
use planted::LEAKS_CREDIT;
use rpc_core::planted::{Bug, plant};
use scenarios::SCENARIOS;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner};

const USAGE: &str = "\
cargo run --release --bin schedules -- [OPTIONS]

  --schedules N  so many, over all scenarios [default: 20000]
  --only NAME    this scenario alone
  --planted      loses a wake-up, and credit, on purpose; fails if either is not found
";

/// Switches of priority in a schedule of the one kind; the other takes any step at any time.
const DEPTH: usize = 4;

fn main() -> ExitCode {
    match options() {
        Ok(Some(options)) if options.planted => find_planted(options.schedules),
        Ok(Some(options)) => explore(&options),
        Ok(None) => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprint!("{error}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

struct Options {
    schedules: usize,
    only: Option<String>,
    planted: bool,
}

fn options() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options { schedules: 20_000, only: None, planted: false };
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("schedules") => options.schedules = args.value()?.parse()?,
            Long("only") => options.only = Some(args.value()?.string()?),
            Long("planted") => options.planted = true,
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

fn explore(options: &Options) -> ExitCode {
    let chosen =
        SCENARIOS.iter().filter(|(name, _)| options.only.as_deref().is_none_or(|only| only == *name));
    let chosen: Vec<_> = chosen.collect();
    if chosen.is_empty() {
        eprintln!("no such scenario; there are {:?}", SCENARIOS.map(|(name, _)| name));
        return ExitCode::from(2);
    }
    let each = options.schedules.div_ceil(chosen.len());
    let began = Instant::now();
    // One core for each half of the scenarios.
    let counts = std::thread::scope(|scope| {
        let halves = chosen.chunks(chosen.len().div_ceil(2)).map(|half| {
            scope.spawn(move || half.iter().map(|(name, scenario)| run(name, *scenario, each)).sum::<usize>())
        });
        let halves: Vec<_> = halves.collect();
        halves.into_iter().map(|half| half.join().ok()).collect::<Option<Vec<_>>>()
    });
    let Some(counts) = counts else { return ExitCode::FAILURE };
    let (count, seconds) = (counts.iter().sum::<usize>(), began.elapsed().as_secs_f64());
    println!("{count} schedules, {:.0} a second, 0 violations", count as f64 / seconds);
    ExitCode::SUCCESS
}

fn run(name: &str, scenario: fn(), schedules: usize) -> usize {
    let anywhere = schedules / 2;
    let mut config = Config::new();
    // It warns that it takes all atomics for sequentially consistent.
    config.silence_warnings = true;
    let count = Runner::new(RandomScheduler::new(anywhere), config.clone()).run(scenario)
        + Runner::new(PctScheduler::new(DEPTH, schedules - anywhere), config).run(scenario);
    println!("{count:>9}  {name}");
    count
}

fn find_planted(schedules: usize) -> ExitCode {
    plant(Some(Bug::LostWakeUp));
    let lost = is_found(Bug::LostWakeUp, scenarios::answers, schedules);
    plant(None);
    LEAKS_CREDIT.store(true, Relaxed);
    let leaked = is_found(Bug::CreditLeak, wire::echoing, schedules);
    LEAKS_CREDIT.store(false, Relaxed);
    if lost && leaked { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn is_found(bug: Bug, scenario: fn(), schedules: usize) -> bool {
    let found = catch_unwind(|| run("with a planted bug", scenario, schedules)).is_err();
    println!("{bug:?}: {}", if found { "found" } else { "NOT FOUND" });
    found
}
