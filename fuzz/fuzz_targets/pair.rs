//! Both tables joined back to back: whatever the schedule and the slices, honest peers agree.

#![no_main]

#[path = "pair/handler.rs"]
mod handler;
#[path = "pair/schedule.rs"]
mod schedule;
#[path = "pair/streams.rs"]
mod streams;

use std::collections::{BTreeMap, BTreeSet};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

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
use schedule::{Answer, Either, Schedule, Step, cross, window};
use streams::Streams;

/// Pings of one side that the other bears without being paid for them; an honest peer sends fewer.
const MOST_PINGS: u32 = 400;

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
                            let duplex = self.server.open_stream(request.id, &self.streams.server_hub);
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

    fn reply(&mut self, id: CallId, how: Answer) {
        self.running.retain(|running| *running != id);
        match how {
            Answer::Status => self.put_status(id, &Status::unknown(id.to_string()), Executed::Yes),
            Answer::Small => self.server_out.put(Kind::Response, 0, id, id.to_string().as_bytes()),
            Answer::Large => {
                let mut draft = self.server_out.draft(Kind::Response, id);
                draft.body().extend_from_slice(id.to_string().as_bytes());
                let shared = Bytes::from(vec![b' '; LARGE_BODY]);
                draft.finish(0, Some(shared), u32::MAX).expect("no limit");
            }
        }
        self.server.end(id);
    }

    fn put_status(&mut self, id: CallId, status: &Status, executed: Executed) {
        put_status(id, status, executed, &Metadata::EMPTY, u32::MAX, &mut self.server_out);
    }

    fn poll(&mut self, id: CallId) -> bool {
        let mut buffer = Vec::new();
        let Poll::Ready(outcome) = self.client.poll(id, Waker::noop(), &mut buffer, &mut None) else {
            return false;
        };
        let ending = match outcome {
            Outcome::Response { large, .. } => {
                let body = large.as_deref().unwrap_or(&buffer).trim_ascii_end();
                assert_eq!(body, id.to_string().as_bytes(), "the answer of another call");
                Ending::Answer
            }
            Outcome::Status(status) if status.executed() == Executed::No => Ending::Refused,
            Outcome::Status(status) => {
                assert_eq!(status.message(), id.to_string(), "the answer of another call");
                Ending::Answer
            }
            Outcome::Lost(executed) => Ending::Lost(executed),
            Outcome::Expired => panic!("no call has a deadline here"),
        };
        self.waiting.remove(&id);
        assert!(self.endings.insert(id, ending).is_none(), "ended twice");
        true
    }

    fn is_quiet(&self) -> bool {
        self.client_out.is_empty()
            && self.server_out.is_empty()
            && self.client_input.is_empty()
            && self.server_input.is_empty()
            && !self.client.hub().poll(Waker::noop())
            && !self.streams.server_hub.poll(Waker::noop())
    }

    fn check(&self) {
        assert_eq!(self.server.in_flight() as usize, self.running.len() + self.streams.running());
        if self.is_quiet() {
            assert_eq!(self.client.in_flight(), self.server.in_flight());
        }
    }

    fn settle(&mut self) {
        while !self.is_quiet() {
            self.fill(true, 1 << 20);
            self.fill(false, 1 << 20);
            self.server_reads(usize::MAX, &Slicing::WHOLE);
            self.client_reads(usize::MAX, &Slicing::WHOLE);
        }
    }

    /// Lets everything cross, answers what runs, and takes what ended.
    fn finish(&mut self) {
        self.settle();
        self.check();
        while let Some(id) = self.running.last() {
            self.reply(*id, Answer::Small);
        }
        self.settle();
        self.take_all();
        for id in self.streams.orphans() {
            self.streams.cancel(id, &mut self.server, &mut self.server_out);
        }
        let all_ended = Streams::rounds().any(|_| {
            let all_ended = self.streams.wind_up();
            self.streams.run(&mut self.server, &mut self.server_out);
            self.settle();
            all_ended
        });
        assert!(all_ended, "streams never end");
        assert_eq!((self.client.in_flight(), self.server.in_flight()), (0, 0));
    }

    /// The connection is gone where it stands.
    fn break_off(&mut self) {
        self.client.disconnect(self.sent, &mut Vec::new());
        assert_eq!(self.client.in_flight(), 0);
        self.take_all();
        self.streams.take_all();
    }

    fn take_all(&mut self) {
        for id in std::mem::take(&mut self.waiting) {
            assert!(self.poll(id), "{id} never ended");
        }
    }
}

fn name_of(method: u8) -> String {
    format!("Test.M{method}")
}

fn pick<'a>(mut ids: impl ExactSizeIterator<Item = &'a CallId>, which: u8) -> Option<CallId> {
    let at = usize::from(which) % ids.len().max(1);
    ids.nth(at).copied()
}
