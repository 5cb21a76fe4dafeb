//! TCP's own: what the kernel does with a peer that no packet comes from, when nobody else asks.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use rpc_client::{Client, Error, Lost, TcpOptions};
use tokio::task::JoinSet;

use super::{COME_BACK, LATE, tell};
use crate::descriptors::Owner;
use crate::held::echo;
use crate::namespaces::{Namespaces, SERVER, Switch};
use crate::process::Process;
use crate::verdict::{Misses, Times};
use crate::within;

const SECOND: Duration = Duration::from_secs(1);
const PROBES: u32 = 2;

/// The time of what is not acknowledged begins when it is sent for the second time, and ends when it would be sent again.
const UNACKNOWLEDGED: Duration = Duration::from_secs(1);

/// Cuts connections that are quiet, whose peer is probed; and some on which a call has just been sent.
pub(super) async fn fire(trials: usize, misses: &mut Misses) -> Result<()> {
    let namespaces = Namespaces::create()?;
    let switch = namespaces.enter()?;
    let mut tcp = TcpOptions::default();
    (tcp.keepalive, tcp.keepalive_interval) = (Some(SECOND), Some(SECOND));
    (tcp.keepalive_probes, tcp.user_timeout) = (Some(PROBES), None);
    // The one time and the others follow each other, and each may be late.
    let probed = (SECOND + PROBES * SECOND, LATE + PROBES * LATE);
    cut("keepalive, its interval and probes", tcp, probed, true, trials, (&namespaces, &switch), misses)
        .await?;
    (tcp.keepalive, tcp.user_timeout) = (None, Some(SECOND));
    let unacknowledged = (SECOND, UNACKNOWLEDGED);
    cut("user_timeout", tcp, unacknowledged, false, trials, (&namespaces, &switch), misses).await
}

async fn cut(
    name: &str,
    tcp: TcpOptions,
    (time, borne): (Duration, Duration),
    quiet: bool,
    trials: usize,
    (namespaces, switch): (&Namespaces, &Switch),
    misses: &mut Misses,
) -> Result<()> {
    switch.forward(true)?;
    let server = Process::start(Some(&namespaces.server), SocketAddr::from((SERVER, 0)), None).await?;
    let baseline = Owner::Client.descriptors()?;
    let (mut clients, mut calls) = (Vec::new(), JoinSet::new());
    for _ in 0..trials {
        let builder = Client::builder().ping_interval(None).reconnect(false).tcp(tcp);
        clients.push(builder.connect(server.address).await?);
    }
    let mut hold = |client: &Client| {
        let call = client.call::<_, u64>("Chaos.Hold", 0_u64).start();
        calls.spawn(async move { (call.await, Instant::now()) });
    };
    let held = trials as u64;
    if quiet {
        clients.iter().for_each(&mut hold);
        within(10, "all are held", clients[0].call::<_, u64>("Chaos.Held", held).into_future()).await??;
        for client in &clients {
            echo(client, 0).await?;
        }
    }
    let since = Instant::now();
    switch.forward(false)?;
    if !quiet {
        clients.iter().for_each(&mut hold);
    }
    let mut late = Times::default();
    while let Some(ended) = within(30, "the kernel gives up", calls.join_next()).await? {
        let (ended, at) = ended?;
        let lost = matches!(&ended, Err(Error::ConnectionLost { source: Lost::Io(_), .. }));
        misses.expect(lost, || format!("{name}: the call ended otherwise: {ended:?}"));
        let took = at - since;
        misses.expect(took + borne >= time, || format!("{name} fired after {took:?}, set to {time:?}"));
        late.push(took.saturating_sub(time));
    }
    tell(name, time, &late, borne, misses);
    let open = Owner::Client.come_back_to(baseline, COME_BACK).await?;
    misses.expect(open <= baseline, || format!("{name}: {open} descriptors, {baseline} before"));
    Ok(())
}
