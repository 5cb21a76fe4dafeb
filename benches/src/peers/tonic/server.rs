//! The service and its server.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use ::tonic::body::Body;
use ::tonic::codegen::http;
use ::tonic::codegen::{BoxFuture, Service};
use ::tonic::server::{NamedService, ServerStreamingService, StreamingService, UnaryService};
use ::tonic::transport::Server;
use ::tonic::transport::server::TcpIncoming;
use ::tonic::{Request, Response, Status, Streaming};
use anyhow::Result;
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use tokio::net::TcpListener;
use tonic_prost::ProstCodec;

use super::{ECHO, EXCHANGE, Eight, Factors, Item, MULTIPLY, Product, QUOTES, REPEAT, Size, WAIT};
use crate::contract::{PAUSE, Quote};

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
                EXCHANGE => {
                    let mut grpc = ::tonic::server::Grpc::new(ProstCodec::default());
                    grpc.streaming(Exchange, request).await
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

struct Exchange;

impl StreamingService<Item> for Exchange {
    type Response = Item;
    type ResponseStream = Streaming<Item>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<Item>>) -> Self::Future {
        ready(Ok(Response::new(request.into_inner())))
    }
}

/// Serves until the process ends.
///
/// # Errors
/// As the listener's.
pub async fn serve(listener: TcpListener) -> Result<()> {
    serve_with(Server::builder(), listener).await
}

/// The same, with settings.
pub(super) async fn serve_with(mut settings: Server, listener: TcpListener) -> Result<()> {
    // The builder's own `tcp_nodelay` does not reach a listener that it has not bound.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Ok(settings.add_service(Arith).serve_with_incoming(incoming).await?)
}
