//! The server is stopped, and goes on later.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::sys::signal::Signal;
use rpc_client::{Client, Error, Lost};

use crate::descriptors::Owner;
use crate::held::{HELD, Held, Tally, echo};
use crate::process::Process;
use crate::server::{PING_INTERVAL, PING_TIMEOUT};
use crate::verdict::{Misses, Times, Verdict};

/// Both times, and a little for machines that are busy.
pub(crate) const LIMIT: Duration = Duration::from_millis(1600);

const COME_BACK: Duration = Duration::from_secs(2);

/// A server with calls in flight takes a client that closed its side for one that waits for answers:
/// the first Ping is refused by the client's kernel, and then the second one fails.
const NOTICED: Duration = Duration::from_secs(4);

/// Stops a server so many times. Its kernel goes on to acknowledge what comes.
pub(crate) async fn stop(trials: usize) -> Result<Verdict> {
    println!("stop: a server is stopped {trials} times with {HELD} calls pending, and goes on");
    let (mut misses, mut ends, mut returns) = (Misses::default(), Times::default(), Times::default());
    let server = Process::start(None, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), None).await?;
    let tally = Tally::default();
    let client = pinging().interceptor(tally.clone()).connect(server.address).await?;
    let (baseline, at_server) = (Owner::Client.descriptors()?, server.owner().descriptors()?);
    for _ in 0..trials {
        let held = Held::begin(&client).await?;
        let stopped = Instant::now();
        server.signal(Signal::SIGSTOP)?;
        ends.push(held.last_end(stopped, LIMIT, is_unresponsive, &mut misses).await?);
        tally.expect_even(&mut misses);

        let resumed = Instant::now();
        server.signal(Signal::SIGCONT)?;
        echo(&client, 0).await?;
        returns.push(resumed.elapsed());
        let open = Owner::Client.come_back_to(baseline, COME_BACK).await?;
        misses.expect(open == baseline, || format!("{open} descriptors of the client, {baseline} before"));
    }
    let left = server.owner().come_back_to(at_server, NOTICED).await?;
    misses.expect(left <= at_server, || format!("{left} descriptors of the server, {at_server} before"));
    println!("  last call ended after: {ends}; limit {LIMIT:?}");
    println!("  the same client's first answer after it went on: {returns}");
    Ok(Verdict::Seen(misses))
}

/// A client that soon notices that its server is gone without a word.
pub(crate) fn pinging() -> rpc_client::Builder {
    Client::builder().ping_interval(PING_INTERVAL).ping_timeout(PING_TIMEOUT).wait_for_ready(true)
}

/// The end that silence brings, and nothing that the kernel or a router said.
pub(crate) fn is_unresponsive(error: &Error) -> bool {
    matches!(error, Error::ConnectionLost { source: Lost::Unresponsive, .. })
}
