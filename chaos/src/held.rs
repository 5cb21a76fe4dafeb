//! Calls that a server holds on to for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use rpc_client::{Client, Ended, Error, Interceptor, Outgoing};
use rpc_core::Executed;
use tokio::task::JoinSet;

use crate::verdict::Misses;
use crate::within;

/// Pending on each connection when it is done harm.
pub(crate) const HELD: u64 = 64;

/// Answered on each connection before that.
const ANSWERED: u64 = 16;

/// Seconds for what ought to take milliseconds on an idle machine, or a second and a half.
const PATIENCE: u64 = 20;

/// Calls in handlers that never return.
pub(crate) struct Held {
    calls: JoinSet<(Instant, Result<u64, Error>)>,
}

impl Held {
    /// Makes some calls that are answered, then those that are not, and waits until all are inside
    /// their handlers.
    pub(crate) async fn begin(client: &Client) -> Result<Self> {
        for number in 0..ANSWERED {
            echo(client, number).await?;
        }
        let mut calls = JoinSet::new();
        for number in 0..HELD {
            let call = client.call("Chaos.Hold", number);
            calls.spawn(async move {
                let ended = call.await;
                (Instant::now(), ended)
            });
        }
        within(PATIENCE, "all calls are held", client.call::<_, u64>("Chaos.Held", HELD).into_future())
            .await??;
        Ok(Self { calls })
    }

    /// The time from `since` to the end of the last one. Each has to end within `limit`, as one that
    /// may have run; `fits` says whether its error is the one that this harm does.
    pub(crate) async fn last_end(
        mut self,
        since: Instant,
        limit: Duration,
        fits: fn(&Error) -> bool,
        misses: &mut Misses,
    ) -> Result<Duration> {
        let mut last = Duration::ZERO;
        let mut count = 0;
        while let Some(call) = within(PATIENCE, "all calls have ended", self.calls.join_next()).await? {
            let (at, ended) = call?;
            let took = at.saturating_duration_since(since);
            last = last.max(took);
            count += 1;
            misses.expect(at >= since, || "a call ended before anything was done".into());
            misses.expect(took <= limit, || format!("a call ended after {took:?}, over {limit:?}"));
            match ended {
                Ok(number) => misses.expect(false, || format!("call {number} was answered")),
                Err(error) => misses.expect(error.executed() == Executed::Maybe && fits(&error), || {
                    format!("a call ended otherwise: {error:?}")
                }),
            }
        }
        misses.expect(count == HELD, || format!("{count} of {HELD} calls have ended"));
        Ok(last)
    }
}

pub(crate) async fn echo(client: &Client, number: u64) -> Result<()> {
    let answer = within(PATIENCE, "a call is answered", client.call("Chaos.Echo", number).into_future());
    let answer: u64 = answer.await??;
    anyhow::ensure!(answer == number, "{number} was answered with {answer}");
    Ok(())
}

/// Counts how often calls begin and end, which nothing but the client itself can see.
#[derive(Clone, Default)]
pub(crate) struct Tally(Arc<Counts>);

#[derive(Default)]
struct Counts {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Tally {
    /// Of the calls that have begun, none is without an end, and none has two.
    pub(crate) fn expect_even(&self, misses: &mut Misses) {
        let (begun, ended) = (self.0.begun.load(Ordering::Relaxed), self.0.ended.load(Ordering::Relaxed));
        misses.expect(begun == ended, || format!("{begun} calls have begun and {ended} ended"));
    }
}

impl Interceptor for Tally {
    fn before(&self, _: &mut Outgoing<'_>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn after(&self, _: &Ended<'_>) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}
