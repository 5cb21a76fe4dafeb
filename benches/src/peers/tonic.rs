//! tonic: gRPC with protobuf over HTTP/2, without TLS. What its code generator would write from a
//! `.proto` is written by hand here, so that no protoc is needed.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use ::tonic::body::Body;
use ::tonic::codegen::http::{self, uri::PathAndQuery};
use ::tonic::codegen::{BoxFuture, Service};
use ::tonic::server::{NamedService, ServerStreamingService, UnaryService};
use ::tonic::transport::server::TcpIncoming;
use ::tonic::transport::{Channel, Endpoint, Server};
use ::tonic::{Request, Response, Status, Streaming};
use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use tokio::net::TcpListener;
use tonic_prost::ProstCodec;

use crate::contract::{Args, PAUSE, Quote};
use crate::drive::Caller;
use crate::measure::Tally;

const ECHO: &str = "/arith.Arith/Echo";
const MULTIPLY: &str = "/arith.Arith/Multiply";
const QUOTES: &str = "/arith.Arith/Quotes";
const REPEAT: &str = "/arith.Arith/Repeat";
const WAIT: &str = "/arith.Arith/Wait";

/// [`Args`], in protobuf. Fixed-size numbers would be cheaper to encode, but nobody writes them.
#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Factors {
    #[prost(int64, tag = "1")]
    a: i64,
    #[prost(int64, tag = "2")]
    b: i64,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Product {
    #[prost(int64, tag = "1")]
    product: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Size {
    #[prost(uint32, tag = "1")]
    size: u32,
}

/// Eight floats, each a field, as one would write it.
#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Eight {
    #[prost(double, tag = "1")]
    a: f64,
    #[prost(double, tag = "2")]
    b: f64,
    #[prost(double, tag = "3")]
    c: f64,
    #[prost(double, tag = "4")]
    d: f64,
    #[prost(double, tag = "5")]
    e: f64,
    #[prost(double, tag = "6")]
    f: f64,
    #[prost(double, tag = "7")]
    g: f64,
    #[prost(double, tag = "8")]
    h: f64,
}

impl From<Quote> for Eight {
    fn from(Quote([a, b, c, d, e, f, g, h]): Quote) -> Self {
        Self { a, b, c, d, e, f, g, h }
    }
}

/// Its bytes are not copied when it is decoded.
#[derive(Clone, PartialEq, prost::Message)]
struct Item {
    #[prost(bytes = "bytes", tag = "1")]
    item: Bytes,
}

#[derive(Clone)]
struct Arith;

impl NamedService for Arith {
    const NAME: &'static str = "arith.Arith";
}

impl Service<http::Request<Body>> for Arith {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            Ok(match request.uri().path() {
                MULTIPLY => {
                    let mut grpc = ::tonic::server::Grpc::new(ProstCodec::default());
                    grpc.unary(Multiply, request).await
                }
                ECHO => {
                    let mut grpc = ::tonic::server::Grpc::new(ProstCodec::default());
                    grpc.unary(Echo, request).await
                }
                WAIT => {
                    let mut grpc = ::tonic::server::Grpc::new(ProstCodec::default());
                    grpc.unary(Wait, request).await
                }
                REPEAT => {
                    let mut grpc = ::tonic::server::Grpc::new(ProstCodec::default());
                    grpc.server_streaming(Repeat, request).await
                }
                QUOTES => {
                    let mut grpc = ::tonic::server::Grpc::new(ProstCodec::default());
                    grpc.server_streaming(Quotes, request).await
                }
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

struct Multiply;

impl UnaryService<Factors> for Multiply {
    type Response = Product;
    type Future = Ready<Result<Response<Product>, Status>>;

    fn call(&mut self, request: Request<Factors>) -> Self::Future {
        let Factors { a, b } = request.into_inner();
        ready(Ok(Response::new(Product { product: a.wrapping_mul(b) })))
    }
}

struct Echo;

impl UnaryService<Item> for Echo {
    type Response = Item;
    type Future = Ready<Result<Response<Item>, Status>>;

    fn call(&mut self, request: Request<Item>) -> Self::Future {
        ready(Ok(Response::new(request.into_inner())))
    }
}

struct Wait;

impl UnaryService<()> for Wait {
    type Response = ();
    type Future = BoxFuture<Response<()>, Status>;

    fn call(&mut self, _: Request<()>) -> Self::Future {
        Box::pin(async {
            tokio::time::sleep(PAUSE).await;
            Ok(Response::new(()))
        })
    }
}

struct Repeat;

impl ServerStreamingService<Size> for Repeat {
    type Response = Item;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<Item, Status>> + Send>>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Size>) -> Self::Future {
        let item = Bytes::from(vec![7; request.into_inner().size as usize]);
        let items = stream::repeat_with(move || Ok(Item { item: item.clone() }));
        ready(Ok(Response::new(Box::pin(items))))
    }
}

struct Quotes;

impl ServerStreamingService<()> for Quotes {
    type Response = Eight;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<Eight, Status>> + Send>>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(Box::pin(stream::repeat_with(|| Ok(Quote::SOME.into()))))))
    }
}

/// Serves until the process ends.
///
/// # Errors
/// As the listener's.
pub async fn serve(listener: TcpListener) -> Result<()> {
    // The builder's own `tcp_nodelay` does not reach a listener that it has not bound.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Ok(Server::builder().add_service(Arith).serve_with_incoming(incoming).await?)
}

/// A channel with a connection of its own; `TCP_NODELAY` is its default.
///
/// # Errors
/// When it cannot be opened.
pub async fn connect(address: SocketAddr) -> Result<Channel> {
    Ok(Endpoint::from_shared(format!("http://{address}"))?.connect().await?)
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
