//! Puts a load on, the same for all: one task for each call in flight.

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use tokio::task::JoinSet;

use crate::case::{Body, Calls, Load};
use crate::contract::Args;
use crate::measure::{Meter, Tally};
use crate::open;

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

    /// Sends items of that size for ever, and takes those that come back.
    fn exchange(self, size: usize, tally: Tally) -> impl Future<Output = Result<()>> + Send {
        async move {
            let _ = (size, tally);
            bail!("no streams are measured here")
        }
    }
}

/// See [`Subject::drive`](crate::subject::Subject::drive).
///
/// # Errors
/// When a connection cannot be opened.
pub async fn drive<C, F>(
    connect: impl Fn() -> F + Clone + Send + 'static,
    load: Load,
    meter: &mut Meter,
) -> Result<JoinSet<Result<()>>>
where
    C: Caller,
    F: Future<Output = Result<C>> + Send + 'static,
{
    let with_call = {
        let connect = connect.clone();
        move |args| with_call(connect(), args)
    };
    match load {
        Load::Calls(calls) => spawn(connect, calls, meter).await,
        Load::Connect(tasks) => Ok(open::repeat(with_call, tasks, meter)),
        Load::Hold(connections) => open::hold(with_call, connections).await,
    }
}

/// The connection, when a call was made on it.
async fn with_call<C: Caller>(connecting: impl Future<Output = Result<C>>, args: Args) -> Result<C> {
    let client = connecting.await?;
    let product = client.multiply(args).await?;
    ensure!(product == args.a * args.b, "the answer is no product");
    Ok(client)
}

async fn spawn<C, F>(
    connect: impl Fn() -> F,
    Calls { connections, in_flight, body, timed }: Calls,
    meter: &mut Meter,
) -> Result<JoinSet<Result<()>>>
where
    C: Caller,
    F: Future<Output = Result<C>> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    // All before the first call: beside thousands of busy ones, opening another takes its time.
    for client in open::all(|_| connect(), connections).await? {
        for at in 0..in_flight {
            let (client, tally) = (client.clone(), meter.tally(timed));
            match body {
                Body::Items(size) => tasks.spawn(client.take(size, tally)),
                Body::Quotes => tasks.spawn(client.take_quotes(tally)),
                Body::Bidi(size) => tasks.spawn(client.exchange(size, tally)),
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
