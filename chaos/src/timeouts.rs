//! Every timeout of `docs/timeouts.md`, over real sockets and in real time: whether it fires when it was set
//! to, and what it leaves open.

mod client;
mod kernel;
mod server;
mod tls;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rpc_core::{Context, Status};
use rpc_server::{Builder, Server};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

use crate::descriptors::Owner;
use crate::namespaces::obstacle;
use crate::verdict::{Misses, Times, Verdict};
use crate::within;

/// What most of them are set to.
const SHORT: Duration = Duration::from_millis(300);

/// How late one may be, and how early: what is measured from may be a little later than what it is.
const LATE: Duration = Duration::from_millis(50);
const EARLY: Duration = Duration::from_millis(5);

/// For descriptors of both sides, last words included.
const COME_BACK: Duration = Duration::from_secs(3);

type Trial = Pin<Box<dyn Future<Output = Result<Duration>> + Send>>;

/// One timeout.
struct Row {
    name: &'static str,
    /// It fires no sooner than the one and no later than the other, but for what is borne.
    between: (Duration, Duration),
    /// The time until it fired.
    trial: fn() -> Trial,
}

/// One that is set to a time and fires then.
fn at(time: Duration, name: &'static str, trial: fn() -> Trial) -> Row {
    Row { name, between: (time, time), trial }
}

/// Lets each of them fire so many times, all at once.
pub(crate) async fn timeouts(trials: usize) -> Result<Verdict> {
    println!("timeouts: each fires {trials} times; on time is up to {LATE:?} late");
    let mut misses = Misses::default();
    println!("  {:<38} {:>9}   late by", "", "set to");
    for row in client::rows().into_iter().chain(tls::rows()).chain(server::rows()) {
        fire(&row, trials, &mut misses).await?;
    }
    if let Some(why) = obstacle() {
        println!("  TCP's own: SKIPPED: {why}");
        return Ok(misses.but_not_all(why));
    }
    kernel::fire(trials, &mut misses).await?;
    Ok(Verdict::Seen(misses))
}

async fn fire(row: &Row, trials: usize, misses: &mut Misses) -> Result<()> {
    let Row { name, between: (least, most), trial } = *row;
    let baseline = Owner::Client.descriptors()?;
    let mut running = JoinSet::new();
    for _ in 0..trials {
        running.spawn(trial());
    }
    let mut late = Times::default();
    while let Some(took) = within(30, "it fires", running.join_next()).await? {
        let took = took?.with_context(|| format!("{name} did not fire"))?;
        misses.expect(took + EARLY >= least, || format!("{name} fired after {took:?}, set to {least:?}"));
        late.push(took.saturating_sub(most));
    }
    tell(name, most, &late, LATE, misses);
    // Client and server are both in this process.
    let open = Owner::Client.come_back_to(baseline, COME_BACK).await?;
    misses.expect(open <= baseline, || format!("{name}: {open} descriptors, {baseline} before"));
    Ok(())
}

fn tell(name: &str, time: Duration, late: &Times, limit: Duration, misses: &mut Misses) {
    println!("  {name:<38} {time:>9?}   {late}");
    misses.expect(late.most() <= limit, || format!("{name}: late by {late}, over {limit:?}"));
}

/// A server in this process, on a port of its own.
struct Serving {
    server: Server,
    address: SocketAddr,
    accepting: AbortHandle,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Serving {
    async fn start(set: impl FnOnce(Builder) -> Builder) -> Result<Self> {
        let hold = |_: Context, _: u64| std::future::pending::<Result<u64, Status>>();
        let large = |_: Context, _: u64| async { Ok::<_, Status>("x".repeat(3 << 20)) };
        let builder = Server::builder()
            .register_fn("Chaos.Echo", |_: Context, number: u64| async move { Ok::<_, Status>(number) })
            .register_fn("Chaos.Hold", hold)
            .register_fn("Chaos.Large", large);
        let server = set(builder).build()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(server.serve(listener).into_future()).abort_handle();
        Ok(Self { server, address, accepting })
    }

    /// The time from `since` until it has no connection any more.
    async fn gone(&self, since: Instant) -> Result<Duration> {
        let gone = async {
            while self.server.connections() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        within(10, "the server has no connection", gone).await?;
        Ok(since.elapsed())
    }
}
