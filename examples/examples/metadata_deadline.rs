//! What goes beside arguments and answers: metadata, and the time that a call may take.

use std::future::pending;
use std::time::Duration;

use anyhow::{bail, ensure};
use rpc_client::{Client, Error};
use rpc_core::{Code, Context, Status, service};
use rpc_server::Server;
use tokio::net::TcpListener;

#[service]
trait Shop {
    async fn price(&self, cx: &Context, article: String) -> Result<u64, Status>;
    async fn wait_for(&self, cx: &Context, article: String) -> Result<(), Status>;
}

struct Bakery;

impl Shop for Bakery {
    async fn price(&self, cx: &Context, article: String) -> Result<u64, Status> {
        let tenant = cx.metadata().text("tenant").ok_or_else(|| Status::invalid_argument("no tenant"))?;
        cx.reply_metadata("currency", if tenant == "berlin" { "EUR" } else { "USD" })?;
        Ok(article.len() as u64)
    }

    async fn wait_for(&self, cx: &Context, _article: String) -> Result<(), Status> {
        if cx.deadline().is_none() {
            return Err(Status::invalid_argument("waits only for callers in a hurry"));
        }
        // Not for ever: a handler is dropped when its caller's time is up.
        pending().await
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(Server::builder().register(ShopServer::new(Bakery)).serve(listener).into_future());
    let client = Client::builder().timeout(Duration::from_secs(5)).connect(address.to_string()).await?;
    let shop = ShopClient::new(client);

    let reply = shop.price("bread".into()).metadata("tenant", "berlin").with_metadata().await?;
    let currency = reply.metadata.text("currency");
    println!("{} {currency:?}", reply.value);
    ensure!((reply.value, currency) == (5, Some("EUR")));

    let impatient = shop.wait_for("cake".into()).timeout(Duration::from_millis(20));
    let Err(error) = impatient.await else { bail!("there is no cake") };
    println!("{error} (executed: {:?})", error.executed());
    // Whichever clock was first: the server's answer says the same.
    let told = error.status().is_some_and(|status| status.code() == Code::DeadlineExceeded);
    ensure!(told || matches!(error, Error::DeadlineExceeded { .. }));
    Ok(())
}
