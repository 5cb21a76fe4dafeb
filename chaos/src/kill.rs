//! The server is killed.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::sys::signal::Signal;
use rpc_client::{Client, Error};

use crate::descriptors::Owner;
use crate::held::{HELD, Held, Tally};
use crate::process::Process;
use crate::verdict::{Misses, Times, Verdict};

/// From the kill to the end of the last call: the kernel closes the sockets of a dead process at once.
const LIMIT: Duration = Duration::from_millis(100);

/// For the client's descriptors to be as many as before it was made.
const COME_BACK: Duration = Duration::from_secs(2);

/// Kills so many servers under a client that reconnects (and finds nobody), and so many under one that
/// does not.
pub(crate) async fn kill(trials: usize) -> Result<Verdict> {
    println!("kill: {trials} x 2 servers are killed with {HELD} calls pending");
    let mut misses = Misses::default();
    for reconnect in [false, true] {
        let mut times = Times::default();
        for _ in 0..trials {
            times.push(trial(reconnect, &mut misses).await?);
        }
        let client = if reconnect { "redials in vain" } else { "does not reconnect" };
        println!("  client {client:<19} {:>3} kills; last call ended after: {times}", times.len());
    }
    println!("  limit {LIMIT:?}");
    Ok(Verdict::Seen(misses))
}

async fn trial(reconnect: bool, misses: &mut Misses) -> Result<Duration> {
    let server = Process::start(None, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), None).await?;
    let baseline = Owner::Client.descriptors()?;
    let tally = Tally::default();
    let builder = Client::builder().reconnect(reconnect).interceptor(tally.clone());
    let client = builder.connect(server.address).await?;
    let held = Held::begin(&client).await?;

    let killed = Instant::now();
    server.signal(Signal::SIGKILL)?;
    let lost = |error: &Error| matches!(error, Error::ConnectionLost { .. });
    let last = held.last_end(killed, LIMIT, lost, misses).await?;

    tally.expect_even(misses);
    // The client is still there: it is the connection that has to be gone.
    let open = Owner::Client.come_back_to(baseline, COME_BACK).await?;
    misses
        .expect(open == baseline, || format!("{open} descriptors of the client are open, {baseline} before"));
    drop(client);
    server.ended().await?;
    Ok(last)
}
