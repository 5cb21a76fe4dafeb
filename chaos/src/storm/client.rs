//! The client's role: asks for its share of the numbers, and writes down what it was told.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use rpc_client::{Client, Error};
use rpc_core::{Executed, Sender, Streaming};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::job::{GRACE, Job, Kind, Plan};
use super::records::{Outcome, Told, write_told};
use super::service::Item;
use crate::in_turn::InTurn;
use crate::server::{PING_INTERVAL, PING_TIMEOUT};

/// Callers at a time.
const TASKS: usize = 48;

/// How soon a client comes back: a server that is stopped takes connections, and does not answer.
const DIALLED: Duration = Duration::from_millis(500);
const FIRST_WAIT: Duration = Duration::from_millis(10);
const LONGEST_WAIT: Duration = Duration::from_millis(300);

/// Asks for these numbers and ends.
pub(crate) async fn ask(plan: Plan, share: Range<u64>, servers: Vec<SocketAddr>, told: &Path) -> Result<()> {
    // Whatever ends the one that started it, be it a SIGKILL, nothing stays behind.
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    let builder = Client::builder()
        .wait_for_ready(true)
        .dial_timeout(DIALLED)
        .answer_timeout(DIALLED)
        .backoff(FIRST_WAIT, LONGEST_WAIT)
        .ping_interval(PING_INTERVAL)
        .ping_timeout(PING_TIMEOUT);
    let client = builder.lazy_with(InTurn::new(servers), "storm");
    let (next, mut tasks) = (Arc::new(AtomicU64::new(share.start)), JoinSet::new());
    for _ in 0..TASKS {
        let (client, next) = (client.clone(), next.clone());
        tasks.spawn(async move {
            let mut all = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= share.end {
                    return all;
                }
                all.push(make(&client, plan.job(number)).await);
            }
        });
    }
    let all = tasks.join_all().await.concat();
    write_told(told, &all).with_context(|| format!("cannot write {}", told.display()))
}

/// Makes a call, and does not wait for one that hangs.
async fn make(client: &Client, job: Job) -> Told {
    let mut told = Told {
        number: job.number,
        outcome: Outcome::Hung,
        sent: 0,
        finished: false,
        got: 0,
        right: true,
        answer: 0,
        took: Duration::ZERO,
    };
    let began = Instant::now();
    let ended = timeout(job.time() + GRACE, follow(client, job, &mut told)).await;
    told.took = began.elapsed();
    told.outcome = match ended.map(|ended| ended.map_err(|error| error.executed())) {
        Err(_) => Outcome::Hung,
        Ok(Ok(())) => Outcome::Ok,
        Ok(Err(Executed::No)) => Outcome::No,
        Ok(Err(Executed::Maybe)) => Outcome::Maybe,
        Ok(Err(Executed::Yes)) => Outcome::Yes,
    };
    told
}

async fn follow(client: &Client, job: Job, told: &mut Told) -> Result<(), Error> {
    match job.kind {
        Kind::Once => told.answer = client.call("Storm.Once", job).timeout(job.time()).await?,
        Kind::Again => told.answer = client.call("Storm.Again", job).timeout(job.time()).idempotent().await?,
        Kind::Server => {
            let items = client.call_server_stream("Storm.Server", job).timeout(job.time()).await?;
            take(job, items, &mut told.got, &mut told.right).await?;
        }
        Kind::Client => {
            let call = client.call_client_stream("Storm.Client", job).timeout(job.time());
            let (sender, answer) = call.await?;
            let sending = send(job, sender, &mut told.sent, &mut told.finished);
            told.answer = tokio::join!(sending, answer).1?;
        }
        Kind::Bidi => {
            let call = client.call_bidi_stream("Storm.Bidi", job).timeout(job.time());
            let (sender, items) = call.await?;
            let sending = send(job, sender, &mut told.sent, &mut told.finished);
            tokio::join!(sending, take(job, items, &mut told.got, &mut told.right)).1?;
        }
    }
    Ok(())
}

/// The sender of a call that is over is kept until its answer tells why: dropping it gives the call up.
async fn send(
    job: Job,
    mut sender: Sender<Bytes>,
    sent: &mut u32,
    finished: &mut bool,
) -> Option<Sender<Bytes>> {
    for at in 0..job.items {
        if sender.send(job.item(at)).await.is_err() {
            return Some(sender);
        }
        *sent += 1;
    }
    *finished = true;
    sender.finish();
    None
}

async fn take(
    job: Job,
    mut items: Streaming<Item, Error>,
    got: &mut u32,
    right: &mut bool,
) -> Result<(), Error> {
    while let Some((number, item)) = items.try_next().await? {
        *right &= number == *got && item == job.item(*got);
        *got += 1;
    }
    Ok(())
}
