//! Two servers are restarted in turn while a client calls.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use rpc_client::{Client, Error};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::in_turn::InTurn;
use crate::journal::Runs;
use crate::process::Process;
use crate::verdict::{Misses, Verdict};

/// Callers at a time.
const TASKS: usize = 64;

/// So that a call that hangs is a call that fails.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Restarts come after so many calls, on a fast machine sooner than the first wait between dials. The
/// client then takes them for a server that never stays, and must not wait longer and longer.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// Makes so many calls, none of them idempotent, over so many restarts spread over the run.
pub(crate) async fn rolling(calls: u64, restarts: u64) -> Result<Verdict> {
    println!("rolling: {calls} calls by {TASKS} tasks, {restarts} restarts of two servers in turn");
    let mut misses = Misses::default();
    let mut fleet = Fleet::start().await?;
    let in_turn = InTurn::new([0, 1].map(|at| fleet.servers[at].address));
    let builder = Client::builder().wait_for_ready(true).timeout(TIMEOUT).backoff(FIRST_WAIT, LONGEST_WAIT);
    let client = builder.connect_with(in_turn.clone(), "fleet").await?;

    let (due, mut dues) = mpsc::unbounded_channel();
    let load = Arc::new(Load { calls, step: calls / (restarts + 1), next: AtomicU64::new(0), due });
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        tasks.spawn(load.clone().run(client.clone()));
    }
    let mut finished = 0;
    for at in 0..restarts {
        dues.recv().await.context("the load ended")?;
        finished += fleet.restart(in_turn.in_use()).await?;
        let made = load.next.load(Ordering::Relaxed);
        misses.expect(made < calls, || format!("restart {at} was over when all calls were made"));
    }
    let (mut longest, mut failed) = (Duration::ZERO, 0);
    while let Some(task) = tasks.join_next().await {
        let (took, failures) = task?;
        longest = longest.max(took);
        for error in failures {
            failed += 1;
            misses.expect(false, || format!("a call failed: {error:?}"));
        }
    }
    let took = began.elapsed();
    client.close().await?;

    let runs = fleet.end(calls).await?;
    let (missing, twice) = runs.wrong();
    misses.expect(missing == 0, || format!("{missing} calls never ran"));
    misses.expect(twice == 0, || format!("{twice} calls ran twice"));
    let connections = in_turn.opened();
    misses.expect(connections as u64 > restarts, || {
        format!("{connections} connections: not every restart took the client's away")
    });
    println!(
        "  {:.0} calls/s over {took:.1?}; {failed} failed, {missing} never ran, {twice} ran twice",
        calls as f64 / took.as_secs_f64()
    );
    println!(
        "  {restarts} restarts, {connections} connections; {finished} calls were finished by servers that were ending"
    );
    println!("  the longest call took {longest:.1?}");
    Ok(Verdict::Seen(misses))
}

/// Calls with numbers of their own.
struct Load {
    calls: u64,
    /// A restart is due after so many calls, again and again.
    step: u64,
    next: AtomicU64,
    due: mpsc::UnboundedSender<()>,
}

impl Load {
    /// The time of the longest call, and what failed.
    async fn run(self: Arc<Self>, client: Client) -> (Duration, Vec<Error>) {
        let (mut longest, mut failures) = (Duration::ZERO, Vec::new());
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.calls {
                return (longest, failures);
            }
            if number > 0 && number.checked_rem(self.step) == Some(0) {
                // Nobody waits for one that is due with the last call.
                let _ = self.due.send(());
            }
            let began = Instant::now();
            if let Err(error) = client.call::<_, u64>("Chaos.Append", number).await {
                failures.push(error);
            }
            longest = longest.max(began.elapsed());
        }
    }
}

/// Two servers on addresses that stay theirs, and the journals of all that ever ran there.
struct Fleet {
    servers: Vec<Process>,
    directory: PathBuf,
    journals: Vec<PathBuf>,
}

impl Fleet {
    async fn start() -> Result<Self> {
        let directory = std::env::temp_dir().join(format!("chaos-{}", std::process::id()));
        fs::create_dir(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let mut fleet = Self { servers: Vec::new(), directory, journals: Vec::new() };
        // A loopback address that nobody dials from: while a server is away, its port at 127.0.0.1
        // could become the near end of a connection, that of the client to itself even.
        let [_, _, high, low] = std::process::id().to_be_bytes();
        for _ in 0..2 {
            let server = fleet.server(SocketAddr::from(([127, 64 | high >> 2, low, 2], 0))).await?;
            fleet.servers.push(server);
        }
        Ok(fleet)
    }

    async fn server(&mut self, listen: SocketAddr) -> Result<Process> {
        let journal = self.directory.join(format!("journal-{}", self.journals.len()));
        self.journals.push(journal.clone());
        Process::start(None, listen, Some(&journal)).await
    }

    /// Ends one in good order and starts another in its place; the calls it finished meanwhile.
    async fn restart(&mut self, at: usize) -> Result<u64> {
        let old = self.servers.remove(at);
        let address = old.address;
        let finished = ended(old).await?;
        let new = self.server(address).await?;
        self.servers.insert(at, new);
        Ok(finished)
    }

    async fn end(mut self, calls: u64) -> Result<Runs> {
        for server in self.servers.drain(..) {
            ended(server).await?;
        }
        let mut runs = Runs::new(calls);
        for journal in &self.journals {
            runs.add(journal)?;
        }
        Ok(runs)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

async fn ended(server: Process) -> Result<u64> {
    server.signal(Signal::SIGTERM)?;
    let (status, last) = server.ended().await?;
    let (finished, cancelled) = last.split_once(' ').context("a server ended without a report")?;
    ensure!(status.success() && cancelled == "0", "a server ended in disorder: {status}, {last}");
    Ok(finished.parse()?)
}
