//! This project: the server as it comes, and one task per call in flight on the client.

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use futures_util::stream;
use rpc_client::Client;
use rpc_server::{Builder, Listener, Server};
use tokio::net::{TcpListener, UnixListener};

use crate::contract::{Args, ArithClient, ArithServer, EchoClient, EchoServer, Handlers, Quote, items};
use crate::drive::Caller;
use crate::measure::Tally;
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

/// Serves as a route of an axum service.
///
/// # Errors
/// When the server is not well built.
#[cfg(feature = "mount")]
pub async fn serve_mounted(listener: TcpListener) -> Result<()> {
    let app = axum::Router::new().route_service("/_rpc_", builder().build()?.into_service());
    axum::serve(listener, app).await?;
    Ok(())
}

/// A client of what [`listen`] or [`listen_unix`] told.
///
/// # Errors
/// When it cannot connect.
pub async fn connect(told: String) -> Result<Ours> {
    Ok(Client::connect(told).await?.into())
}

/// What calls are made with.
#[derive(Clone, Debug)]
pub struct Ours {
    client: Client,
    arith: ArithClient<Client>,
    echo: EchoClient<Client>,
}

impl From<Client> for Ours {
    fn from(client: Client) -> Self {
        Self { arith: ArithClient::new(client.clone()), echo: EchoClient::new(client.clone()), client }
    }
}

impl Caller for Ours {
    async fn multiply(&self, args: Args) -> Result<i64> {
        Ok(self.arith.multiply(args).await?)
    }

    async fn echo(&self, body: Bytes) -> Result<Bytes> {
        Ok(self.echo.echo(body).await?)
    }

    async fn wait(&self) -> Result<()> {
        Ok(self.echo.wait().await?)
    }

    async fn take(self, size: usize, mut tally: Tally) -> Result<()> {
        let mut items = self.client.call_server_stream::<_, Bytes>("Items.Repeat", size as u32).await?;
        while let Some(item) = items.next().await {
            ensure!(item?.len() == size, "the item has another size");
            tally.add(1);
        }
        bail!("the stream has ended")
    }

    async fn take_quotes(self, mut tally: Tally) -> Result<()> {
        let mut quotes = self.client.call_server_stream::<_, Quote>("Items.Quotes", ()).await?;
        while let Some(quote) = quotes.next().await {
            ensure!(quote? == Quote::SOME, "the item is another one");
            tally.add(1);
        }
        bail!("the stream has ended")
    }

    async fn exchange(self, size: usize, mut tally: Tally) -> Result<()> {
        let (mut sender, mut items) =
            self.client.call_bidi_stream::<_, Bytes, Bytes>("Items.Exchange", ()).await?;
        let item = Bytes::from(vec![7; size]);
        let sending = async move { sender.send_all(stream::repeat_with(|| item.clone())).await };
        tokio::spawn(sending);
        while let Some(item) = items.next().await {
            ensure!(item?.len() == size, "the item has another size");
            tally.add(1);
        }
        bail!("the stream has ended")
    }
}
