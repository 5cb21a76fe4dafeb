//! Ending a server in good order: no new calls, those in flight end, the report counts them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rpc_client::Client;
use rpc_core::{Context, Executed, Status};
use rpc_server::Server;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (started, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = {
        let (started, finish) = (started.clone(), finish.clone());
        move |_cx: Context, (): ()| {
            let (started, finish) = (started.clone(), finish.clone());
            async move {
                started.notify_one();
                finish.notified().await;
                Ok::<_, Status>("done".to_owned())
            }
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    // A service would wait for tokio::signal::ctrl_c() instead.
    let (stop, stopped) = oneshot::channel::<()>();
    let server = Server::builder()
        .register_fn("Slow.Work", handler)
        .grace(Duration::from_secs(10))
        .serve(listener)
        .with_graceful_shutdown(async { drop(stopped.await) });
    let server = tokio::spawn(server.into_future());

    let client = Client::connect(address.to_string()).await?;
    let in_flight = client.start::<String>("Slow.Work", ());
    started.notified().await;
    drop(stop);

    // The server says so as it begins to end: then a call too many is refused, and has not run.
    let mut refused = None;
    for _ in 0..100 {
        let probe = client.call::<_, String>("Slow.Work", ()).timeout(Duration::from_millis(50));
        refused = probe.await.err().filter(|error| error.executed() == Executed::No);
        if refused.is_some() {
            break;
        }
    }
    println!("{}", refused.context("the server took calls to the end")?);

    finish.notify_one();
    println!("{}", in_flight.await?);
    let report = server.await??;
    println!("{report:?}");
    ensure!(report.connections == 1 && report.cancelled == 0);
    Ok(())
}
