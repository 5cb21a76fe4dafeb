//! This project: the server as it comes, and one task per call in flight on the client.

use std::net::SocketAddr;

use anyhow::Result;
use bytes::Bytes;
use rpc_client::Client;
use rpc_server::{Builder, Listener, Server};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;

use crate::case::{Body, Load, MEBIBYTE};
use crate::contract::{Args, ArithClient, ArithServer, EchoClient, EchoServer, Handlers, Quote, items};
use crate::measure::{Meter, Tally};
use crate::subject::Serving;

/// The server that is measured.
pub fn builder() -> Builder {
    Server::builder()
        .register(ArithServer::new(Handlers))
        .register(EchoServer::new(Handlers))
        .register(items())
}

/// Serves until the process ends.
///
/// # Errors
/// When the server is not well built.
pub async fn serve(listener: impl Listener) -> Result<()> {
    builder().serve(listener).await?;
    Ok(())
}

/// See [`Subject::listen`](crate::subject::Subject::listen).
///
/// # Errors
/// When it cannot.
pub async fn listen(address: &str) -> Result<Serving> {
    let listener = TcpListener::bind(address).await?;
    Ok(Serving { told: listener.local_addr()?.to_string(), serve: Box::pin(serve(listener)) })
}

/// The same, on a Unix socket of its own.
///
/// # Errors
/// When it cannot.
pub fn listen_unix() -> Result<Serving> {
    let file = std::env::temp_dir().join(format!("benches-{}.sock", std::process::id()));
    let listener = UnixListener::bind(&file)?;
    let told = format!("unix:{}", file.display());
    Ok(Serving { told, serve: Box::pin(serve(listener)) })
}

/// A connection of its own for the typed client.
///
/// # Errors
/// When it cannot be opened.
pub async fn connect(address: SocketAddr) -> Result<ArithClient<Client>> {
    Ok(ArithClient::new(Client::connect(address.to_string()).await?))
}

/// A client of what [`listen`] or [`listen_unix`] told.
///
/// # Errors
/// When it cannot connect.
pub async fn dial(told: &str) -> Result<Client> {
    Ok(Client::connect(told).await?)
}

/// See [`Subject::drive`](crate::subject::Subject::drive).
///
/// # Errors
/// When a connection cannot be opened.
pub async fn drive<F: Future<Output = Result<Client>>>(
    connect: impl Fn() -> F,
    load: Load,
    meter: &mut Meter,
) -> Result<JoinSet<Result<()>>> {
    let mut tasks = JoinSet::new();
    let body = Bytes::from(vec![7; MEBIBYTE]);
    for _ in 0..load.connections {
        let client = connect().await?;
        for at in 0..load.in_flight {
            let mut tally = meter.tally(load.timed);
            match load.body {
                Body::Items(size) => {
                    tasks.spawn(take(client.clone(), size, tally));
                }
                Body::Quotes => {
                    tasks.spawn(take_quotes(client.clone(), tally));
                }
                Body::Small | Body::Beside(_) => {
                    if let Body::Beside(size) = load.body {
                        tasks.spawn(take(client.clone(), size, Meter::new()?.tally(false)));
                    }
                    let arith = ArithClient::new(client.clone());
                    let args = Args { a: 7, b: at as i64 };
                    tasks.spawn(async move {
                        loop {
                            let began = tally.begin();
                            arith.multiply(args).await?;
                            tally.end(began);
                        }
                    });
                }
                Body::Mebibyte => {
                    let (echo, body) = (EchoClient::new(client.clone()), body.clone());
                    tasks.spawn(async move {
                        loop {
                            let began = tally.begin();
                            let answer = echo.echo(body.clone()).await?;
                            anyhow::ensure!(answer.len() == body.len(), "the answer is no echo");
                            tally.end(began);
                        }
                    });
                }
            }
        }
    }
    Ok(tasks)
}

async fn take_quotes(client: Client, mut tally: Tally) -> Result<()> {
    let mut quotes = client.call_server_stream::<_, Quote>("Items.Quotes", ()).await?;
    while let Some(quote) = quotes.next().await {
        anyhow::ensure!(quote? == Quote::SOME, "the item is another one");
        tally.add(1);
    }
    anyhow::bail!("the stream has ended")
}

/// Takes items for ever.
async fn take(client: Client, size: usize, mut tally: Tally) -> Result<()> {
    let mut items = client.call_server_stream::<_, Bytes>("Items.Repeat", size as u32).await?;
    while let Some(item) = items.next().await {
        anyhow::ensure!(item?.len() == size, "the item has another size");
        tally.add(1);
    }
    anyhow::bail!("the stream has ended")
}
