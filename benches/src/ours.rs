//! This project: the server as it comes, and one task per call in flight on the client.

use std::net::SocketAddr;

use anyhow::Result;
use bytes::Bytes;
use rpc_client::Client;
use rpc_server::Server;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::case::{Body, Load, MEBIBYTE};
use crate::contract::{Args, ArithClient, ArithServer, EchoClient, EchoServer, Handlers};
use crate::measure::Meter;

/// See [`Subject::serve`](crate::subject::Subject::serve).
///
/// # Errors
/// When the server is not well built.
pub async fn serve(listener: TcpListener) -> Result<()> {
    let server = Server::builder().register(ArithServer::new(Handlers)).register(EchoServer::new(Handlers));
    server.serve(listener).await?;
    Ok(())
}

/// A connection of its own for the typed client.
///
/// # Errors
/// When it cannot be opened.
pub async fn connect(address: SocketAddr) -> Result<ArithClient<Client>> {
    Ok(ArithClient::new(Client::connect(address.to_string()).await?))
}

/// See [`Subject::drive`](crate::subject::Subject::drive).
///
/// # Errors
/// When a connection cannot be opened.
pub async fn drive(address: SocketAddr, load: Load, meter: &mut Meter) -> Result<JoinSet<Result<()>>> {
    let mut tasks = JoinSet::new();
    let body = Bytes::from(vec![7; MEBIBYTE]);
    for _ in 0..load.connections {
        let client = Client::connect(address.to_string()).await?;
        for at in 0..load.in_flight {
            let mut tally = meter.tally(load.timed);
            match load.body {
                Body::Small => {
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
