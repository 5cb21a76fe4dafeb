//! What a stream that nobody reads costs its neighbours and its server.
//!
//! `stalled [--rounds N] [--seconds N] [--streams N] [--size BYTES]`: in turns, so many streams less one on one
//! connection, and the same beside one more whose items are never taken. Prints what the others keep of their
//! rate, and what the server's memory grew by.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use benches::ours;
use bytes::Bytes;
use lexopt::prelude::*;
use rpc_client::Client;
use rpc_core::Streaming;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// After this the streams run evenly.
const WARM_UP: Duration = Duration::from_millis(300);

struct Plan {
    rounds: usize,
    seconds: f64,
    streams: usize,
    size: u32,
}

fn main() -> Result<()> {
    let mut plan = Plan { rounds: 7, seconds: 1.0, streams: 100, size: 1024 };
    let mut parser = lexopt::Parser::from_env();
    let mut serves = false;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("rounds") => plan.rounds = parser.value()?.parse()?,
            Long("seconds") => plan.seconds = parser.value()?.parse()?,
            Long("streams") => plan.streams = parser.value()?.parse()?,
            Long("size") => plan.size = parser.value()?.parse()?,
            Value(word) if word == "serve" => serves = true,
            other => return Err(other.unexpected().into()),
        }
    }
    ensure!((1..=100).contains(&plan.rounds) && (0.1..=60.0).contains(&plan.seconds), "out of range");
    ensure!((2..=200).contains(&plan.streams), "streams: from 2 to 200");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { if serves { serve().await } else { measure(&plan).await } })
}

async fn serve() -> Result<()> {
    // Ends with whoever started it.
    std::thread::spawn(|| {
        let _ = std::io::stdin().lock().read_line(&mut String::new());
        std::process::exit(0);
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    ours::serve(listener).await
}

/// The server's process; ends with this.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start() -> Result<Self> {
        let program = std::env::current_exe()?;
        let mut child =
            Command::new(program).arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut address = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut address)?;
        Ok(Self { child, address: address.trim().to_owned() })
    }

    /// Resident memory in bytes.
    fn memory(&self) -> Result<i64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kilobytes: i64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kilobytes * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn measure(plan: &Plan) -> Result<()> {
    let (mut kept, mut grown) = (Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        // Each pair has a server of its own, whose memory nothing else has touched.
        let server = Server::start()?;
        let client = Client::connect(&server.address).await?;
        let items = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        for _ in 1..plan.streams {
            let stream = open(&client, plan.size).await?;
            tasks.spawn(take(stream, items.clone()));
        }
        let alone = rate(&items, plan.seconds).await;
        let memory = server.memory()?;
        let stalled = open(&client, plan.size).await?;
        let beside = rate(&items, plan.seconds).await;
        let growth = server.memory()? - memory;
        drop(stalled);
        let after = rate(&items, plan.seconds).await;
        if let Some(ended) = tasks.try_join_next() {
            ended??;
            bail!("a stream ended early");
        }
        // What the machine does meanwhile, it does before and after.
        let ratio = beside / ((alone + after) / 2.0);
        println!(
            "round {}: {alone:.0} items/s alone, {beside:.0} beside one that is not read, {after:.0} after: {ratio:.3}; \
             server {:+} KiB",
            round + 1,
            growth / 1024
        );
        kept.push(ratio);
        grown.push(growth as f64 / 1024.0);
    }
    println!(
        "{} streams of {} bytes: the others keep {:.3} of their rate ({:.3} to {:.3}); the server's memory grows by \
         {:.0} KiB ({:.0} to {:.0})",
        plan.streams - 1,
        plan.size,
        middle(&mut kept),
        kept[0],
        kept[kept.len() - 1],
        middle(&mut grown),
        grown[0],
        grown[grown.len() - 1]
    );
    Ok(())
}

async fn open(client: &Client, size: u32) -> Result<Streaming<Bytes, rpc_client::Error>> {
    Ok(client.call_server_stream("Items.Repeat", size).await?)
}

async fn take(mut stream: Streaming<Bytes, rpc_client::Error>, items: Arc<AtomicU64>) -> Result<()> {
    while let Some(item) = stream.next().await {
        item?;
        items.fetch_add(1, Relaxed);
    }
    bail!("the stream has ended")
}

async fn rate(items: &AtomicU64, seconds: f64) -> f64 {
    sleep(WARM_UP).await;
    let (before, began) = (items.load(Relaxed), Instant::now());
    sleep(Duration::from_secs_f64(seconds)).await;
    (items.load(Relaxed) - before) as f64 / began.elapsed().as_secs_f64()
}

fn middle(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
