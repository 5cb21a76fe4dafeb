//! The network between client and server drops everything, without a word.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use rpc_client::Client;
use tokio::task::JoinSet;

use crate::descriptors::Owner;
use crate::held::{HELD, Held, Tally, echo};
use crate::namespaces::{Namespaces, SERVER, Switch, icmp_messages, obstacle};
use crate::process::Process;
use crate::server::PING_INTERVAL;
use crate::stop::{LIMIT, is_unresponsive, pinging};
use crate::verdict::{Misses, Times, Verdict};

/// A client comes back no later than this after the network does: its dial, the longest wait between
/// two, and a little.
const RETURN: Duration = Duration::from_secs(2);
const DIAL_TIMEOUT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// For descriptors that go with the last packets.
const COME_BACK: Duration = Duration::from_secs(2);

/// A server, its client, and the server's descriptors without and with the connection.
struct Pair {
    server: Process,
    client: Client,
    tally: Tally,
    alone: usize,
    joined: usize,
}

/// What the trials took.
#[derive(Default)]
struct Taken {
    ends: Times,
    closes: Times,
    returns: Times,
}

/// Cuts so many connections, some at a time.
pub(crate) async fn partition(trials: usize, pairs: usize) -> Result<Verdict> {
    if let Some(why) = obstacle() {
        return Ok(Verdict::Skipped(format!("nothing was tried: {why}")));
    }
    let rounds = trials.div_ceil(pairs);
    println!(
        "partition: {} connections are cut, {pairs} at a time, each with {HELD} calls pending",
        rounds * pairs
    );
    let namespaces = Namespaces::create()?;
    let switch = namespaces.enter()?;
    switch.forward(true)?;
    let mut joined = Vec::new();
    for _ in 0..pairs {
        joined.push(Pair::join(&namespaces).await?);
    }
    let (mut misses, mut taken) = (Misses::default(), Taken::default());
    let baseline = Owner::Client.descriptors()?;
    for _ in 0..rounds {
        round(&joined, &switch, &mut taken, &mut misses).await?;
        let open = Owner::Client.come_back_to(baseline, COME_BACK).await?;
        misses.expect(open == baseline, || format!("{open} descriptors of the client, {baseline} before"));
    }
    for pair in &joined {
        let open = pair.server.owner().come_back_to(pair.joined, COME_BACK).await?;
        misses.expect(open == pair.joined, || {
            format!("{open} descriptors of a server, {} before", pair.joined)
        });
    }
    let icmp = icmp_messages()?;
    misses.expect(icmp == 0, || format!("the client got {icmp} ICMP messages: the partition was not silent"));
    println!("  last call ended after: {}; limit {LIMIT:?}", taken.ends);
    println!("  server's descriptors gone while cut off: {}", taken.closes);
    println!("  first answer after the network was back: {}; limit {RETURN:?}", taken.returns);
    println!("  ICMP messages at the client: {icmp}");
    Ok(Verdict::Seen(misses))
}

impl Pair {
    async fn join(namespaces: &Namespaces) -> Result<Self> {
        let server = Process::start(Some(&namespaces.server), SocketAddr::from((SERVER, 0)), None).await?;
        let alone = server.owner().descriptors()?;
        let tally = Tally::default();
        let builder = pinging().dial_timeout(DIAL_TIMEOUT).backoff(DIAL_TIMEOUT / 10, LONGEST_WAIT);
        let client = builder.interceptor(tally.clone()).connect(server.address).await?;
        echo(&client, 0).await?;
        let joined = server.owner().descriptors()?;
        Ok(Self { server, client, tally, alone, joined })
    }
}

async fn round(pairs: &[Pair], switch: &Switch, taken: &mut Taken, misses: &mut Misses) -> Result<()> {
    let mut held = Vec::new();
    for pair in pairs {
        held.push(Held::begin(&pair.client).await?);
        // So that the cut finds each connection at another point between two questions; the last one
        // has only just heard its server.
        if held.len() < pairs.len() {
            tokio::time::sleep(PING_INTERVAL / pairs.len() as u32).await;
        }
    }
    let cut = Instant::now();
    switch.forward(false)?;
    for (pair, held) in pairs.iter().zip(held) {
        taken.ends.push(held.last_end(cut, LIMIT, is_unresponsive, misses).await?);
        pair.tally.expect_even(misses);
    }
    for pair in pairs {
        let left = LIMIT.saturating_sub(cut.elapsed());
        let open = pair.server.owner().come_back_to(pair.alone, left).await?;
        taken.closes.push(cut.elapsed());
        misses.expect(open <= pair.alone, || {
            format!("{open} descriptors of a cut-off server, {} before its client came", pair.alone)
        });
    }
    let mut answers = JoinSet::new();
    let back = Instant::now();
    switch.forward(true)?;
    for pair in pairs {
        let client = pair.client.clone();
        answers.spawn(async move { echo(&client, 0).await.map(|()| back.elapsed()) });
    }
    while let Some(answered) = answers.join_next().await {
        let took = answered??;
        misses.expect(took <= RETURN, || format!("a client was back after {took:?}, over {RETURN:?}"));
        taken.returns.push(took);
    }
    Ok(())
}
