//! Every shape, written as one would, without a warning.
#![deny(warnings, refining_impl_trait, unreachable_pub, rust_2018_idioms)]

use std::io;

use futures_util::{StreamExt, stream};
use rpc_core::stream::Shape;
use rpc_core::{Context, Service, Status, Stream, Streaming};

#[rpc_core::service]
trait Shapes {
    /// Borrows from the service and from the context.
    async fn count(&self, cx: &Context, to: u8) -> Result<impl Stream<Item = Result<u8, Status>>, Status>;
    #[rpc(spawn)]
    async fn sum(&self, cx: &Context, items: Streaming<u8>) -> Result<u64, Status>;
    async fn echo(
        &self,
        cx: &Context,
        service: String,
        stream: rpc_core::Streaming<Vec<Option<u8>>>,
    ) -> std::result::Result<impl futures_util::Stream<Item = std::result::Result<u8, io::Error>>, io::Error>;

    #[rpc(blocking)]
    async fn marked(
        &self,
        cx: &Context,
        a: i64,
        b: i64,
        items: Streaming<(u8, String)>,
    ) -> Result<impl Unpin + Stream<Item = Result<(), Status>> + Send + 'static, Status>;

    #[rpc(idempotent, spawn)]
    async fn again(&self, cx: &Context) -> Result<impl Stream<Item = Result<String, Status>>, Status> {
        let first = cx.method().to_owned();
        let second = self.name()?;
        Ok(stream::iter([Ok(first), Ok(second.to_owned())]))
    }
    async fn first(&self, cx: &Context, mut_: i64, items: Streaming<u8>) -> Result<Option<u8>, Status> {
        let (mut items, _) = (items, (cx, mut_));
        items.try_next().await
    }
    #[cfg(any())]
    async fn missing(&self, cx: &Context, items: Streaming<Missing>) -> Result<Missing, Status>;
    async fn refused(&self, _cx: &Context) -> Result<impl Stream<Item = Result<u8, Status>>, Status> {
        Err::<Streaming<u8>, _>(Status::unimplemented("not yet"))
    }
}

trait Named {
    fn name(&self) -> Result<&str, Status>;
}

impl<T> Named for T {
    fn name(&self) -> Result<&str, Status> {
        Ok("a name")
    }
}

struct Impl {
    numbers: Vec<u8>,
}

impl Shapes for Impl {
    async fn count(&self, cx: &Context, to: u8) -> Result<impl Stream<Item = Result<u8, Status>>, Status> {
        if to == 0 {
            return Err(Status::invalid_argument("to nothing"));
        }
        let text = String::from("own");
        Ok(stream::iter(&self.numbers).map(move |&number| {
            cx.reply_metadata("text", &text)?;
            Ok(number)
        }))
    }
    async fn sum(&self, _cx: &Context, mut items: Streaming<u8>) -> Result<u64, Status> {
        let mut sum = 0;
        while let Some(item) = items.try_next().await? {
            sum += u64::from(item);
        }
        Ok(sum)
    }
    async fn echo(
        &self,
        _: &Context,
        _: String,
        stream: Streaming<Vec<Option<u8>>>,
    ) -> Result<impl Stream<Item = Result<u8, io::Error>>, io::Error> {
        Ok(stream.map(|item| Ok(item.map_err(|status| io::Error::other(status.to_string()))?.len() as u8)))
    }
    async fn marked(
        &self,
        _: &Context,
        a: i64,
        b: i64,
        items: Streaming<(u8, String)>,
    ) -> Result<impl Unpin + Stream<Item = Result<(), Status>> + Send + 'static, Status> {
        let _ = (a, b, items);
        Ok(stream::empty())
    }
}

fn main() {
    let service = Service::from(ShapesServer::new(Impl { numbers: vec![1, 2] }));
    let shapes: Vec<_> = service.methods().iter().map(|method| (method.name(), method.shape())).collect();
    let expected = [
        ("Count", Some(Shape::Server)),
        ("Sum", Some(Shape::Client)),
        ("Echo", Some(Shape::Bidi)),
        ("Marked", Some(Shape::Bidi)),
        ("Again", Some(Shape::Server)),
        ("First", Some(Shape::Client)),
        ("Refused", Some(Shape::Server)),
    ];
    assert_eq!(shapes, expected);
}
