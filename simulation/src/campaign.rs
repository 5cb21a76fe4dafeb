//! Many worlds, on all cores.

use std::io;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::tally::Tally;
use crate::world::{self, Verdict};

/// After so many worlds with violations, the rest would only fill the screen.
const ENOUGH: u64 = 10;

/// No world takes so long, on the slowest machine.
const LONGEST: Duration = Duration::from_secs(30);

/// Which worlds.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// The first seed.
    pub from: u64,
    /// From one seed to the next.
    pub stride: u64,
    /// How many worlds, at most.
    pub worlds: u64,
    /// For how long, at most.
    pub time: Option<Duration>,
}

impl Campaign {
    /// Runs them one after the other, and tells of violations on the standard error output.
    #[must_use]
    pub fn run_here(self) -> Tally {
        let began = Instant::now();
        let (mut tally, mut failed) = (Tally::default(), 0);
        let watched = Arc::new(AtomicU64::new(self.from));
        watch(watched.clone());
        for at in 0..self.worlds {
            if failed == ENOUGH || self.time.is_some_and(|time| began.elapsed() >= time) {
                break;
            }
            let seed = self.from.wrapping_add(at.wrapping_mul(self.stride));
            watched.store(seed, Relaxed);
            let verdict = world::run(seed, false, None);
            if !verdict.violations.is_empty() {
                failed += 1;
                report(seed, &verdict);
            }
            tally.add(verdict.tally);
        }
        tally
    }

    /// Runs them in a process for each core, which all call this program with `--worker`. A thread for
    /// each would not do: tokio numbers the tasks of all threads in one row, and drops those of a host
    /// that crashes by their numbers.
    ///
    /// # Errors
    /// When a process cannot be made, or says something else than its counts.
    pub fn run(self) -> io::Result<Tally> {
        let began = Instant::now();
        let cores = std::thread::available_parallelism()?.get() as u64;
        let mut workers = Vec::new();
        for core in 0..cores.min(self.worlds) {
            let worlds = (self.worlds - core).div_ceil(cores);
            let mut worker = Command::new(std::env::current_exe()?);
            worker.args(["--worker", &cores.to_string()]);
            worker.args([
                "--from",
                &self.from.wrapping_add(core).to_string(),
                "--seeds",
                &worlds.to_string(),
            ]);
            if let Some(time) = self.time {
                worker.args(["--seconds", &time.as_secs().to_string()]);
            }
            workers.push(worker.stdout(Stdio::piped()).spawn()?);
        }
        let mut total = Tally::default();
        for worker in workers {
            let output = worker.wait_with_output()?;
            if !output.status.success() {
                return Err(io::Error::other(format!("it ended with {}", output.status)));
            }
            let text = String::from_utf8_lossy(&output.stdout);
            total.add(text.parse().map_err(io::Error::other)?);
        }
        let seconds = began.elapsed().as_secs_f64();
        eprintln!("{:.0} seeds/s on {cores} cores, {seconds:.1} s", total.seeds() as f64 / seconds);
        Ok(total)
    }
}

/// Ends the process when a world does not: somebody in it turns in circles while its time stands
/// still.
fn watch(seed: Arc<AtomicU64>) {
    std::thread::spawn(move || {
        let mut before = None;
        loop {
            std::thread::sleep(LONGEST);
            let now = Some(seed.load(Relaxed));
            if before == now {
                eprintln!(
                    "seed {} does not end (cargo run --release -- --seed {0} --trace)",
                    seed.load(Relaxed)
                );
                std::process::exit(1);
            }
            before = now;
        }
    });
}

fn report(seed: u64, verdict: &Verdict) {
    let mut text = format!("seed {seed} (cargo run --release -- --seed {seed} --trace):\n");
    verdict.violations.iter().for_each(|violation| text += &format!("  {violation}\n"));
    eprint!("{text}");
}
