//! The worked example of `docs/protocol.md`, byte by byte, through the types that are in use.

#![allow(clippy::unwrap_used, missing_docs)]

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use rpc_core::client::{self, Outcome, RequestHead};
use rpc_core::frame::Kind;
use rpc_core::handshake::{self, Connect, DEFAULT_PATH};
use rpc_core::input::Input;
use rpc_core::lane::put_status;
use rpc_core::message::Method;
use rpc_core::output::Output;
use rpc_core::server::{self, Admission, Event};
use rpc_core::stream::{Batch, Hub, Next, Outcome as Ended, Shape, Side};
use rpc_core::{CallId, Code, Executed, Format, Limits, Metadata, Origin, Peer, Status};

/// The blocks marked `text http` and `text hex` in the section of the example, in their order.
fn specified() -> Vec<Vec<u8>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/protocol.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, section) = text.split_once("\n## A worked example\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut blocks = Vec::new();
    for block in section.split("\n```").skip(1).step_by(2) {
        let (language, lines) = block.split_once('\n').unwrap();
        blocks.push(match language {
            "http" => lines.split('\n').flat_map(|line| format!("{line}\r\n").into_bytes()).collect(),
            "hex" => lines.lines().flat_map(hex_line).collect(),
            other => panic!("a block of {other:?}"),
        });
    }
    blocks
}

/// Bytes up to the first double blank, where the words begin.
fn hex_line(line: &str) -> Vec<u8> {
    let digits = line.split("  ").next().unwrap();
    digits.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

struct Pair {
    client: client::Calls,
    server: server::Calls,
    from_client: Output,
    from_server: Output,
    now: Instant,
}

fn taken(out: &mut Output) -> Vec<u8> {
    let bytes = out.to_vec();
    out.advance(bytes.len());
    bytes
}

impl Pair {
    fn call(&mut self, method: &str, args: (i64, i64), time_left: Option<Duration>) -> (CallId, Vec<u8>) {
        self.open(args, RequestHead { method, time_left, metadata: &Metadata::EMPTY, stream: None })
    }

    fn open(&mut self, args: (i64, i64), head: RequestHead<'_>) -> (CallId, Vec<u8>) {
        let mut body = Vec::new();
        Format::Bincode.encode(&args, &mut body).unwrap();
        let id = self.client.open(head, &body, None, None, &mut self.from_client, 0).unwrap();
        (id, taken(&mut self.from_client))
    }

    /// What the server reads.
    fn arrives(&mut self, bytes: &[u8]) -> (Method, Option<Duration>, (i64, i64)) {
        let (mut input, mut at) = (Input::new(u32::MAX), 0);
        let frame = input.next(bytes, &mut at).unwrap().unwrap();
        assert_eq!(at, bytes.len());
        let Event::Request(request) = self.server.receive(frame, self.now).unwrap() else { panic!() };
        assert_eq!(request.admission, Admission::Admitted);
        let args = Format::Bincode.decode(request.body).unwrap();
        (request.method, request.time_left, args)
    }

    fn answer(&mut self, id: CallId, result: Result<i64, Status>) -> Vec<u8> {
        match result {
            Ok(value) => {
                let mut draft = self.from_server.draft(Kind::Response, id);
                Format::Bincode.encode(&value, draft.body()).unwrap();
                draft.finish(0, None, u32::MAX).unwrap();
            }
            Err(status) => {
                let executed = status.executed();
                put_status(id, &status, executed, &Metadata::EMPTY, u32::MAX, &mut self.from_server);
            }
        }
        self.server.end(CallId::NONE);
        taken(&mut self.from_server)
    }

    /// What the caller gets.
    fn ends(&mut self, id: CallId, bytes: &[u8]) -> Result<i64, Status> {
        let (mut input, mut at, mut body) = (Input::new(u32::MAX), 0, Vec::new());
        let frame = input.next(bytes, &mut at).unwrap().unwrap();
        self.client.receive(frame, self.now, &mut Vec::new()).unwrap();
        match self.client.poll(id, Waker::noop(), &mut body, &mut None) {
            Poll::Ready(Outcome::Response { .. }) => {
                Ok(Format::Bincode.decode(rpc_core::Body::Borrowed(&body)).unwrap())
            }
            Poll::Ready(Outcome::Status(status)) => Err(status),
            other => panic!("{other:?}"),
        }
    }
}

/// The first powers of a number.
struct Powers {
    of: i64,
    last: i64,
    left: i64,
}

impl rpc_core::streaming::Stream for Powers {
    type Item = Result<i64, Status>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        self.last *= self.of;
        Poll::Ready(Some(Ok(self.last)))
    }
}

async fn powers(_: rpc_core::Context, (of, left): (i64, i64)) -> Result<Powers, Status> {
    Ok(Powers { of, last: 1, left })
}

impl Pair {
    /// Runs a method that answers with a stream, to its end.
    fn serves(&mut self, method: &rpc_core::Method, bytes: &[u8]) -> Vec<u8> {
        let (mut input, mut at, mut cx) = (Input::new(u32::MAX), 0, Context::from_waker(Waker::noop()));
        let frame = input.next(bytes, &mut at).unwrap().unwrap();
        let Event::Request(request) = self.server.receive(frame, self.now).unwrap() else { panic!() };
        assert!(request.stream && request.admission == Admission::Admitted);
        let hub = Hub::new(Side::Server, Limits::default(), Limits::default(), None);
        let duplex = self.server.open_stream(request.id, &hub, true);
        let id = request.id;
        let origin = Arc::new(Origin::new(Peer::unknown(), Format::Bincode));
        let mut lane = method.lane(origin, "Arith.Powers".into());
        lane.open(id, None, Metadata::EMPTY, Some(duplex));
        lane.begin(request.body).unwrap();
        let end = input.next(bytes, &mut at).unwrap().unwrap();
        assert!(end.kind == Kind::End && at == bytes.len());
        self.server.receive(end, self.now).unwrap();
        while lane.poll(&mut cx).is_pending() {
            hub.fill(hub.take(), &mut self.from_server, usize::MAX, &mut Vec::new());
        }
        lane.reply(u32::MAX, &mut self.from_server);
        self.server.end(id);
        taken(&mut self.from_server)
    }
}

#[test]
fn the_worked_example_has_the_bytes_of_the_specification() {
    let mut blocks = specified().into_iter();
    let mut next = || blocks.next().expect("a block in the specification");
    let limits = Limits::default();

    let mut head = Vec::new();
    Connect {
        path: &DEFAULT_PATH.parse().unwrap(),
        authority: &"localhost:1234".parse().unwrap(),
        formats: &[Format::Bincode],
        limits,
        headers: &http::HeaderMap::new(),
    }
    .write(&mut head)
    .unwrap();
    assert_eq!(head, next());
    let mut head = Vec::new();
    handshake::write_acceptance(Format::Bincode, limits, &mut head);
    assert_eq!(head, next());

    let mut pair = Pair {
        client: client::Calls::new(limits, Limits::default()),
        server: server::Calls::new(limits),
        from_client: Output::default(),
        from_server: Output::default(),
        now: Instant::now(),
    };

    let (id, bytes) = pair.call("Arith.Multiply", (7, 8), None);
    assert_eq!(bytes, next(), "the method is introduced");
    let method = Method::New { index: 1, name: (*b"Arith.Multiply").into(), fingerprint: 0 };
    assert_eq!(pair.arrives(&bytes), (method, None, (7, 8)));
    let bytes = pair.answer(id, Ok(56));
    assert_eq!(bytes, next());
    assert_eq!(pair.ends(id, &bytes), Ok(56));

    let (id, bytes) = pair.call("Arith.Multiply", (-3, 1000), None);
    assert_eq!(bytes, next(), "the method is known by its index");
    assert_eq!(pair.arrives(&bytes), (Method::Known(1), None, (-3, 1000)));
    let bytes = pair.answer(id, Ok(-3000));
    assert_eq!(bytes, next());
    assert_eq!(pair.ends(id, &bytes), Ok(-3000));

    let (id, bytes) = pair.call("Arith.Divide", (7, 0), Some(Duration::from_millis(250)));
    assert_eq!(bytes, next(), "a second method, and a deadline");
    let method = Method::New { index: 2, name: (*b"Arith.Divide").into(), fingerprint: 0 };
    assert_eq!(pair.arrives(&bytes), (method, Some(Duration::from_millis(250)), (7, 0)));
    let bytes = pair.answer(id, Err(Status::unknown("divide by zero")));
    assert_eq!(bytes, next());
    let status = pair.ends(id, &bytes).unwrap_err();
    assert_eq!((status.code(), status.executed()), (Code::Unknown, Executed::Yes));
    assert_eq!(status.message(), "divide by zero");

    let head = RequestHead {
        method: "Arith.Powers",
        time_left: None,
        metadata: &Metadata::EMPTY,
        stream: Some(Shape::Server),
    };
    let (id, bytes) = pair.open((7, 2), head);
    assert_eq!(bytes, next(), "a stream, and the end of what the client sends");
    let duplex = pair.client.stream(id).unwrap().clone();
    let bytes = pair.serves(&rpc_core::Method::server_stream("Powers", powers), &bytes);
    assert_eq!(bytes, next());
    let (mut input, mut at, mut batch) = (Input::new(u32::MAX), 0, Batch::default());
    while let Some(frame) = input.next(&bytes, &mut at).unwrap() {
        pair.client.receive(frame, pair.now, &mut Vec::new()).unwrap();
    }
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(duplex.poll_items(&mut cx, &mut batch), Poll::Ready(Next::Items)));
    let mut items = Vec::<(usize, i64)>::new();
    while let Some((len, body)) = batch.pop() {
        items.push((len, Format::Bincode.decode(body).unwrap()));
    }
    assert_eq!(items, [(1, 7), (1, 49)]);
    assert!(matches!(duplex.poll_items(&mut cx, &mut batch), Poll::Ready(Next::End(Ended::Complete))));

    assert_eq!(blocks.next(), None);
}
