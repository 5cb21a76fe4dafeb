//! A service, its server and a client in thirty lines.

use rpc_client::Client;
use rpc_core::{Context, Status, service};
use rpc_server::Server;
use tokio::net::TcpListener;

#[service]
trait Greeter {
    async fn hello(&self, cx: &Context, name: String) -> Result<String, Status>;
}

struct English;

impl Greeter for English {
    async fn hello(&self, _cx: &Context, name: String) -> Result<String, Status> {
        Ok(format!("Hello, {name}!"))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(Server::builder().register(GreeterServer::new(English)).serve(listener).into_future());

    let client = Client::connect(address.to_string()).await?;
    let greeter = GreeterClient::new(client);
    println!("{}", greeter.hello("world".into()).await?);
    Ok(())
}
