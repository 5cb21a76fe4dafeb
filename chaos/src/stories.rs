//! Time runs out between a client and a server: what the call becomes, when both sides know, and that no
//! descriptor is left. The three stories of `tests/tests/stories.rs`, told by processes.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::sys::signal::Signal;
use rpc_client::{Client, Error};
use rpc_core::{Code, Executed};

use crate::descriptors::Owner;
use crate::held::echo;
use crate::namespaces::{Namespaces, SERVER, Switch, obstacle};
use crate::process::Process;
use crate::stop::{LIMIT, is_unresponsive, pinging};
use crate::verdict::{Misses, Times, Verdict};
use crate::within;

/// The time of the calls that their client gives up.
const TIMEOUT: Duration = Duration::from_millis(300);

/// What may come on top of a time that was set, and of a round trip.
const LATE: Duration = Duration::from_millis(50);

/// For descriptors of connections whose end both sides know.
const COME_BACK: Duration = Duration::from_secs(2);

/// Tells each story so many times.
pub(crate) async fn stories(trials: usize) -> Result<Verdict> {
    println!("stories: time runs out, {trials} times each; calls have {TIMEOUT:?}, silence {LIMIT:?}");
    let mut misses = Misses::default();
    killed(trials, &mut misses).await?;
    given_up(trials, &mut misses).await?;
    // Last, for this thread does not come back from where the client is then.
    if let Some(why) = obstacle() {
        println!("  (a) cut off, (c): SKIPPED: {why}");
        return Ok(misses.but_not_all(why));
    }
    let namespaces = Namespaces::create()?;
    let switch = namespaces.enter()?;
    for (story, timeout) in [("(a) the server's host dies", None), ("(c) both", Some(TIMEOUT))] {
        cut_off(story, timeout, trials, &namespaces, &switch, &mut misses).await?;
    }
    Ok(Verdict::Seen(misses))
}

/// A server, a client of it, and how many descriptors each had without the connection.
struct Pair {
    server: Process,
    client: Client,
    alone: (usize, usize),
}

impl Pair {
    async fn join(namespace: Option<&str>, address: [u8; 4]) -> Result<Self> {
        let server = Process::start(namespace, SocketAddr::from((address, 0)), None).await?;
        let alone = (Owner::Client.descriptors()?, server.owner().descriptors()?);
        // A connection that is lost is seen as one that is gone.
        let client = pinging().reconnect(false).connect(server.address).await?;
        echo(&client, 0).await?;
        Ok(Self { server, client, alone })
    }

    /// The end of a call that is held, as a task that notes when it came.
    async fn hold(&self, timeout: Option<Duration>) -> Result<Holding> {
        let call = self.client.call::<_, u64>("Chaos.Hold", 0_u64);
        let begun = Instant::now();
        let call = match timeout {
            Some(timeout) => call.timeout(timeout).start(),
            None => call.start(),
        };
        let call = tokio::spawn(async move { (call.await, Instant::now()) });
        let held = self.client.call::<_, u64>("Chaos.Held", 1_u64).into_future();
        within(10, "the call is held", held).await??;
        Ok(Holding { begun, call })
    }

    /// Waits until neither side has the connection any more; when that was. The client is still there.
    async fn expect_gone(&self, limit: Duration, server: bool, misses: &mut Misses) -> Result<Instant> {
        let (near, far) = self.alone;
        let open = Owner::Client.come_back_to(near, limit).await?;
        misses.expect(open <= near, || format!("the client has {open} descriptors, {near} before"));
        if server {
            let open = self.server.owner().come_back_to(far, limit).await?;
            misses.expect(open <= far, || format!("the server has {open} descriptors, {far} before"));
        }
        Ok(Instant::now())
    }
}

struct Holding {
    begun: Instant,
    call: tokio::task::JoinHandle<(Result<u64, Error>, Instant)>,
}

impl Holding {
    /// When it ended, as one whose error fits.
    async fn end(self, fits: impl Fn(&Error) -> bool, misses: &mut Misses) -> Result<Instant> {
        let (ended, at) = within(20, "the call has ended", self.call).await??;
        let right = matches!(&ended, Err(error) if fits(error));
        misses.expect(right, || format!("the call ended otherwise: {ended:?}"));
        Ok(at)
    }
}

/// The client's own end of a call; nothing has told it otherwise.
fn is_late(error: &Error) -> bool {
    matches!(error, Error::DeadlineExceeded { executed: Executed::Maybe, .. })
}

/// A server that lives ends the call at the same moment, and its word may be sooner here.
fn is_late_on_either_side(error: &Error) -> bool {
    is_late(error) || error.status().is_some_and(|status| status.code() == Code::DeadlineExceeded)
}

fn is_dead(error: &Error) -> bool {
    is_unresponsive(error) && error.executed() == Executed::Maybe
}

/// (a), the kernel of the host lives and says that the process is dead.
async fn killed(trials: usize, misses: &mut Misses) -> Result<()> {
    let (mut ends, mut gone) = (Times::default(), Times::default());
    for _ in 0..trials {
        let pair = Pair::join(None, Ipv4Addr::LOCALHOST.octets()).await?;
        let held = pair.hold(None).await?;
        let since = Instant::now();
        pair.server.signal(Signal::SIGKILL)?;
        let lost = |error: &Error| matches!(error, Error::ConnectionLost { executed: Executed::Maybe, .. });
        ends.push(held.end(lost, misses).await? - since);
        gone.push(pair.expect_gone(COME_BACK, false, misses).await? - since);
        pair.server.ended().await?;
    }
    misses.expect(ends.most() <= LATE * 2, || format!("(a) killed: calls ended after {ends}"));
    println!("  (a) the server is killed:   call Maybe after {ends}");
    println!("      client's descriptors gone after {gone}");
    Ok(())
}

/// (b), the client gives up and the server lives.
async fn given_up(trials: usize, misses: &mut Misses) -> Result<()> {
    let (mut ends, mut drops, mut gone) = (Times::default(), Times::default(), Times::default());
    let pair = Pair::join(None, Ipv4Addr::LOCALHOST.octets()).await?;
    let joined = pair.server.owner().descriptors()?;
    for trial in 0..trials {
        let held = pair.hold(Some(TIMEOUT)).await?;
        let begun = held.begun;
        let ended = held.end(is_late_on_either_side, misses).await?;
        ends.push((ended - begun).saturating_sub(TIMEOUT));
        misses.expect(ended - begun >= TIMEOUT, || format!("(b) the call ended after {:?}", ended - begun));
        let dropped = pair.client.call::<_, u64>("Chaos.Dropped", 1_u64).into_future();
        within(10, "the handler is dropped", dropped).await??;
        drops.push(ended.elapsed());
        echo(&pair.client, trial as u64).await?;
    }
    let open = pair.server.owner().descriptors()?;
    misses.expect(open == joined, || format!("(b) {open} descriptors of the server, {joined} before"));
    let closing = Instant::now();
    pair.client.close().await?;
    gone.push(pair.expect_gone(COME_BACK, true, misses).await? - closing);
    misses.expect(ends.most() <= LATE && drops.most() <= LATE, || {
        format!("(b) calls ended late by {ends}, handlers were dropped after {drops}")
    });
    println!("  (b) the client gives up:    call ended, late by {ends}");
    println!("      handler dropped and next call answered after {drops}");
    println!("      all descriptors gone after close: {gone}");
    Ok(())
}

/// (a) and (c), no packet comes any more.
async fn cut_off(
    story: &str,
    timeout: Option<Duration>,
    trials: usize,
    namespaces: &Namespaces,
    switch: &Switch,
    misses: &mut Misses,
) -> Result<()> {
    let (mut ends, mut gone) = (Times::default(), Times::default());
    for _ in 0..trials {
        switch.forward(true)?;
        let pair = Pair::join(Some(&namespaces.server), SERVER).await?;
        let held = pair.hold(timeout).await?;
        let (begun, cut) = (held.begun, Instant::now());
        switch.forward(false)?;
        match timeout {
            None => ends.push(held.end(is_dead, misses).await? - cut),
            Some(timeout) => {
                let took = held.end(is_late, misses).await? - begun;
                misses.expect(took >= timeout, || format!("{story}: the call ended after {took:?}"));
                ends.push(took.saturating_sub(timeout));
            }
        }
        gone.push(pair.expect_gone(LIMIT, true, misses).await? - cut);
    }
    let limit = timeout.map_or(LIMIT, |_| LATE);
    misses.expect(ends.most() <= limit, || format!("{story}: calls ended after {ends}, over {limit:?}"));
    misses.expect(gone.most() <= LIMIT, || format!("{story}: descriptors gone after {gone}, over {LIMIT:?}"));
    let what = if timeout.is_some() { "call Maybe, late by" } else { "call Maybe after" };
    println!("  {story:<27} {what} {ends}; limit {limit:?}");
    println!("      descriptors of both gone after {gone}; limit {LIMIT:?}");
    Ok(())
}
