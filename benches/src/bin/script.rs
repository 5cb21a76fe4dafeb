//! A fixed script of calls through both state machines, in memory: no socket, no runtime, no clock,
//! so that instructions and allocations can be counted to the last digit. `scripts/guard` does.
//!
//! `script CLASS CALLS` prints what each side allocated.

use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use benches::contract::{Args, ArithServer, EchoServer, Handlers};
use benches::counting::{Counting, Side, allocations, enter};
use bytes::Bytes;
use rpc_core::client::{self, Outcome, RequestHead};
use rpc_core::input::Input;
use rpc_core::lane::Lane;
use rpc_core::message::Method;
use rpc_core::output::Output;
use rpc_core::server::{self, Admission, Event};
use rpc_core::{Body, CallId, Format, Limits, Metadata, Origin, Peer, Service};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Calls in flight, which go through each side together, as they do behind a socket.
const BATCH: usize = 64;

const FORMAT: Format = Format::Bincode;

/// A class of calls.
#[derive(Clone, Copy)]
enum Class {
    /// `Arith.Multiply`, by its index.
    Small,
    /// `Echo.Echo` of 4 KiB.
    Body,
    /// `Arith.Multiply` with a deadline and two pairs of metadata.
    Adorned,
}

struct Client {
    class: Class,
    calls: client::Calls,
    input: Input,
    out: Output,
    /// Bytes that left `out`.
    sent: u64,
    open: Vec<CallId>,
    woken: Vec<Waker>,
    scratch: Vec<u8>,
    answer: Vec<u8>,
    body: Bytes,
    metadata: Metadata,
    now: Instant,
}

struct Server {
    calls: server::Calls,
    input: Input,
    out: Output,
    services: Vec<Service>,
    lanes: Vec<Box<dyn Lane>>,
    now: Instant,
}

/// Takes the answers to one batch and makes the next one, of `count` calls.
///
/// A function of its own, never merged into another: the guard counts the instructions between its
/// first and its last.
#[inline(never)]
fn client_half(client: &mut Client, answers: &[u8], count: usize) -> Result<()> {
    client.take(answers)?;
    for _ in 0..count {
        client.call()?;
    }
    Ok(())
}

/// Answers a batch. See [`client_half`] for why it stands alone.
#[inline(never)]
fn server_half(server: &mut Server, requests: &[u8]) -> Result<()> {
    server.answer(requests)
}

impl Client {
    fn new(class: Class, now: Instant) -> Result<Self> {
        let mut metadata = Metadata::new();
        metadata.insert("tenant", "a")?;
        metadata.insert("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")?;
        Ok(Self {
            class,
            calls: client::Calls::new(Limits::default(), Limits::default()),
            input: Input::new(Limits::default().max_frame),
            out: Output::default(),
            sent: 0,
            open: Vec::new(),
            woken: Vec::new(),
            scratch: Vec::new(),
            answer: Vec::new(),
            body: vec![7; 4096].into(),
            metadata,
            now,
        })
    }

    fn call(&mut self) -> Result<()> {
        self.scratch.clear();
        let (method, time_left, metadata) = match self.class {
            Class::Small => ("Arith.Multiply", None, &Metadata::EMPTY),
            Class::Body => ("Echo.Echo", None, &Metadata::EMPTY),
            Class::Adorned => ("Arith.Multiply", Some(Duration::from_secs(1)), &self.metadata),
        };
        let shared = match self.class {
            Class::Body => FORMAT.encode_split(&self.body, &mut self.scratch)?,
            _ => FORMAT.encode_split(&Args { a: 7, b: 8 }, &mut self.scratch)?,
        };
        let head = RequestHead { method, time_left, metadata, stream: None };
        let waker = Some(Waker::noop().clone());
        self.open.push(self.calls.open(head, &self.scratch, shared, waker, &mut self.out, self.sent)?);
        Ok(())
    }

    fn take(&mut self, answers: &[u8]) -> Result<()> {
        let mut at = 0;
        while let Some(frame) = self.input.next(answers, &mut at)? {
            self.calls.receive(frame, self.now, &mut self.woken)?;
        }
        self.woken.drain(..).for_each(Waker::wake);
        for id in self.open.drain(..) {
            let polled = self.calls.poll(id, Waker::noop(), &mut self.answer, &mut None);
            let Poll::Ready(Outcome::Response { large, .. }) = polled else { bail!("no answer to {id}") };
            let body = large.map_or(Body::Borrowed(&self.answer), Body::Owned);
            match self.class {
                Class::Body => ensure!(FORMAT.decode::<Bytes>(body)?.len() == 4096),
                _ => ensure!(FORMAT.decode::<i64>(body)? == 56),
            }
        }
        Ok(())
    }
}

impl Server {
    fn new(now: Instant) -> Self {
        Self {
            calls: server::Calls::new(Limits::default()),
            input: Input::new(Limits::default().max_frame),
            out: Output::default(),
            services: vec![ArithServer::new(Handlers).into(), EchoServer::new(Handlers).into()],
            lanes: Vec::new(),
            now,
        }
    }

    fn introduce(&mut self, name: &[u8]) -> Result<()> {
        let full = std::str::from_utf8(name)?;
        let (service, method) = full.rsplit_once('.').context("no dot")?;
        let service = self.services.iter().find(|known| known.name() == service).context("no service")?;
        let method = service.methods().iter().find(|known| known.name() == method).context("no method")?;
        let origin = Origin::new(Peer::unknown(), FORMAT);
        self.lanes.push(method.lane(origin.into(), full.into()));
        Ok(())
    }

    fn answer(&mut self, requests: &[u8]) -> Result<()> {
        let mut cx = Context::from_waker(Waker::noop());
        let (mut input, mut at) = (std::mem::replace(&mut self.input, Input::new(0)), 0);
        while let Some(frame) = input.next(requests, &mut at)? {
            let Event::Request(request) = self.calls.receive(frame, self.now)? else { bail!("no request") };
            ensure!(request.admission == Admission::Admitted);
            let index = match request.method {
                Method::Known(index) => index,
                Method::New { index, name, .. } => {
                    self.introduce(&name)?;
                    index
                }
                Method::Once { .. } => bail!("not remembered"),
            };
            let lane = &mut self.lanes[usize::from(index) - 1];
            lane.open(request.id, request.time_left.map(|left| self.now + left), request.metadata, None);
            lane.begin(request.body).map_err(|status| anyhow!("refused: {}", status.message()))?;
            ensure!(lane.poll(&mut cx).is_ready(), "the handler waits");
            lane.reply(Limits::default().max_frame, &mut self.out);
            self.calls.end(request.id);
        }
        self.input = input;
        Ok(())
    }
}

/// Moves what waits onto the wire, whose memory is nobody's.
fn carry(out: &mut Output, wire: &mut Vec<u8>) {
    wire.clear();
    wire.extend_from_slice(out.single().unwrap_or_default());
    out.advance(wire.len());
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [class, calls] = &arguments[..] else { bail!("script small|body|adorned CALLS") };
    let class = match &**class {
        "small" => Class::Small,
        "body" => Class::Body,
        "adorned" => Class::Adorned,
        other => bail!("no class {other}"),
    };
    let calls: usize = calls.parse()?;
    ensure!(calls <= 10_000_000, "too many calls");

    let now = Instant::now();
    let (mut client, mut server, mut wire) = (Client::new(class, now)?, Server::new(now), Vec::new());
    let mut left = calls;
    loop {
        let count = left.min(BATCH);
        enter(Side::Client);
        client_half(&mut client, &wire, count)?;
        enter(Side::Neither);
        if count == 0 {
            break;
        }
        left -= count;
        client.sent += client.out.len() as u64;
        carry(&mut client.out, &mut wire);
        enter(Side::Server);
        server_half(&mut server, &wire)?;
        enter(Side::Neither);
        carry(&mut server.out, &mut wire);
    }
    println!("client {}\nserver {}", allocations(Side::Client), allocations(Side::Server));
    Ok(())
}
