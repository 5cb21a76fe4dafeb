//! Connections with one call each: opened and closed over and over, or kept.

use std::future::pending;
use std::io;
use std::time::Duration;

use anyhow::{Error, Result};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::contract::Args;
use crate::measure::{Meter, Tally};

/// Connections that are being opened at once before they are kept: more would only queue in the listener's backlog.
const AT_ONCE: usize = 64;

/// A task opens a connection so often, and all subjects' do: connections that were closed keep their ports for a minute, and
/// those who are fast would have the system search for the last free ones.
const BEAT: Duration = Duration::from_millis(8);

/// Opens and closes connections, as many at once as there are tasks. `open` makes a connection and one call on it.
pub fn repeat<C, F>(
    open: impl Fn(Args) -> F + Clone + Send + 'static,
    tasks: usize,
    meter: &mut Meter,
) -> JoinSet<Result<()>>
where
    C: Send + 'static,
    F: Future<Output = Result<C>> + Send + 'static,
{
    (0..tasks).map(|_| one_by_one(open.clone(), meter.tally(false))).collect()
}

async fn one_by_one<C, F>(open: impl Fn(Args) -> F, mut tally: Tally) -> Result<()>
where
    F: Future<Output = Result<C>>,
{
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for b in 0.. {
        beat.tick().await;
        // What it is closed with: nobody has it any more.
        drop(open(Args { a: 7, b }).await.map_err(explained)?);
        tally.add(1);
    }
    Ok(())
}

/// Opens so many connections. `open` makes one, and one call on it; the task keeps them until it is dropped.
///
/// # Errors
/// The first of `open`.
pub async fn hold<C, F>(open: impl Fn(Args) -> F, connections: usize) -> Result<JoinSet<Result<()>>>
where
    C: Send + 'static,
    F: Future<Output = Result<C>> + Send + 'static,
{
    let held = all(|at| open(Args { a: 7, b: at as i64 }), connections).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let _held = held;
        pending().await
    });
    Ok(tasks)
}

/// So many connections, of which `open` makes one.
///
/// # Errors
/// The first of `open`.
pub async fn all<C, F>(open: impl Fn(usize) -> F, connections: usize) -> Result<Vec<C>>
where
    C: Send + 'static,
    F: Future<Output = Result<C>> + Send + 'static,
{
    let (mut opened, mut opening) = (Vec::with_capacity(connections), JoinSet::<Result<C>>::new());
    for at in 0..connections {
        if opening.len() == AT_ONCE
            && let Some(one) = opening.join_next().await
        {
            opened.push(one?.map_err(explained)?);
        }
        opening.spawn(open(at));
    }
    while let Some(one) = opening.join_next().await {
        opened.push(one?.map_err(explained)?);
    }
    Ok(opened)
}

/// Says what an error means that the system words badly.
fn explained(error: Error) -> Error {
    let used_up = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    if used_up.into_iter().any(|cause| cause.kind() == io::ErrorKind::AddrNotAvailable) {
        return error.context(
            "the ephemeral ports are used up: connections that were closed keep theirs (TIME_WAIT)",
        );
    }
    error
}
