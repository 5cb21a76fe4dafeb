//! Servers, clients and harm in one place, from start to end.

use std::fs;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::process::Child;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::dice::{Dice, mix};
use super::job::Plan;
use super::judge::judge;
use super::post::{Harms, Post, Site, over};
use super::records::read_told;
use super::tally::Tally;
use crate::namespaces::{Namespaces, SERVER, Switch};
use crate::process::Process;
use crate::verdict::Misses;
use crate::within;

/// Seconds for all clients together. One that takes longer hangs as a whole.
const PATIENCE: u64 = 400;

/// Milliseconds of a network that forwards, and of one that does not: less and more than clients wait
/// for a sign of life.
const WHOLE: Range<u64> = 200..2000;
const CUT: Range<u64> = 50..2000;

/// How long it is whole at first: short, so that a cut comes before the end also where a phase is short.
const FIRST: Duration = Duration::from_millis(100);

/// How many take part, and what they are asked.
pub(crate) struct Phase {
    pub(crate) plan: Plan,
    pub(crate) servers: usize,
    pub(crate) clients: usize,
    pub(crate) lie: Option<u64>,
}

/// How it went.
pub(crate) struct Course {
    pub(crate) tally: Tally,
    pub(crate) harms: Harms,
    pub(crate) cuts: u64,
    pub(crate) took: Duration,
}

impl Phase {
    /// In network namespaces, if some are given, whose client's side this thread is on, with the router
    /// between cut off now and then.
    pub(crate) async fn run(
        &self,
        network: Option<(&Namespaces, Switch)>,
        misses: &mut Misses,
    ) -> Result<Course> {
        let directory = Directory::create()?;
        let place = network.as_ref().map(|(namespaces, _)| namespaces.server.clone());
        let mut posts = Vec::new();
        for at in 0..self.servers {
            let journals = directory.0.join(format!("server-{at}"));
            fs::create_dir(&journals)?;
            let site = Site { place: place.clone(), directory: journals, lie: self.lie };
            posts.push(Post::set_up(site, listen(place.is_some(), at)).await?);
        }
        let servers: Vec<SocketAddr> = posts.iter().map(|post| post.address).collect();

        let began = Instant::now();
        let (told, mut clients) = self.start_clients(&directory.0, &servers)?;
        let (enough, rest) = watch::channel(false);
        let mut suffering = JoinSet::new();
        for (at, post) in posts.into_iter().enumerate() {
            suffering.spawn(post.suffer(mix(self.plan.seed ^ at as u64), at, rest.clone()));
        }
        let switch = network.map(|(_, switch)| switch);
        let cutting = tokio::spawn(cut(switch, Dice::new(self.plan.seed), rest));
        let harmed = async {
            // One that fails has let go of its server, and nothing would come to an end.
            let mut posts = Vec::new();
            while let Some(post) = suffering.join_next().await {
                posts.push(post??);
            }
            anyhow::Ok(posts)
        };
        let asked = async {
            for client in &mut clients {
                let status = client.wait().await?;
                ensure!(status.success(), "a client ended with {status}");
            }
            let took = began.elapsed();
            let _ = enough.send(true);
            anyhow::Ok(took)
        };
        let both = async { tokio::try_join!(asked, harmed) };
        let (took, posts) = within(PATIENCE, "all clients end", both).await??;
        let cuts = cutting.await??;

        let (mut harms, mut journals) = (Harms::default(), Vec::new());
        for post in posts {
            harms.add(&post.harms);
            journals.extend(post.leave(misses).await?);
        }
        let told: Vec<_> = told.iter().map(|path| read_told(path)).collect::<Result<_>>()?;
        let tally = judge(&self.plan, &journals, &told.concat(), misses);
        Ok(Course { tally, harms, cuts, took })
    }

    /// Each with a share of the numbers, and a server of its own to begin with.
    fn start_clients(&self, directory: &Path, servers: &[SocketAddr]) -> Result<(Vec<PathBuf>, Vec<Child>)> {
        let (mut told, mut clients) = (Vec::new(), Vec::new());
        let bound = |at: usize| self.plan.total() * at as u64 / self.clients as u64;
        for at in 0..self.clients {
            let file = directory.join(format!("told-{at}"));
            let mut command = Process::command(None, "storm-client")?;
            command.arg("--plan").arg(self.plan.to_string());
            command.arg("--from").arg(bound(at).to_string()).arg("--to").arg(bound(at + 1).to_string());
            for turn in 0..servers.len() {
                command.arg("--at").arg(servers[(at + turn) % servers.len()].to_string());
            }
            command.arg("--journal").arg(&file).stdin(Stdio::null()).kill_on_drop(true);
            clients.push(command.spawn().context("cannot start a client")?);
            told.push(file);
        }
        Ok((told, clients))
    }
}

/// Cuts the network again and again. It is whole in the end.
async fn cut(switch: Option<Switch>, mut dice: Dice, enough: watch::Receiver<bool>) -> Result<u64> {
    let Some(switch) = switch else { return Ok(0) };
    let mut cuts = 0;
    let mut whole = FIRST;
    while !over(enough.clone(), whole).await {
        switch.forward(false)?;
        cuts += 1;
        tokio::time::sleep(dice.millis(CUT)).await;
        switch.forward(true)?;
        whole = dice.millis(WHOLE);
    }
    Ok(cuts)
}

fn listen(in_namespace: bool, at: usize) -> SocketAddr {
    if in_namespace {
        return (SERVER, 0).into();
    }
    // A loopback address that nobody dials from: while a server is away, its port at 127.0.0.1 could
    // become the near end of a connection, that of the client to itself even.
    let [_, _, high, low] = std::process::id().to_be_bytes();
    ([127, 64 | high >> 2, low, 2 + at as u8], 0).into()
}

/// Removed when this is dropped.
struct Directory(PathBuf);

impl Directory {
    fn create() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("chaos-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
