//! Processes that are killed, stopped, restarted and cut off from each other, and what becomes of the
//! calls between them. What a test inside one process cannot show: that the kernel tells what it tells,
//! and that nothing stays behind.

mod handshakes;
mod held;
mod in_turn;
mod journal;
mod kill;
mod namespaces;
mod partition;
mod raw;
mod rolling;
mod server;
mod stop;
mod stories;
mod storm;
mod timeouts;
mod verdict;

use std::future::Future;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use chaos::{descriptors, process, within};
use lexopt::prelude::*;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::verdict::Verdict;

const USAGE: &str = "\
Usage: chaos COMMAND [OPTIONS]

Starts servers as processes of their own, does them harm, and says what their client saw.

  kill       the server is killed with calls pending
    --trials N    for each of two clients, one that reconnects and one that does not [default: 20]
  stop       the server is stopped, and goes on later
    --trials N    [default: 3]
  partition  a router between client and server drops all packets; needs root and `ip`
    --trials N    connections that are cut [default: 50]
    --pairs N     so many of them at a time [default: 5]
  rolling    two servers are restarted in turn while a client calls
    --calls N     [default: 1000000]
    --restarts N  [default: 20]
  storm      clients that are processes call, and send and take streams, while their servers are killed,
             stopped, drained and cut off; what handlers wrote down is compared with what clients were
             told; the cuts need root and `ip`
    --calls N     [default: 1000000]
    --streams N   [default: 100000]
    --servers N   [default: 3]
    --clients N   [default: 4]
    --seed N      what is asked and what is done to whom [default: random]
  handshakes TLS handshakes that do not go on, and what they are to a client that connects meanwhile
    --stalled N   [default: 1000]
    --trials N    connects that are measured [default: 5]

  stories    time runs out: the server's host dies, the client gives up first, or both; the second half
             needs root and `ip`
    --trials N    of each [default: 5]
  timeouts   every timeout of docs/timeouts.md fires when it was set to; the last rows need root and `ip`
    --trials N    of each [default: 5]

Exits with 0 when all was as it has to be, 1 when it was not, 2 when asked wrongly, 77 when it could not be tried.
";

/// What automake's tests say when they were skipped.
const SKIPPED: u8 = 77;

/// For what has no limit of its own. The longest command takes minutes.
const LIMIT: Duration = Duration::from_secs(900);

#[derive(Default)]
struct Args {
    trials: Option<usize>,
    pairs: Option<usize>,
    calls: Option<u64>,
    restarts: Option<u64>,
    listen: Option<SocketAddr>,
    journal: Option<PathBuf>,
    identity: Option<PathBuf>,
    stalled: Option<usize>,
    streams: Option<u64>,
    seed: Option<u64>,
    servers: Option<usize>,
    clients: Option<usize>,
    lie: Option<u64>,
    plan: Option<storm::Plan>,
    share: Range<u64>,
    at: Vec<SocketAddr>,
}

fn main() -> ExitCode {
    let (command, args) = match parse_args() {
        Ok(Some(parsed)) => parsed,
        Ok(None) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprint!("chaos: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&command, args) {
        Ok(Verdict::Skipped(why)) => {
            println!("{command}: SKIPPED, {why}");
            ExitCode::from(SKIPPED)
        }
        Ok(Verdict::Seen(misses)) if misses.is_empty() => ExitCode::SUCCESS,
        Ok(Verdict::Seen(misses)) => {
            print!("{misses}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("chaos {command}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &str, args: Args) -> anyhow::Result<Verdict> {
    if let "server" | "storm-server" = command {
        let listen = args.listen.context("--listen is missing")?;
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(async {
            if command == "server" {
                return server::serve(listen, args.journal.as_deref(), args.identity.as_deref()).await;
            }
            let journal = args.journal.context("--journal is missing")?;
            storm::serve(listen, &journal, args.lie).await
        })?;
        return Ok(Verdict::default());
    }
    // One thread: it starts the servers, which end with the thread that started them, and it enters
    // network namespaces, which are a thread's.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            "kill" => guarded(kill::kill(args.trials.unwrap_or(20))).await,
            "stop" => guarded(stop::stop(args.trials.unwrap_or(3))).await,
            "partition" => {
                let (trials, pairs) = (args.trials.unwrap_or(50), args.pairs.unwrap_or(5));
                guarded(partition::partition(trials, pairs)).await
            }
            "handshakes" => {
                let (stalled, trials) = (args.stalled.unwrap_or(1000), args.trials.unwrap_or(5));
                guarded(handshakes::handshakes(stalled, trials)).await
            }
            "rolling" => {
                let (calls, restarts) = (args.calls.unwrap_or(1_000_000), args.restarts.unwrap_or(20));
                guarded(rolling::rolling(calls, restarts)).await
            }
            "storm" => {
                let order = storm::Order {
                    calls: args.calls.unwrap_or(1_000_000),
                    streams: args.streams.unwrap_or(100_000),
                    seed: args.seed,
                    servers: args.servers.unwrap_or(3),
                    clients: args.clients.unwrap_or(4),
                    lie: args.lie,
                };
                guarded(storm::storm(order)).await
            }
            "storm-client" => {
                let plan = args.plan.context("--plan is missing")?;
                let told = args.journal.context("--journal is missing")?;
                storm::ask(plan, args.share, args.at, &told).await?;
                Ok(Verdict::default())
            }
            "stories" => guarded(stories::stories(args.trials.unwrap_or(5))).await,
            "timeouts" => guarded(timeouts::timeouts(args.trials.unwrap_or(5))).await,
            other => bail!("unknown command {other}"),
        }
    })
}

/// Drops the command, and with it all that it made, when it is told to end or takes too long.
async fn guarded(command: impl Future<Output = anyhow::Result<Verdict>>) -> anyhow::Result<Verdict> {
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        verdict = tokio::time::timeout(LIMIT, command) => verdict.context("took too long")?,
        _ = term.recv() => Err(anyhow!("terminated")),
        _ = interrupt.recv() => Err(anyhow!("interrupted")),
    }
}

fn parse_args() -> Result<Option<(String, Args)>, lexopt::Error> {
    let (mut command, mut args) = (None, Args::default());
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Short('h') | Long("help") => return Ok(None),
            Long("trials") => args.trials = Some(at_least_one(parser.value()?)?),
            Long("pairs") => args.pairs = Some(at_least_one(parser.value()?)?),
            Long("calls") => args.calls = Some(at_least_one(parser.value()?)? as u64),
            Long("restarts") => args.restarts = Some(parser.value()?.parse()?),
            Long("listen") => args.listen = Some(parser.value()?.parse()?),
            Long("journal") => args.journal = Some(parser.value()?.into()),
            Long("identity") => args.identity = Some(parser.value()?.into()),
            Long("streams") => args.streams = Some(at_least_one(parser.value()?)? as u64),
            Long("seed") => args.seed = Some(parser.value()?.parse()?),
            Long("servers") => args.servers = Some(at_least_one(parser.value()?)?),
            Long("clients") => args.clients = Some(at_least_one(parser.value()?)?),
            Long("lie") => args.lie = Some(at_least_one(parser.value()?)? as u64),
            Long("plan") => args.plan = Some(parser.value()?.parse()?),
            Long("from") => args.share.start = parser.value()?.parse()?,
            Long("to") => args.share.end = parser.value()?.parse()?,
            Long("at") => args.at.push(parser.value()?.parse()?),
            Long("stalled") => args.stalled = Some(at_least_one(parser.value()?)?),
            Value(value) if command.is_none() => command = Some(value.string()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some((command.ok_or("the COMMAND is missing")?, args)))
}

fn at_least_one(value: std::ffi::OsString) -> Result<usize, lexopt::Error> {
    match value.parse()? {
        0 => Err("must be at least 1".into()),
        number => Ok(number),
    }
}
