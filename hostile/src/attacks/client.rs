//! Servers that are hostile, to a client that is a process of its own.

mod conduct;
mod servers;

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use chaos::within;
use futures_util::future::join_all;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::attack::{Attack, Trial};
use crate::client::{FAILED, RIGHT, TIMEOUT};
use crate::memory::MIB;
use crate::raw::Raw;
use crate::{memory, server};
use servers::{Becomes, Server, servers};

pub(crate) const ATTACKS: &[Attack] = &[Attack {
    name: "servers",
    aim: "L29 to L36: a client ends every call in its time, holds little, and finds its way back",
    run: |trial| Box::pin(attack(trial)),
}];

/// Servers, each with a client of its own, at the same time.
const AT_A_TIME: usize = 12;

/// Between two lines of a client: its longest call, and what two cores take for all of them.
const LONGEST: Duration = TIMEOUT.saturating_add(Duration::from_millis(1500));

/// What a client may take, MiB. Answers of 4 MiB are held twice, as frame and as text, by each of its two threads, whose
/// allocator keeps that: it does not grow with their number.
const MOST: f64 = 8.0;
const MOST_LARGE: f64 = 24.0;

/// For a client to come back to a server that is honest.
const BACK: Duration = Duration::from_secs(10);

async fn attack(trial: &mut Trial) -> Result<()> {
    let time = trial.size(Duration::from_secs(12), Duration::from_secs(3));
    let (mut count, mut ended, mut failed) = (0, 0, 0);
    let (mut longest, mut grown, mut large, mut back) = (Duration::ZERO, 0.0f64, 0.0f64, Duration::ZERO);
    let servers = servers();
    for some in servers.chunks(AT_A_TIME) {
        for (server, seen) in some.iter().zip(join_all(some.iter().map(|server| meet(server, time))).await) {
            count += 1;
            match seen.and_then(|seen| seen.judge(server.becomes).map(|()| seen)) {
                Ok(seen) => {
                    ended += seen.ended;
                    failed += seen.failed;
                    longest = longest.max(seen.longest);
                    let most = if server.becomes == Becomes::FailsLarge { &mut large } else { &mut grown };
                    *most = most.max(seen.grown);
                    back = back.max(seen.back);
                }
                Err(error) => trial.miss(&format!("{}: {error:#}", server.name)),
            }
        }
    }
    trial.shows("servers, and clients", count);
    trial.shows("calls ended, and failed", format!("{ended}, {failed}"));
    trial.in_time("longest without the end of a call, s", longest.as_secs_f64(), LONGEST.as_secs_f64());
    trial.at_most("memory that a client took, MiB", grown, MOST);
    trial.at_most("the same, with answers of 4 MiB", large, MOST_LARGE);
    trial.in_time("a good call and stream again within, s", back.as_secs_f64(), BACK.as_secs_f64());
    Ok(())
}

/// What became of one client.
#[derive(Default)]
struct Seen {
    /// Calls that ended under attack, and those of them that failed.
    ended: usize,
    failed: usize,
    why: String,
    longest: Duration,
    /// Connections that the client made, ended, and kept although it has to end them.
    connections: usize,
    hung_up: usize,
    kept: usize,
    grown: f64,
    /// Until it had made good calls again.
    back: Duration,
}

impl Seen {
    fn judge(&self, becomes: Becomes) -> Result<()> {
        match becomes {
            Becomes::HangsUp if self.hung_up == 0 => bail!("the client did not hang up: {}", self.why),
            Becomes::HangsUp => ensure!(self.kept == 0, "the client did not always hang up: {}", self.why),
            Becomes::Fails | Becomes::FailsLarge => {
                ensure!(self.failed > 0, "no call failed: this was no attack")
            }
        }
        Ok(())
    }
}

/// One client at one hostile server, and then at an honest one.
async fn meet(hostile: &Server, time: Duration) -> Result<Seen> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut victim = Victim::start(listener.local_addr()?).await?;
    let before = memory::resident(victim.pid)?;
    let mut seen = Seen::default();
    let (hung_up, kept) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let mut connections = JoinSet::new();
    let (mut last, end) = (Instant::now(), Instant::now() + time);
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                seen.connections += 1;
                let (conduct, hung_up, kept) = (hostile.conduct.clone(), hung_up.clone(), kept.clone());
                let raw = Raw(accepted?.0);
                connections.spawn(async move {
                    if let Ok(hangs_up) = conduct.serve(raw).await {
                        let count = if hangs_up { hung_up } else { kept };
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            line = timeout_at(end, victim.lines.next_line()) => {
                let Ok(line) = line else { break };
                let line = line?.context("the client has ended")?;
                seen.ended += 1;
                if !line.starts_with(RIGHT) {
                    ensure!(line.starts_with(FAILED), "the client says: {line}");
                    (seen.failed, seen.why) = (seen.failed + 1, line);
                }
                seen.longest = seen.longest.max(last.elapsed());
                last = Instant::now();
            }
        }
    }
    seen.grown = memory::resident(victim.pid)?.saturating_sub(before) as f64 / MIB;
    seen.longest = seen.longest.max(last.elapsed());
    (seen.hung_up, seen.kept) = (hung_up.load(Ordering::Relaxed), kept.load(Ordering::Relaxed));
    connections.shutdown().await;
    let began = Instant::now();
    connections.spawn(async move { drop(server::serve_at(listener).await) });
    within(BACK.as_secs(), "the client makes good calls again", victim.recovers()).await??;
    seen.back = began.elapsed();
    Ok(seen)
}

/// The client.
struct Victim {
    pid: u32,
    lines: Lines<BufReader<ChildStdout>>,
    /// Killed with it.
    _child: Child,
}

impl Victim {
    async fn start(server: SocketAddr) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["client", "--server", &server.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("cannot start a client")?;
        let pid = child.id().context("the client has no pid")?;
        let output = child.stdout.take().context("the client has no output")?;
        let mut lines = BufReader::new(output).lines();
        let ready = within(10, "a client begins", lines.next_line()).await??;
        ensure!(ready.as_deref() == Some("ready"), "the client says {ready:?}");
        Ok(Self { pid, lines, _child: child })
    }

    /// Reads until a call and a stream were right.
    async fn recovers(&mut self) -> Result<()> {
        let mut right = [false; 2];
        while right != [true; 2] {
            let line = self.lines.next_line().await?.context("the client has ended")?;
            ensure!(line.starts_with(RIGHT) || line.starts_with(FAILED), "the client says: {line}");
            if let Some(kind) = line.strip_prefix(RIGHT) {
                right[usize::from(kind.trim() == "stream")] = true;
            }
        }
        Ok(())
    }
}
