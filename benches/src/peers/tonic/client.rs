//! What calls are made with: a channel.

use ::tonic::codegen::http::uri::PathAndQuery;
use ::tonic::transport::{Channel, Endpoint};
use ::tonic::{Request, Streaming};
use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use futures_util::stream;
use tonic_prost::ProstCodec;

use super::{ECHO, EXCHANGE, Eight, Factors, Item, MULTIPLY, Product, QUOTES, REPEAT, Size, WAIT};
use crate::contract::{Args, Quote};
use crate::drive::Caller;
use crate::measure::Tally;

/// Where channels lead to, with the default settings: `TCP_NODELAY` is one of them.
///
/// # Errors
/// When it is no address.
pub fn endpoint(told: &str) -> Result<Endpoint> {
    Ok(Endpoint::from_shared(format!("http://{told}"))?)
}

/// A channel with a connection of its own.
///
/// # Errors
/// When it cannot be opened.
pub async fn connect(endpoint: Endpoint) -> Result<Channel> {
    Ok(endpoint.connect().await?)
}

/// One call of that path.
async fn call<Q, A>(channel: &Channel, path: &'static str, question: Q) -> Result<A>
where
    Q: prost::Message + Default + 'static,
    A: prost::Message + Default + 'static,
{
    let mut client = ::tonic::client::Grpc::new(channel.clone());
    client.ready().await?;
    let codec = ProstCodec::<Q, A>::default();
    Ok(client.unary(Request::new(question), PathAndQuery::from_static(path), codec).await?.into_inner())
}

impl Caller for Channel {
    async fn multiply(&self, args: Args) -> Result<i64> {
        let Product { product } = call(self, MULTIPLY, Factors { a: args.a, b: args.b }).await?;
        Ok(product)
    }

    async fn echo(&self, body: Bytes) -> Result<Bytes> {
        let Item { item } = call(self, ECHO, Item { item: body }).await?;
        Ok(item)
    }

    async fn wait(&self) -> Result<()> {
        call(self, WAIT, ()).await
    }

    async fn take(self, size: usize, mut tally: Tally) -> Result<()> {
        let mut items = open(self, REPEAT, Size { size: size as u32 }).await?;
        while let Some(Item { item }) = items.message().await? {
            ensure!(item.len() == size, "the item has another size");
            tally.add(1);
        }
        bail!("the stream has ended")
    }

    async fn take_quotes(self, mut tally: Tally) -> Result<()> {
        let mut quotes = open::<_, Eight>(self, QUOTES, ()).await?;
        while let Some(quote) = quotes.message().await? {
            ensure!(quote == Quote::SOME.into(), "the item is another one");
            tally.add(1);
        }
        bail!("the stream has ended")
    }

    async fn exchange(self, size: usize, mut tally: Tally) -> Result<()> {
        let mut client = ::tonic::client::Grpc::new(self);
        client.ready().await?;
        let item = Item { item: Bytes::from(vec![7; size]) };
        let request = Request::new(stream::repeat_with(move || item.clone()));
        let (path, codec) = (PathAndQuery::from_static(EXCHANGE), ProstCodec::<Item, Item>::default());
        let mut items = client.streaming(request, path, codec).await?.into_inner();
        while let Some(Item { item }) = items.message().await? {
            ensure!(item.len() == size, "the item has another size");
            tally.add(1);
        }
        bail!("the stream has ended")
    }
}

/// A stream of the server's.
async fn open<Q, A>(channel: Channel, path: &'static str, question: Q) -> Result<Streaming<A>>
where
    Q: prost::Message + Default + 'static,
    A: prost::Message + Default + 'static,
{
    let mut client = ::tonic::client::Grpc::new(channel);
    client.ready().await?;
    let (request, codec) = (Request::new(question), ProstCodec::<Q, A>::default());
    Ok(client.server_streaming(request, PathAndQuery::from_static(path), codec).await?.into_inner())
}
