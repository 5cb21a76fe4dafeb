//! Allocations per call through the real client and server over loopback TCP: each side on a
//! thread and a runtime of its own, so that each has its count.
//!
//! Prints `CASE.SIDE ALLOCATIONS`, one figure per line, for `scripts/guard` and for people.

use std::thread;

use anyhow::{Result, anyhow};
use benches::contract::{Args, ArithClient};
use benches::counting::{Counting, Side, allocations, enter};
use benches::ours;
use rpc_client::Client;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Calls of each measurement; the warm-up has a tenth of it.
const CALLS: usize = 320_000;

/// Tasks that make calls in a loop.
const TASKS: [usize; 3] = [1, 64, 256];

fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

fn main() -> Result<()> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    // Ends with the process, as its runtime has no other reason to.
    thread::spawn(move || {
        enter(Side::Server);
        let served = runtime().and_then(|runtime| {
            runtime.block_on(async { tokio::spawn(ours::serve(TcpListener::from_std(listener)?)).await? })
        });
        eprintln!("the server has ended: {served:?}");
    });
    let client = thread::spawn(move || -> Result<()> {
        enter(Side::Client);
        for tasks in TASKS {
            runtime()?.block_on(measure(&address.to_string(), tasks))?;
        }
        Ok(())
    });
    client.join().map_err(|_| anyhow!("the client panicked"))?
}

async fn measure(address: &str, tasks: usize) -> Result<()> {
    let arith = ArithClient::new(Client::connect(address).await?);
    call(&arith, tasks, CALLS / 10).await?;
    let before = [Side::Client, Side::Server].map(allocations);
    call(&arith, tasks, CALLS).await?;
    let after = [Side::Client, Side::Server].map(allocations);
    // What prints is not counted.
    let side = enter(Side::Neither);
    for (at, name) in ["client", "server"].into_iter().enumerate() {
        println!("tcp-{tasks}.{name} {:.4}", (after[at] - before[at]) as f64 / CALLS as f64);
    }
    enter(side);
    Ok(())
}

async fn call(arith: &ArithClient<Client>, tasks: usize, calls: usize) -> Result<()> {
    let mut running = JoinSet::new();
    for _ in 0..tasks {
        let arith = arith.clone();
        running.spawn(async move {
            for at in 0..calls / tasks {
                arith.multiply(Args { a: 7, b: at as i64 }).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(())
}
