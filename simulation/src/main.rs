//! Runs worlds from their seeds, and says what was broken in them.

use std::process::ExitCode;
use std::time::Duration;

use lexopt::prelude::*;
use rpc_core::planted::Bug;
use simulation::campaign::Campaign;
use simulation::{garden, world};

const USAGE: &str = "\
cargo run --release -- [OPTIONS]

  --seeds N      so many worlds [default: 1000; with --seconds, as many as there is time for]
  --seconds N    worlds for so long
  --from S       the first seed [default: 0]
  --seed S       this world alone
  --trace        with --seed: what happens, line by line
  --planted all  plants each bug in up to --seeds worlds; fails if one is not found
";

#[derive(Default)]
struct Options {
    seeds: Option<u64>,
    seconds: Option<u64>,
    from: u64,
    seed: Option<u64>,
    trace: bool,
    planted: bool,
    worker: Option<u64>,
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
    world::keep_panics();
    let good = match options {
        Options { planted: true, .. } => find_planted(&options),
        Options { seed: Some(seed), trace, .. } => replay(seed, trace),
        _ => {
            let most = if options.seconds.is_some() { u64::MAX } else { 1000 };
            let worlds = options.seeds.unwrap_or(most);
            let time = options.seconds.map(Duration::from_secs);
            let stride = options.worker.unwrap_or(1);
            run(Campaign { from: options.from, stride, worlds, time }, options.worker.is_some())
        }
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn options() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options::default();
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("seeds") => options.seeds = Some(args.value()?.parse()?),
            Long("seconds") => options.seconds = Some(args.value()?.parse()?),
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
            // One of the processes of a campaign; the distance between its seeds.
            Long("worker") => options.worker = Some(args.value()?.parse()?),
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

fn run(campaign: Campaign, is_worker: bool) -> bool {
    if is_worker {
        print!("{}", campaign.run_here());
        return true;
    }
    match campaign.run() {
        Ok(tally) => {
            println!("{tally}{}", tally.summary());
            tally.violations() == 0
        }
        Err(error) => {
            eprintln!("a worker failed: {error}");
            false
        }
    }
}

fn replay(seed: u64, trace: bool) -> bool {
    let verdict = world::run(seed, trace, None);
    verdict.events.iter().for_each(|event| println!("{event}"));
    verdict.violations.iter().for_each(|violation| eprintln!("{violation}"));
    println!("{}{}", verdict.tally, verdict.tally.summary());
    verdict.violations.is_empty()
}

fn find_planted(options: &Options) -> bool {
    let seeds = options.seeds.unwrap_or(1000);
    let finds = Bug::OF_CALLS.into_iter().chain(Bug::OF_STREAMS).map(|bug| {
        let found = garden::search(bug, options.from, seeds);
        match found {
            Some(find) => {
                println!("{bug:?}: found in world {} by {:?} (seed {})", find.worlds, find.check, find.seed)
            }
            None => println!("{bug:?}: NOT FOUND in {seeds} worlds"),
        }
        found.is_some()
    });
    // All of them, whatever became of the first.
    finds.filter(|found| !found).count() == 0
}
