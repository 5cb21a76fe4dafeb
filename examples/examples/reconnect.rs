//! A client that survives its server: the state is watched, a call waits for the next server.

use std::net::SocketAddr;
use std::time::Duration;

use rpc_client::{Client, ConnectionState};
use rpc_core::{Context, Status, service};
use rpc_server::Server;
use tokio::net::TcpListener;

#[service]
trait Greeter {
    /// Saying hello twice does no harm: a client may send it again when it cannot know.
    #[rpc(idempotent)]
    async fn hello(&self, cx: &Context, name: String) -> Result<String, Status>;
}

struct English;

impl Greeter for English {
    async fn hello(&self, _cx: &Context, name: String) -> Result<String, Status> {
        Ok(format!("Hello, {name}!"))
    }
}

/// A server and where it listens; at `address` again, if there was one before.
async fn start(address: SocketAddr) -> anyhow::Result<(Server, SocketAddr)> {
    let server = Server::builder().register(GreeterServer::new(English)).build()?;
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    tokio::spawn(server.serve(listener).into_future());
    Ok((server, address))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (first, address) = start(([127, 0, 0, 1], 0).into()).await?;
    let client = Client::builder()
        .wait_for_ready(true)
        .timeout(Duration::from_secs(10))
        .backoff(Duration::from_millis(20), Duration::from_secs(1))
        .connect(address)
        .await?;
    let greeter = GreeterClient::new(client.clone());
    println!("{}", greeter.hello("first server".into()).await?);

    let mut states = client.watch_state();
    let watching = tokio::spawn(async move {
        let mut seen = Vec::new();
        while let Some(state) = states.changed().await {
            let is_closed = matches!(state, ConnectionState::Closed);
            seen.push(match state {
                ConnectionState::Failed(error) => format!("failed: {error}"),
                state => format!("{state:?}").to_lowercase(),
            });
            if is_closed {
                break;
            }
        }
        seen
    });

    let report = first.shutdown(Duration::from_secs(1)).await;
    println!("the first server is gone, {} calls were cancelled", report.cancelled);
    let call = greeter.hello("second server".into()).start();
    let (_second, _) = start(address).await?;
    println!("{}", call.await?);

    client.close().await?;
    for state in watching.await? {
        println!("  {state}");
    }
    Ok(())
}
