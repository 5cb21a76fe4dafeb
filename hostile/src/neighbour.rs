//! An honest client that calls all the while, one call at a time.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use examples::{Args, ArithClient};
use rpc_client::Client;
use tokio::sync::{mpsc, oneshot};

/// Rounds of which the median counts.
const ROUNDS: usize = 5;

/// On a thread and a connection of its own, so that what the attacker does to itself is not seen in it.
pub(crate) struct Neighbour {
    ask: mpsc::UnboundedSender<(Duration, oneshot::Sender<Result<Duration>>)>,
}

impl Neighbour {
    pub(crate) fn connect(address: SocketAddr) -> Result<Self> {
        let (ask, mut asked) = mpsc::unbounded_channel::<(Duration, oneshot::Sender<Result<Duration>>)>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // Never left, so that the client answers Pings while nobody asks.
        let calls = async move {
            let arith = ArithClient::new(Client::lazy(address.to_string()));
            while let Some((round, answer)) = asked.recv().await {
                // Nobody may wait for it any more.
                let _ = answer.send(p99(&arith, round).await);
            }
        };
        thread::spawn(move || runtime.block_on(calls));
        Ok(Self { ask })
    }

    /// The 99th percentile of its calls' times, median of five rounds of that length. An error if a call fails.
    pub(crate) async fn p99(&self, round: Duration) -> Result<Duration> {
        let (answer, answered) = oneshot::channel();
        self.ask.send((round, answer)).ok().context("the neighbour has ended")?;
        answered.await.context("the neighbour has ended")?
    }
}

async fn p99(arith: &ArithClient<Client>, round: Duration) -> Result<Duration> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let (began, mut times) = (Instant::now(), Vec::new());
        // One at least, also when this process stands still.
        while times.is_empty() || began.elapsed() < round {
            let sent = Instant::now();
            let answer = arith.multiply(Args { a: 6, b: 7 }).timeout(Duration::from_secs(20)).await;
            let answer = answer.context("an honest neighbour's call failed")?;
            anyhow::ensure!(answer == 42, "an honest neighbour was told {answer}");
            times.push(sent.elapsed());
        }
        times.sort_unstable();
        rounds.push(times[(times.len() - 1) * 99 / 100]);
    }
    rounds.sort_unstable();
    Ok(rounds[ROUNDS / 2])
}
