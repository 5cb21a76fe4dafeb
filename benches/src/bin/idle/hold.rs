//! The client's process: opens one connection and says `warm`; told to go on, opens the others and
//! says `holding`. It ends with its input.

use std::future::{Future, pending};
use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use benches::contract::Args;
use benches::drive::Caller;
use benches::ours;
use benches::peers::{tarpc, tonic};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::process::end_with_input;
use crate::subject::Subject;

/// Connections that are being opened at once: more would only queue in the listener's backlog.
const AT_ONCE: usize = 64;

pub(crate) fn run(subject: Subject, address: SocketAddr, connections: usize) -> Result<()> {
    Runtime::new()?.block_on(async {
        match subject {
            Subject::Ours => tokio::spawn(hold(connections, move |args| async move {
                let client = ours::connect(address).await?;
                let product = client.multiply(args).await?;
                Ok((client, product))
            })),
            Subject::Tarpc => tokio::spawn(hold(connections, move |args| async move {
                let client = tarpc::connect(address).await?;
                let product = Caller::multiply(&client, args).await?;
                Ok((client, product))
            })),
            Subject::Tonic => tokio::spawn(hold(connections, move |args| async move {
                let channel = tonic::connect(address).await?;
                let product = channel.multiply(args).await?;
                Ok((channel, product))
            })),
        }
        .await?
    })
}

/// `open` makes a connection and one call on it.
async fn hold<C, F>(connections: usize, open: impl Fn(Args) -> F) -> Result<()>
where
    C: Send + 'static,
    F: Future<Output = Result<(C, i64)>> + Send + 'static,
{
    let (told, mut to_go_on) = mpsc::channel(1);
    end_with_input(move |_| _ = told.blocking_send(()));
    let mut held = Vec::with_capacity(connections + 1);
    let first = Args { a: 7, b: 6 };
    held.push(verified(first, open(first)).await?);
    println!("warm");
    to_go_on.recv().await.context("no input")?;

    let mut opening = JoinSet::new();
    for at in 1..=connections {
        if opening.len() == AT_ONCE
            && let Some(opened) = opening.join_next().await
        {
            held.push(opened??);
        }
        let args = Args { a: 7, b: at as i64 };
        opening.spawn(verified(args, open(args)));
    }
    while let Some(opened) = opening.join_next().await {
        held.push(opened??);
    }
    println!("holding");
    pending().await
}

async fn verified<C>(args: Args, opening: impl Future<Output = Result<(C, i64)>>) -> Result<C> {
    let (connection, product) = opening.await?;
    ensure!(product == args.a * args.b, "{} times {} is not {product}", args.a, args.b);
    Ok(connection)
}
