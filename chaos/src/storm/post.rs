//! A place where servers stand, one after the other, and the harm that is done to them.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::dice::Dice;
use super::judge::{Journal, open};
use super::records::entries;
use crate::process::Process;
use crate::verdict::Misses;

/// Milliseconds between two harms to one post, and how long each lasts. A stop may be over before
/// anybody notices it, and may last longer than clients wait for a sign of life.
const PAUSE: Range<u64> = 50..600;
const AWAY: Range<u64> = 1..300;
const STOPPED: Range<u64> = 20..2000;

/// For what goes with the last connection. It may have been cut off when its client ended.
const COME_BACK: Duration = Duration::from_secs(5);

/// Between two looks, where nobody announces that a handler was dropped.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Clone, Copy)]
pub(crate) enum Harm {
    Kill,
    Stop,
    Drain,
}

/// How often each was done.
#[derive(Clone, Copy, Default)]
pub(crate) struct Harms {
    pub(crate) kills: u64,
    pub(crate) stops: u64,
    pub(crate) drains: u64,
    /// Of the calls that servers had when they were drained.
    pub(crate) finished: u64,
    pub(crate) cancelled: u64,
}

impl Harms {
    pub(crate) fn add(&mut self, other: &Self) {
        self.kills += other.kills;
        self.stops += other.stops;
        self.drains += other.drains;
        self.finished += other.finished;
        self.cancelled += other.cancelled;
    }
}

/// How servers are started at a post.
pub(crate) struct Site {
    /// The network namespace.
    pub(crate) place: Option<String>,
    /// Of the post's own, for its journals.
    pub(crate) directory: PathBuf,
    pub(crate) lie: Option<u64>,
}

pub(crate) struct Post {
    site: Site,
    process: Option<Process>,
    pub(crate) address: SocketAddr,
    /// Of all that ever stood here, and whether it was killed. The last one's is the last.
    journals: Vec<(PathBuf, bool)>,
    /// Descriptors of a server without connections.
    alone: usize,
    pub(crate) harms: Harms,
}

impl Post {
    /// The first server there.
    pub(crate) async fn set_up(site: Site, listen: SocketAddr) -> Result<Self> {
        let harms = Harms::default();
        let mut post = Self { site, process: None, address: listen, journals: Vec::new(), alone: 0, harms };
        post.start().await?;
        let process = post.process()?;
        (post.address, post.alone) = (process.address, process.owner().descriptors()?);
        Ok(post)
    }

    /// Does harm, beginning with the one of this number, until it is told that it is enough. The server
    /// is there and well after that.
    pub(crate) async fn suffer(
        mut self,
        seed: u64,
        first: usize,
        enough: watch::Receiver<bool>,
    ) -> Result<Self> {
        let mut dice = Dice::new(seed);
        let mut bag = vec![[Harm::Kill, Harm::Stop, Harm::Drain][first % 3]];
        while !over(enough.clone(), dice.millis(PAUSE)).await {
            if bag.is_empty() {
                bag = vec![Harm::Kill, Harm::Stop, Harm::Drain];
            }
            let harm = bag.swap_remove(dice.within(0..bag.len() as u64) as usize);
            self.harm(harm, &mut dice).await?;
        }
        Ok(self)
    }

    async fn harm(&mut self, harm: Harm, dice: &mut Dice) -> Result<()> {
        match harm {
            Harm::Kill => {
                self.harms.kills += 1;
                let old = self.process.take().context("nobody to kill")?;
                old.signal(Signal::SIGKILL)?;
                old.ended().await?;
                self.journals.last_mut().context("it had no journal")?.1 = true;
                sleep(dice.millis(AWAY)).await;
                self.start().await
            }
            Harm::Stop => {
                self.harms.stops += 1;
                self.process()?.signal(Signal::SIGSTOP)?;
                sleep(dice.millis(STOPPED)).await;
                self.process()?.signal(Signal::SIGCONT)
            }
            Harm::Drain => {
                self.harms.drains += 1;
                let (finished, cancelled) = self.drain().await?;
                self.harms.finished += finished;
                self.harms.cancelled += cancelled;
                self.start().await
            }
        }
    }

    /// Looks at a server that nobody calls any more, and ends it. All journals of the post.
    pub(crate) async fn leave(mut self, misses: &mut Misses) -> Result<Vec<Journal>> {
        let process = self.process()?;
        let descriptors = process.owner().come_back_to(self.alone, COME_BACK).await?;
        misses.expect(descriptors == self.alone, || {
            format!("{descriptors} descriptors of a server without clients, {} before", self.alone)
        });
        let current = &self.journals.last().context("it has no journal")?.0;
        let limit = Instant::now() + COME_BACK;
        let mut left = open(&entries(current)?);
        while left > 0 && Instant::now() < limit {
            sleep(LOOK).await;
            left = open(&entries(current)?);
        }
        misses.expect(left == 0, || format!("{left} handlers run on without their clients"));
        let (_, cancelled) = self.drain().await?;
        misses.expect(cancelled == 0, || format!("{cancelled} calls were left without their clients"));
        let journals = self.journals.iter();
        journals.map(|(path, killed)| Ok(Journal { entries: entries(path)?, killed: *killed })).collect()
    }

    fn process(&self) -> Result<&Process> {
        self.process.as_ref().context("no server stands there")
    }

    async fn start(&mut self) -> Result<()> {
        let Site { place, directory, lie } = &self.site;
        let journal = directory.join(format!("journal-{}", self.journals.len()));
        let mut command = Process::command(place.as_deref(), "storm-server")?;
        command.arg("--listen").arg(self.address.to_string()).arg("--journal").arg(&journal);
        if let Some(lie) = lie {
            command.arg("--lie").arg(lie.to_string());
        }
        self.process = Some(Process::spawn(command).await?);
        self.journals.push((journal, false));
        Ok(())
    }

    /// How many calls it finished, and how many it cancelled.
    async fn drain(&mut self) -> Result<(u64, u64)> {
        let old = self.process.take().context("nobody to drain")?;
        old.signal(Signal::SIGTERM)?;
        let (status, last) = old.ended().await?;
        let counts = last.split_once(' ').context("a server ended without a report")?;
        ensure!(status.success(), "a server ended in disorder: {status}, {last}");
        Ok((counts.0.parse()?, counts.1.parse()?))
    }
}

/// Waits; whether it was told meanwhile that it is enough.
pub(crate) async fn over(mut enough: watch::Receiver<bool>, wait: Duration) -> bool {
    tokio::select! {
        _ = enough.wait_for(|enough| *enough) => true,
        () = sleep(wait) => false,
    }
}
