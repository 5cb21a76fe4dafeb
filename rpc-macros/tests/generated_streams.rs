//! What the generated client opens and what the generated server registers where methods have streams.
#![allow(clippy::unwrap_used)]

use std::future::{Ready, ready};
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{self, Poll, Waker};

use futures_util::stream;
use rpc_core::caller::Request;
use rpc_core::stream::Shape;
use rpc_core::streaming::Opened;
use rpc_core::{
    Answer, Caller, Context, Execution, Format, Reply, Sender, Service, Status, Stream, Streaming,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

#[rpc_core::service(name = "A.Shapes")]
trait Shapes {
    async fn one(&self, cx: &Context, a: i64, b: i64) -> Result<i64, Status>;
    #[rpc(idempotent, blocking)]
    async fn out(&self, cx: &Context, to: u8) -> Result<impl Stream<Item = Result<u8, Status>>, Status>;
    #[rpc(name = "In")]
    async fn take(&self, cx: &Context, a: i64, b: i64, items: Streaming<u8>) -> Result<String, Status>;
    #[rpc(spawn)]
    async fn both(
        &self,
        cx: &Context,
        items: Streaming<String>,
    ) -> Result<impl Stream<Item = Result<u8, io::Error>>, io::Error>;
}

struct Impl;

impl Shapes for Impl {
    async fn one(&self, _cx: &Context, a: i64, b: i64) -> Result<i64, Status> {
        Ok(a + b)
    }

    async fn out(&self, _cx: &Context, to: u8) -> Result<impl Stream<Item = Result<u8, Status>>, Status> {
        Ok(stream::iter((0..to).map(Ok)))
    }

    async fn take(&self, _cx: &Context, a: i64, b: i64, _items: Streaming<u8>) -> Result<String, Status> {
        Ok(format!("{a} {b}"))
    }

    async fn both(
        &self,
        _cx: &Context,
        _items: Streaming<String>,
    ) -> Result<impl Stream<Item = Result<u8, io::Error>>, io::Error> {
        Ok(stream::empty())
    }
}

#[test]
fn a_server_registers_the_shape_of_each_method_and_where_it_runs() {
    let service = Service::from(ShapesServer::new(Impl));
    let shown: Vec<_> = service
        .methods()
        .iter()
        .map(|method| (method.name(), method.argument(), method.shape(), method.runs()))
        .collect();
    let expected = [
        ("One", "(i64, i64)", None, Execution::Inline),
        ("Out", "u8", Some(Shape::Server), Execution::Blocking),
        ("In", "(i64, i64)", Some(Shape::Client), Execution::Inline),
        ("Both", "()", Some(Shape::Bidi), Execution::Spawn),
    ];
    assert_eq!(shown, expected);
}

/// A call that was opened: its name, encoded arguments, shape, and whether it may be made again.
type Recorded = (String, Vec<u8>, Shape, bool);

/// Writes down what it is asked to open.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<Recorded>>>);

impl Caller for Recorder {
    type Error = io::Error;
    type Pending<A, R>
        = Ready<io::Result<Reply<R>>>
    where
        A: Serialize + Send,
        R: DeserializeOwned + Send + 'static;

    type Opening<A>
        = Ready<io::Result<Opened<io::Error>>>
    where
        A: Serialize + Send;

    fn send<A, R>(self, _: Request<A>) -> Self::Pending<A, R>
    where
        A: Serialize + Send,
        R: DeserializeOwned + Send + 'static,
    {
        unreachable!("a call without streams")
    }

    fn start<A, R>(self, request: Request<A>) -> Self::Pending<(), R>
    where
        A: Serialize + Send,
        R: DeserializeOwned + Send + 'static,
    {
        self.send::<A, R>(request)
    }

    fn open<A>(self, request: Request<A>, shape: Shape) -> Self::Opening<A>
    where
        A: Serialize + Send,
    {
        let opened = (
            request.method.into(),
            encoded(&request.args),
            shape,
            request.options.is_some_and(|options| options.idempotent),
        );
        self.0.lock().unwrap().push(opened);
        ready(Err(io::Error::other("recorded")))
    }
}

fn encoded(value: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::new();
    Format::Bincode.encode(value, &mut out).unwrap();
    out
}

fn finish<F: IntoFuture>(future: F) -> F::Output {
    match pin!(future.into_future()).poll(&mut task::Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("nothing here waits"),
    }
}

#[test]
fn a_client_opens_each_method_in_its_shape_with_the_arguments_that_are_no_streams() {
    let caller = Recorder::default();
    let client = ShapesClient::new(caller.clone());

    let out: io::Result<Streaming<u8, io::Error>> = finish(client.out(7));
    let into: io::Result<(Sender<u8>, Answer<String, io::Error>)> = finish(client.take(1, 2));
    let both: io::Result<(Sender<String>, Streaming<u8, io::Error>)> = finish(client.both());
    assert!(out.is_err() && into.is_err() && both.is_err());

    let expected = [
        ("A.Shapes.Out".to_owned(), encoded(&7u8), Shape::Server, true),
        ("A.Shapes.In".to_owned(), encoded(&(1i64, 2i64)), Shape::Client, false),
        ("A.Shapes.Both".to_owned(), Vec::new(), Shape::Bidi, false),
    ];
    assert_eq!(*caller.0.lock().unwrap(), expected);
}
