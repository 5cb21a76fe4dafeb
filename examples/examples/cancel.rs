//! Giving a call up: its future is dropped here, and its handler on the server.

use std::future::pending;
use std::time::Duration;

use rpc_client::Client;
use rpc_core::{Context, Status};
use rpc_server::Server;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::timeout;

/// Tells when the handler that owns it is gone.
struct Witness(UnboundedSender<String>);

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.0.send("the handler was dropped".to_owned());
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (seen, mut events) = unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = Server::builder().register_fn("Sleep.ForEver", move |cx: Context, (): ()| {
        let seen = seen.clone();
        async move {
            let _witness = Witness(seen.clone());
            let _ = seen.send("the handler runs".to_owned());
            // Work that outlives the handler, such as a task of its own, asks the context.
            tokio::spawn(async move {
                let reason = cx.cancelled().await;
                let _ = seen.send(format!("the context was cancelled: {reason:?}"));
            });
            pending::<Result<(), Status>>().await
        }
    });
    tokio::spawn(server.serve(listener).into_future());

    let client = Client::connect(address.to_string()).await?;
    let call = client.start::<()>("Sleep.ForEver", ());
    let limit = Duration::from_secs(10);
    println!("{:?}", timeout(limit, events.recv()).await?);
    drop(call);
    // In either order.
    println!("{:?}", timeout(limit, events.recv()).await?);
    println!("{:?}", timeout(limit, events.recv()).await?);
    Ok(())
}
