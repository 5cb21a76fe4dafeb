//! Both tables joined back to back: whatever the schedule and the slices, honest peers agree.

#![no_main]

#[path = "pair/ends.rs"]
mod ends;
#[path = "pair/streams.rs"]
mod streams;

use std::collections::{BTreeMap, BTreeSet};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use rpc_core::body::LARGE_BODY;
use rpc_core::client::{self, OpenError, Outcome, RequestHead};
use rpc_core::frame::{Frame, Kind};
use rpc_core::input::Input;
use rpc_core::lane::put_status;
use rpc_core::message::{GoAway, GoAwayReason, Method};
use rpc_core::output::Output;
use rpc_core::server::{self, Admission, Event};
use rpc_core::stream::Shape;
use rpc_core::{CallId, Executed, Limits, Metadata, Status};
use rpc_fuzz::Slicing;
use streams::Streams;

/// Pings of one side that the other bears without being paid for them; an honest peer sends fewer.
const MOST_PINGS: u32 = 400;

/// What is decided, in the order in which the input tells it.
#[derive(Debug)]
struct Schedule {
    /// The most calls in flight; from 128 on there are streams, too.
    max_calls: u8,
    /// Whether the connection breaks in the end.
    break_off: bool,
    /// Of the server and the client, where there are streams.
    windows: [u8; 2],
    steps: Vec<Either>,
}

#[derive(Debug)]
enum Either {
    Step(Step),
    Stream(streams::Step),
}

impl<'a> Arbitrary<'a> for Schedule {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let (max_calls, break_off) = (u.arbitrary()?, u.arbitrary()?);
        let streams = max_calls >= 128;
        let windows = if streams { u.arbitrary()? } else { [0; 2] };
        let mut steps = Vec::new();
        while !u.is_empty() {
            steps.push(match streams && u.arbitrary::<u8>()? % 4 > 0 {
                true => Either::Stream(u.arbitrary()?),
                false => Either::Step(u.arbitrary()?),
            });
        }
        Ok(Self { max_calls, break_off, windows, steps })
    }
}

#[derive(Arbitrary, Debug)]
enum Step {
    Open { method: u8, large: bool, millis: Option<u8>, metadata: bool },
    ServerReads { count: u16, slicing: Slicing },
    ClientReads { count: u16, slicing: Slicing },
    Answer { which: u8, how: Answer },
    Abandon(u8),
    Take(u8),
    Ping { client: bool },
    GoAway,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Answer {
    Small,
    Large,
    Status,
}

#[derive(Debug, PartialEq, Eq)]
enum Ending {
    /// With what a handler answered.
    Answer,
    /// With a refusal of the server's.
    Refused,
    Lost(Executed),
}

struct Joined {
    client: client::Calls,
    client_input: Input,
    client_out: Output,
    server: server::Calls,
    server_input: Input,
    server_out: Output,
    /// What the server knows under each index.
    methods: Vec<Box<[u8]>>,
    running: Vec<CallId>,
    admitted: BTreeSet<CallId>,
    refused: BTreeSet<CallId>,
    waiting: BTreeSet<CallId>,
    endings: BTreeMap<CallId, Ending>,
    /// Bytes that left the client.
    sent: u64,
    streams: Streams,
    pings: [u32; 2],
    now: Instant,
}

fuzz_target!(|schedule: Schedule| {
    let Schedule { max_calls, break_off, windows, steps } = schedule;
    let mut joined = Joined::new(u32::from(max_calls % 6) + 1, windows.map(window));
    for step in steps {
        match step {
            Either::Step(step) => joined.step(step),
            Either::Stream(step) => joined.stream_step(step),
        }
        joined.check();
    }
    if break_off {
        joined.break_off()
    } else {
        joined.finish()
    }
    for (id, ending) in &joined.endings {
        let (ran, refused) = (joined.admitted.contains(id), joined.refused.contains(id));
        match ending {
            Ending::Answer => assert!(ran, "{id} was answered but never ran"),
            Ending::Refused => assert!(refused && !ran, "{id} was refused but ran"),
            Ending::Lost(Executed::No) => assert!(!ran, "{id} was lost as No but ran"),
            Ending::Lost(other) => assert!(break_off, "{id} was lost as {other:?}"),
        }
    }
    joined.streams.judge(break_off);
});

/// Smaller ones than can be announced: much happens in few bytes.
fn window(byte: u8) -> u32 {
    [1, 64, 200, 1_000, 5_000, 65_536, 200_000, 1 << 20][usize::from(byte) % 8]
}

impl Joined {
    fn new(max_calls: u32, [window, client_window]: [u32; 2]) -> Self {
        let limits = Limits { max_calls, window, max_streams: 4, ..Limits::default() };
        let own = Limits { window: client_window, ..Limits::default() };
        Self {
            client: client::Calls::new(limits, own),
            client_input: Input::new(limits.max_frame),
            client_out: Output::default(),
            server: server::Calls::new(limits),
            server_input: Input::new(limits.max_frame),
            server_out: Output::default(),
            methods: Vec::new(),
            running: Vec::new(),
            admitted: BTreeSet::new(),
            refused: BTreeSet::new(),
            waiting: BTreeSet::new(),
            endings: BTreeMap::new(),
            sent: 0,
            streams: Streams::new(limits, own),
            pings: [0; 2],
            now: Instant::now(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Open { method, large, millis, metadata } => self.open(method % 8, large, millis, metadata),
            Step::ServerReads { count, slicing } => self.server_reads(count.into(), &slicing),
            Step::ClientReads { count, slicing } => self.client_reads(count.into(), &slicing),
            Step::Answer { which, how } => {
                if let Some(id) = pick(self.running.iter(), which) {
                    self.reply(id, how);
                }
            }
            Step::Abandon(which) => {
                if let Some(id) = pick(self.waiting.iter(), which) {
                    self.client.abandon(id, &mut self.client_out);
                    self.waiting.remove(&id);
                }
            }
            Step::Take(which) => {
                if let Some(id) = pick(self.waiting.iter(), which) {
                    self.poll(id);
                }
            }
            Step::Ping { client } => {
                let sent = &mut self.pings[usize::from(client)];
                if *sent < MOST_PINGS {
                    *sent += 1;
                    let out = if client { &mut self.client_out } else { &mut self.server_out };
                    out.put(Kind::Ping, 0, CallId::from_wire(u64::from(*sent)), &[]);
                }
            }
            Step::GoAway => {
                let go_away = GoAway { reason: GoAwayReason::Shutdown, message: "bye".to_owned() };
                self.server.go_away(&go_away, &mut self.server_out);
            }
        }
    }

    fn open(&mut self, method: u8, large: bool, millis: Option<u8>, tagged: bool) {
        let name = name_of(method);
        let mut metadata = Metadata::new();
        if tagged {
            metadata.insert("Method", [method]).expect("a small pair");
        }
        let time_left = millis.map(|millis| Duration::from_millis(millis.into()));
        let head = RequestHead { method: &name, time_left, metadata: &metadata, stream: None };
        let shared = large.then(|| Bytes::from(vec![method; LARGE_BODY]));
        match self.client.open(head, &[method], shared, None, &mut self.client_out, self.sent) {
            Ok(id) => assert!(self.waiting.insert(id)),
            Err(OpenError::GoingAway) => assert!(self.client.is_going_away()),
            Err(error) => assert!(error == OpenError::Full && self.client.room() == 0),
        }
    }

    fn stream_step(&mut self, step: streams::Step) {
        match step {
            streams::Step::Open { shape } => self.open_stream(Streams::shape(shape)),
            streams::Step::Run => self.streams.run(&mut self.server, &mut self.server_out),
            streams::Step::Fill { client, room } => self.fill(client, room.into()),
            step => self.streams.step(step),
        }
    }

    fn open_stream(&mut self, shape: Shape) {
        let name = format!("Test.S{}", shape as u8);
        let head =
            RequestHead { method: &name, time_left: None, metadata: &Metadata::EMPTY, stream: Some(shape) };
        match self.client.open(head, &[], None, None, &mut self.client_out, self.sent) {
            Ok(id) => {
                let duplex = self.client.stream(id).expect("it has one").clone();
                self.streams.opened(id, shape, duplex);
            }
            Err(OpenError::GoingAway) => assert!(self.client.is_going_away()),
            Err(OpenError::TooManyStreams { limit }) => assert!(self.client.in_flight() >= limit),
            Err(error) => assert!(error == OpenError::Full && self.client.room() == 0),
        }
    }

    /// One side writes what its streams have to send.
    fn fill(&mut self, client: bool, room: usize) {
        let (hub, out) = match client {
            true => (self.client.hub().clone(), &mut self.client_out),
            false => (self.streams.server_hub.clone(), &mut self.server_out),
        };
        let most = out.len() + room;
        hub.fill(hub.take(), out, most, &mut Vec::new());
    }

    fn server_reads(&mut self, count: usize, slicing: &Slicing) {
        let bytes = cross(&mut self.client_out, count);
        self.sent += bytes.len() as u64;
        // Taken out, because the frames are handed on while they are read.
        let mut input = std::mem::replace(&mut self.server_input, Input::new(0));
        slicing
            .feed(&mut input, &bytes, |frame| self.server_takes(frame), |_, _| {})
            .expect("an honest client");
        self.server_input = input;
        self.server.answer_ping(&mut self.server_out);
    }

    fn server_takes(&mut self, frame: Frame<'_>) {
        match self.server.receive(frame, self.now).expect("an honest client") {
            Event::Request(request) => {
                let name = match request.method {
                    Method::New { index, name, .. } => {
                        self.methods.push(name.clone());
                        assert_eq!(usize::from(index), self.methods.len());
                        name
                    }
                    Method::Known(index) => self.methods[usize::from(index) - 1].clone(),
                    Method::Once { name } => name,
                };
                let body = request.body.as_slice();
                if request.stream {
                    let method = name.strip_prefix(b"Test.S").expect("a method with streams")[0] - b'0';
                    return match request.admission {
                        Admission::Admitted => {
                            assert!(self.admitted.insert(request.id), "admitted twice");
                            let inline = request.id.counter().is_multiple_of(2);
                            let duplex =
                                self.server.open_stream(request.id, &self.streams.server_hub, inline);
                            self.streams.begin(request.id, method.into(), duplex);
                        }
                        Admission::Ignored => assert!(self.server.is_going_away()),
                        Admission::Refused(status) => panic!("an honest client was refused: {status}"),
                    };
                }
                let method = body[0];
                assert_eq!(*name, *name_of(method).as_bytes());
                assert!(body.len() == 1 || body.len() == 1 + LARGE_BODY);
                assert!(body.iter().all(|byte| *byte == method));
                assert!(request.metadata.is_empty() || request.metadata.value("method") == Some(&[method]));
                match request.admission {
                    Admission::Admitted => {
                        assert!(self.admitted.insert(request.id), "admitted twice");
                        self.running.push(request.id);
                    }
                    Admission::Ignored => assert!(self.server.is_going_away()),
                    Admission::Refused(status) => {
                        let expired = request.time_left.is_some_and(|left| left.is_zero());
                        assert!(expired, "an honest client was refused: {status}");
                        self.refused.insert(request.id);
                        self.put_status(request.id, &status, status.executed());
                    }
                }
            }
            // A cancelled call is answered all the same: here at once, or when its handler ends.
            Event::Cancel(id) => {
                if self.running.contains(&id) && id.counter().is_multiple_of(2) {
                    self.reply(id, Answer::Status);
                }
                if self.streams.is_running(id) && id.counter().is_multiple_of(2) {
                    self.streams.cancel(id, &mut self.server, &mut self.server_out);
                }
            }
            Event::Stream(waker) => waker.wake(),
            Event::Nothing | Event::Pong(_) | Event::GoAway(_) => {}
        }
    }

    fn client_reads(&mut self, count: usize, slicing: &Slicing) {
        let bytes = cross(&mut self.server_out, count);
        let (client, now, mut woken) = (&mut self.client, self.now, Vec::new());
        let take = |frame: Frame<'_>| {
            client.receive(frame, now, &mut woken).expect("an honest server");
        };
        slicing.feed(&mut self.client_input, &bytes, take, |_, _| {}).expect("an honest server");
        self.client.answer_ping(&mut self.client_out);
    }
}

fn name_of(method: u8) -> String {
    format!("Test.M{method}")
}

fn cross(out: &mut Output, count: usize) -> Vec<u8> {
    let mut bytes = out.to_vec();
    bytes.truncate(count);
    out.advance(bytes.len());
    bytes
}

fn pick<'a>(mut ids: impl ExactSizeIterator<Item = &'a CallId>, which: u8) -> Option<CallId> {
    let at = usize::from(which) % ids.len().max(1);
    ids.nth(at).copied()
}
