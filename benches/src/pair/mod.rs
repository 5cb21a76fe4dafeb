//! A server's and a client's process, and what is measured of both.

mod drive;
mod serve;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

pub use self::drive::{Driving, drive};
pub use self::serve::serve;
use crate::measure::{Cpu, Sample};
use crate::noise::Ticks;
use crate::process::{Process, Tracer};

/// How a pair is started.
#[derive(Debug)]
pub struct Pair {
    /// The program of both.
    pub program: PathBuf,
    /// Whether the server has CPU 0 and the client CPU 1.
    pub pin: bool,
    /// What counts their system calls, if they are counted.
    pub tracer: Option<Tracer>,
}

/// What a pair did in the measured span.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Figures {
    /// What the client has counted.
    #[serde(flatten)]
    pub sample: Sample,
    /// CPU time of the server.
    pub server: Cpu,
    /// CPUs that were busy with something else meanwhile, on average.
    pub others: Option<f64>,
}

/// System calls per call: those of whole processes, start and warm-up included, by all their calls.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Syscalls {
    /// Of the server.
    pub server: f64,
    /// Of the client.
    pub client: f64,
}

impl Figures {
    /// Calls per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.sample.rate()
    }

    /// Microseconds of CPU time per call on the server.
    #[must_use]
    pub fn server_cost(&self) -> f64 {
        self.server.total() / self.sample.calls as f64
    }

    /// Microseconds of CPU time per call on the client.
    #[must_use]
    pub fn client_cost(&self) -> f64 {
        self.sample.client.total() / self.sample.calls as f64
    }

    /// Microseconds of CPU time per call on both sides.
    #[must_use]
    pub fn cost(&self) -> f64 {
        self.server_cost() + self.client_cost()
    }

    /// Calls for each second of CPU time that both sides used.
    #[must_use]
    pub fn calls_per_cpu_second(&self) -> f64 {
        1e6 / self.cost()
    }

    /// CPUs that others kept busy; none, as far as is known.
    #[must_use]
    pub fn noise(&self) -> f64 {
        self.others.unwrap_or(0.0)
    }
}

impl Pair {
    /// Starts the server with `serve`, and the client with `drive` and what the server told; both print as
    /// [`serve`](self::serve) and [`drive`](self::drive) do.
    ///
    /// # Errors
    /// When one of them fails.
    pub fn measure(&self, serve: &[&str], drive: &[&str]) -> Result<(Figures, Option<Syscalls>)> {
        let start = |arguments: &[&str], cpu: usize| {
            Process::start(&self.program, arguments, self.pin.then_some(cpu), self.tracer)
        };
        let mut server = start(serve, 0)?;
        let told = server.line()?;
        let mut client = start(&[drive, &[&told]].concat(), 1)?;
        ensure!(client.line()? == "measuring", "the client does not measure");
        let mut server_cpu = || -> Result<Cpu> { Ok(serde_json::from_str(&server.ask("cpu")?)?) };
        let (before, ticks) = (server_cpu()?, Ticks::now());
        let line = client.line()?;
        let (used, ticks_after) = (server_cpu()?.since(before), Ticks::now());
        let sample: Sample = serde_json::from_str(&line)?;
        ensure!(sample.calls > 0, "no call has ended in {:.1} s", sample.seconds);
        let own = (used.total() + sample.client.total()) / 1e6 / sample.seconds;
        let busy = ticks.zip(ticks_after).map(|(before, after)| after.busy_since(before));
        let per_call = |count: u64| count as f64 / sample.all_calls as f64;
        let client_calls = client.end()?;
        let counts = server.end()?.zip(client_calls);
        if let Some(file) = told.strip_prefix("unix:") {
            std::fs::remove_file(file)?;
        }
        let figures = Figures { sample, server: used, others: busy.map(|busy| (busy - own).max(0.0)) };
        let syscalls =
            counts.map(|(server, client)| Syscalls { server: per_call(server), client: per_call(client) });
        Ok((figures, syscalls))
    }
}
