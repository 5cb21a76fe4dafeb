//! What calls and items allocate over loopback TCP, through the real client and server: each side on a thread and a
//! runtime of its own, so that each has its count.
//!
//! One test, because all threads of a side share its count.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use anyhow::{Context as _, Result, anyhow, ensure};
use benches::contract::{Args, ArithClient, ArithServer, Handlers};
use benches::counting::{Counting, Side, allocations, enter};
use futures_util::stream;
use rpc_client::Client;
use rpc_core::{Context, Service, Status};
use rpc_server::Server;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Tasks that make calls in a loop.
const TASKS: [usize; 3] = [1, 64, 256];

const CALLS: usize = 100_000;

/// Allocations of a side in all these calls, where none belongs to a call: a buffer that has to hold more than it ever
/// had to in the warm-up grows, and doubles then.
const GROWTH: u64 = 8;

const ITEMS: usize = 1_000_000;

/// Items for each allocation of the client's, at the least. It has some for each frame, of about a thousand of them:
/// what came is handed to the reader with its memory.
const ITEMS_PER_CLIENT_ALLOCATION: usize = 700;

/// Of the server's: up to 256 items that are ready together become one piece of memory.
const ITEMS_PER_SERVER_ALLOCATION: usize = 220;

/// What both sides, the client first, allocate from the end of the warm-up on, in which others are under way.
struct Meter {
    done: AtomicUsize,
    warm_up: usize,
    end: usize,
    at_warm_up: OnceLock<[u64; 2]>,
    at_end: OnceLock<[u64; 2]>,
}

impl Meter {
    fn new(measured: usize) -> Self {
        let warm_up = measured / 10;
        Self {
            done: AtomicUsize::new(0),
            warm_up,
            end: warm_up + measured,
            at_warm_up: OnceLock::new(),
            at_end: OnceLock::new(),
        }
    }

    /// One more is to be made; false: those were all.
    fn goes_on(&self) -> bool {
        let done = self.done.fetch_add(1, Ordering::Relaxed);
        let counts = || [Side::Client, Side::Server].map(allocations);
        if done == self.warm_up {
            self.at_warm_up.get_or_init(counts);
        } else if done == self.end {
            self.at_end.get_or_init(counts);
        }
        done < self.end
    }

    fn allocated(&self) -> Result<[u64; 2]> {
        let (before, after) = (self.at_warm_up.get(), self.at_end.get());
        let (before, after) = (before.context("not warm")?, after.context("not at the end")?);
        Ok([0, 1].map(|side| after[side] - before[side]))
    }
}

#[test]
fn a_call_allocates_nothing_and_an_item_hardly_anything() -> Result<()> {
    let address = serve()?.to_string();
    let client = thread::spawn(move || -> Result<()> {
        enter(Side::Client);
        for tasks in TASKS {
            let [client, server] = runtime()?.block_on(call(&address, tasks))?;
            println!("{CALLS} calls of {tasks} tasks: client {client}, server {server}");
            ensure!(client <= GROWTH, "calls of {tasks} tasks: the client allocates {client} times");
            ensure!(server <= GROWTH, "calls of {tasks} tasks: the server allocates {server} times");
        }
        let [client, server] = runtime()?.block_on(take(&address))?;
        println!("{ITEMS} items: client {client}, server {server}");
        let (at_client, at_server) =
            (ITEMS / ITEMS_PER_CLIENT_ALLOCATION, ITEMS / ITEMS_PER_SERVER_ALLOCATION);
        ensure!(client <= at_client as u64, "{ITEMS} items: the client allocates {client} times");
        ensure!(server <= at_server as u64, "{ITEMS} items: the server allocates {server} times");
        Ok(())
    });
    client.join().map_err(|_| anyhow!("the client panicked"))?
}

fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

/// A server, until the process ends.
fn serve() -> Result<SocketAddr> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    thread::spawn(move || -> Result<()> {
        enter(Side::Server);
        let server = Server::builder().register(ArithServer::new(Handlers)).register(numbers());
        runtime()?.block_on(async {
            server.serve(TcpListener::from_std(listener)?).await?;
            Ok(())
        })
    });
    Ok(address)
}

/// All numbers, one after the other.
fn numbers() -> Service {
    Service::new("Numbers").server_stream("Count", |_: Context, (): ()| async {
        Ok::<_, Status>(stream::iter((0u64..).map(Ok::<_, Status>)))
    })
}

/// Makes calls from so many tasks; what they allocated.
async fn call(address: &str, tasks: usize) -> Result<[u64; 2]> {
    let arith = ArithClient::new(Client::connect(address).await?);
    let meter = Arc::new(Meter::new(CALLS));
    let mut running = JoinSet::new();
    for _ in 0..tasks {
        let (arith, meter) = (arith.clone(), meter.clone());
        running.spawn(async move {
            while meter.goes_on() {
                ensure!(arith.multiply(Args { a: 7, b: 8 }).await? == 56, "the answer is no product");
            }
            Ok(())
        });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    meter.allocated()
}

/// Takes the items of a stream; what they allocated.
async fn take(address: &str) -> Result<[u64; 2]> {
    let client = Client::connect(address).await?;
    let mut numbers = client.call_server_stream::<_, u64>("Numbers.Count", ()).await?;
    let (meter, mut expected) = (Meter::new(ITEMS), 0..);
    while meter.goes_on() {
        ensure!(numbers.try_next().await? == expected.next(), "the item is another one");
    }
    meter.allocated()
}
