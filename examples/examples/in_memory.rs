//! Client and server over a pipe in memory: how the tests of a service look, without a port.

use rpc_client::Client;
use rpc_core::{Context, Status, service};
use rpc_server::Server;

#[service]
trait Counter {
    async fn add(&self, cx: &Context, number: u32) -> Result<u32, Status>;
}

#[derive(Default)]
struct Total(std::sync::atomic::AtomicU32);

impl Counter for Total {
    async fn add(&self, _cx: &Context, number: u32) -> Result<u32, Status> {
        let before = self.0.fetch_add(number, std::sync::atomic::Ordering::Relaxed);
        Ok(before + number)
    }
}

/// Handlers are plain methods: most tests need no connection at all.
async fn calls_the_handler() -> anyhow::Result<()> {
    let total = Total::default();
    let cx = Context::detached("Counter.Add");
    let sum = total.add(&cx, 2).await.map_err(|status| anyhow::anyhow!("{status}"))?;
    anyhow::ensure!(sum == 2);
    Ok(())
}

/// The whole way: CONNECT, frames, encoded arguments.
async fn calls_through_a_pipe() -> anyhow::Result<()> {
    let server = Server::builder().register(CounterServer::new(Total::default())).build()?;
    let (near, far) = tokio::io::duplex(64 * 1024);
    let served = tokio::spawn(async move { server.serve_connection(far).await });

    let client = Client::new(near).await?;
    let counter = CounterClient::new(client.clone());
    anyhow::ensure!(counter.add(2).await? == 2);
    anyhow::ensure!(counter.add(40).await? == 42);

    client.close().await?;
    served.await??;
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    calls_the_handler().await?;
    calls_through_a_pipe().await?;
    println!("both ways count");
    Ok(())
}
