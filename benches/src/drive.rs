//! Puts a load on, the same for all: one task for each call in flight.

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use tokio::task::JoinSet;

use crate::case::{Body, Load};
use crate::contract::Args;
use crate::measure::{Meter, Tally};

/// A client of a subject's, as tasks share it.
pub trait Caller: Clone + Send + Sync + 'static {
    /// The product.
    fn multiply(&self, args: Args) -> impl Future<Output = Result<i64>> + Send;

    /// The body itself.
    fn echo(&self, body: Bytes) -> impl Future<Output = Result<Bytes>> + Send;

    /// Nothing, from a handler that waits.
    fn wait(&self) -> impl Future<Output = Result<()>> + Send;

    /// Takes items of that size for ever.
    fn take(self, size: usize, tally: Tally) -> impl Future<Output = Result<()>> + Send {
        async move {
            let _ = (size, tally);
            bail!("no streams are measured here")
        }
    }

    /// Takes items of eight floats for ever.
    fn take_quotes(self, tally: Tally) -> impl Future<Output = Result<()>> + Send {
        async move {
            let _ = tally;
            bail!("no streams are measured here")
        }
    }
}

/// See [`Subject::drive`](crate::subject::Subject::drive).
///
/// # Errors
/// When a connection cannot be opened.
pub async fn drive<C: Caller, F: Future<Output = Result<C>>>(
    connect: impl Fn() -> F,
    load: Load,
    meter: &mut Meter,
) -> Result<JoinSet<Result<()>>> {
    let (mut tasks, mut clients) = (JoinSet::new(), Vec::new());
    // All before the first call: beside thousands of busy ones, opening another takes its time.
    for _ in 0..load.connections {
        clients.push(connect().await?);
    }
    for client in clients {
        for at in 0..load.in_flight {
            let (client, tally) = (client.clone(), meter.tally(load.timed));
            match load.body {
                Body::Items(size) => tasks.spawn(client.take(size, tally)),
                Body::Quotes => tasks.spawn(client.take_quotes(tally)),
                Body::Small => tasks.spawn(multiply(client, at, tally)),
                Body::Beside(size) => {
                    tasks.spawn(client.clone().take(size, Meter::new()?.tally(false)));
                    tasks.spawn(multiply(client, at, tally))
                }
                Body::Echo(size) => tasks.spawn(echo(client, size, tally)),
                Body::Wait => tasks.spawn(wait(client, tally)),
            };
        }
    }
    Ok(tasks)
}

async fn multiply<C: Caller>(client: C, at: usize, mut tally: Tally) -> Result<()> {
    let args = Args { a: 7, b: at as i64 };
    loop {
        let began = tally.begin();
        let product = client.multiply(args).await?;
        ensure!(product == 7 * at as i64, "the answer is no product");
        tally.end(began);
    }
}

async fn echo<C: Caller>(client: C, size: usize, mut tally: Tally) -> Result<()> {
    let body = Bytes::from(vec![7; size]);
    loop {
        let began = tally.begin();
        let answer = client.echo(body.clone()).await?;
        ensure!(answer.len() == size, "the answer is no echo");
        tally.end(began);
    }
}

async fn wait<C: Caller>(client: C, mut tally: Tally) -> Result<()> {
    loop {
        let began = tally.begin();
        client.wait().await?;
        tally.end(began);
    }
}
