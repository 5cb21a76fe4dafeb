//! What the generated client sends and what the generated server registers and runs.
#![allow(clippy::unwrap_used)]

use std::future::{Ready, ready};
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{self, Poll, Waker};

use rpc_core::caller::Request;
use rpc_core::frame::PREFIX_LEN;
use rpc_core::lane::Ended;
use rpc_core::output::Output;
use rpc_core::stream::Shape;
use rpc_core::streaming::Opened;
use rpc_core::{
    Body, CallId, Caller, Code, Context, Execution, Format, Metadata, Method, Origin, Peer, Reply, Service,
    Status,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Args {
    a: i64,
    b: i64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Quotient {
    quo: i64,
    rem: i64,
}

#[rpc_core::service]
trait Arith {
    async fn multiply(&self, cx: &Context, args: Args) -> Result<i64, Status>;
    #[rpc(name = "Div", spawn)]
    async fn divide(&self, cx: &Context, a: i64, b: i64) -> Result<Quotient, Status>;
    #[rpc(blocking)]
    async fn who_is_it(&self, cx: &Context) -> Result<String, Status>;
    async fn negate(&self, cx: &Context, service: i64) -> Result<i64, Status> {
        let product = self.multiply(cx, Args { a: service, b: -1 }).await?;
        Ok(product)
    }
}

#[rpc_core::service(name = "Math.Extra")]
trait Extra {
    async fn ping(&self, cx: &Context) -> Result<(), io::Error>;
}

#[derive(Debug)]
struct Calculator;

impl Arith for Calculator {
    async fn multiply(&self, _cx: &Context, args: Args) -> Result<i64, Status> {
        Ok(args.a * args.b)
    }

    async fn divide(&self, _cx: &Context, a: i64, b: i64) -> Result<Quotient, Status> {
        let quo = a.checked_div(b).ok_or_else(|| Status::invalid_argument("divide by zero"))?;
        Ok(Quotient { quo, rem: a % b })
    }

    async fn who_is_it(&self, cx: &Context) -> Result<String, Status> {
        Ok(cx.method().to_owned())
    }
}

impl Extra for Calculator {
    async fn ping(&self, _cx: &Context) -> Result<(), io::Error> {
        Err(io::Error::other("no"))
    }
}

fn encoded(value: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::new();
    Format::Bincode.encode(value, &mut out).unwrap();
    out
}

fn finish<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut task::Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("nothing here waits"),
    }
}

/// Runs a method as a server does; returns the body of its answer.
fn serve(service: &Service, method: &Method, args: &impl Serialize) -> (Ended, Vec<u8>) {
    let origin = Origin::new(Peer::unknown(), Format::Bincode);
    let full_name = format!("{}.{}", service.name(), method.name());
    let mut lane = method.lane(Arc::new(origin), full_name.into());
    lane.open(CallId::client(1, 0), None, Metadata::EMPTY, None);
    lane.begin(Body::Borrowed(&encoded(args))).unwrap();
    assert!(lane.poll(&mut task::Context::from_waker(Waker::noop())).is_ready());
    let mut out = Output::default();
    let ended = lane.reply(u32::MAX, &mut out);
    (ended, out.to_vec().split_off(PREFIX_LEN))
}

#[test]
fn a_server_registers_each_method_with_its_name_types_and_execution() {
    let service = Service::from(ArithServer::new(Calculator));
    assert_eq!(service.name(), "Arith");
    let shown: Vec<_> = service
        .methods()
        .iter()
        .map(|method| {
            let plain = |name: &str| name.replace("alloc::string::", "").replace("generated::", "");
            (method.name(), plain(method.argument()), plain(method.reply()), method.runs())
        })
        .collect();
    let expected = [
        ("Multiply", "Args", "i64", Execution::Inline),
        ("Div", "(i64, i64)", "Quotient", Execution::Spawn),
        ("WhoIsIt", "()", "String", Execution::Blocking),
        ("Negate", "i64", "i64", Execution::Inline),
    ];
    let expected = expected.map(|(name, args, reply, runs)| (name, args.to_owned(), reply.to_owned(), runs));
    assert_eq!(shown, expected);
}

#[test]
fn a_server_runs_the_implementation() {
    let calculator = Arc::new(Calculator);
    let service = Service::from(ArithServer::from_arc(calculator.clone()));
    assert_eq!(Arc::strong_count(&calculator), 5, "shared with each method");
    let [multiply, divide, who, negate] = service.methods() else { panic!("{service:?}") };

    assert_eq!(serve(&service, multiply, &Args { a: 6, b: 7 }).1, encoded(&42i64));
    assert_eq!(serve(&service, divide, &(7i64, 2i64)).1, encoded(&Quotient { quo: 3, rem: 1 }));
    assert_eq!(serve(&service, divide, &(7i64, 0i64)).0.code, Some(Code::InvalidArgument));
    assert_eq!(serve(&service, who, &()).1, encoded(&"Arith.WhoIsIt"));
    assert_eq!(serve(&service, negate, &5i64).1, encoded(&-5i64), "a default body");
}

#[test]
fn an_error_that_turns_into_a_status_will_do() {
    let service = Service::from(ExtraServer::new(Calculator));
    assert_eq!(service.name(), "Math.Extra");
    assert_eq!(serve(&service, &service.methods()[0], &()).0.code, Some(Code::Unknown));
}

/// Full names and encoded arguments.
type Sent = Vec<(String, Vec<u8>)>;

/// Writes down what it is asked to send, and answers all of it with the same bytes.
#[derive(Clone, Debug, Default)]
struct Recorder {
    sent: Arc<Mutex<Sent>>,
    answer: Vec<u8>,
}

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

    fn send<A, R>(self, request: Request<A>) -> Self::Pending<A, R>
    where
        A: Serialize + Send,
        R: DeserializeOwned + Send + 'static,
    {
        self.sent.lock().unwrap().push((request.method.into_owned(), encoded(&request.args)));
        let value = Format::Bincode.decode(Body::Borrowed(&self.answer)).map_err(io::Error::other);
        ready(value.map(|value| Reply { value, metadata: Metadata::EMPTY }))
    }

    fn start<A, R>(self, request: Request<A>) -> Self::Pending<(), R>
    where
        A: Serialize + Send,
        R: DeserializeOwned + Send + 'static,
    {
        self.send::<A, R>(request)
    }

    fn open<A>(self, request: Request<A>, _: Shape) -> Self::Opening<A>
    where
        A: Serialize + Send,
    {
        self.sent.lock().unwrap().push((request.method.into_owned(), encoded(&request.args)));
        ready(Err(io::Error::other("recorded")))
    }
}

#[test]
fn a_client_sends_the_full_name_and_the_arguments_and_decodes_the_reply() {
    let caller = Recorder { answer: encoded(&Quotient { quo: 3, rem: 1 }), ..Default::default() };
    let sent = caller.sent.clone();
    let client = ArithClient::new(caller).clone();

    assert_eq!(finish(client.divide(7, 2).into_future()).unwrap(), Quotient { quo: 3, rem: 1 });
    drop(client.multiply(Args { a: 6, b: 7 }).start());
    drop(client.negate(5).start());
    drop(ExtraClient::new(Recorder { sent: sent.clone(), answer: Vec::new() }).ping().start());

    let expected = [
        ("Arith.Div", encoded(&(7i64, 2i64))),
        ("Arith.Multiply", encoded(&Args { a: 6, b: 7 })),
        ("Arith.Negate", encoded(&5i64)),
        ("Math.Extra.Ping", Vec::new()),
    ];
    assert_eq!(*sent.lock().unwrap(), expected.map(|(name, args)| (name.to_owned(), args)));
    assert!(format!("{client:?}").starts_with("ArithClient"));
    assert!(format!("{:?}", ArithServer::new(Calculator)).starts_with("ArithServer"));
}
