#![allow(unused)]

use std::collections::HashMap;
use std::pin::Pin;

use futures_util::stream::BoxStream;
use rpc_core::{Context, Status, Stream, Streaming, service};

#[service]
trait Taken {
    async fn early(&self, cx: &Context, items: Streaming<u8>, name: String) -> Result<(), Status>;
    async fn twice(&self, cx: &Context, items: Streaming<u8>, more: Streaming<String>) -> Result<(), Status>;
    async fn inside(&self, cx: &Context, items: Option<Streaming<Vec<u8>>>) -> Result<(), Status>;
    async fn of_streams(&self, cx: &Context, items: Streaming<Streaming<u8>>) -> Result<(), Status>;
    async fn of_what(&self, cx: &Context, items: Streaming) -> Result<(), Status>;
    async fn with_error(&self, cx: &Context, items: rpc_core::Streaming<u8, Status>) -> Result<(), Status>;
    async fn exclusive(&self, cx: &Context, items: &mut Streaming<HashMap<u8, u8>>) -> Result<(), Status>;
    async fn lent(&self, cx: &Context, items: &rpc_core::Streaming<u8>) -> Result<(), Status>;
    async fn borrowed(&self, cx: &Context, items: Streaming<&str>) -> Result<(), Status>;
    async fn any(&self, cx: &Context, items: impl Stream<Item = u8>) -> Result<(), Status>;
    async fn boxed(&self, cx: &Context, items: Pin<Box<dyn Stream<Item = u8>>>) -> Result<(), Status>;
    #[rpc(idempotent)]
    async fn again(&self, cx: &Context, items: Streaming<u8>) -> Result<(), Status>;
}

#[service]
trait Returned {
    async fn streaming(&self, cx: &Context) -> Result<Streaming<String>, Status>;
    async fn results(&self, cx: &Context) -> Result<Streaming<Result<String, Status>>, Status>;
    async fn of_what(&self, cx: &Context) -> Result<impl Stream, Status>;
    async fn of_values(&self, cx: &Context) -> Result<impl Stream<Item = Vec<u8>> + Send, Status>;
    async fn of_aliases(&self, cx: &Context) -> Result<impl Stream<Item = std::io::Result<u8>>, Status>;
    async fn of_borrows(&self, cx: &Context) -> Result<impl Stream<Item = Result<&str, Status>>, Status>;
    async fn iterator(&self, cx: &Context) -> Result<impl Iterator<Item = u8>, Status>;
    async fn iterator_of_results(&self, cx: &Context) -> Result<impl Iterator<Item = Result<u8, Status>>, Status>;
    async fn inside(&self, cx: &Context) -> Result<(u64, impl Stream<Item = Result<u8, Status>>), Status>;
    async fn named(&self, cx: &Context) -> Result<BoxStream<'static, Result<u8, Status>>, Status>;
    async fn boxed(&self, cx: &Context) -> Result<Pin<Box<dyn Stream<Item = Result<u8, Status>>>>, Status>;
    async fn certain(&self, cx: &Context) -> impl Stream<Item = Result<u8, Status>>;
}

fn main() {}
