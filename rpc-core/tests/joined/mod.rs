//! A client and a server with nothing but bytes between them.

use std::collections::{BTreeMap, BTreeSet};
use std::task::{Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use proptest::sample::Index;
use rpc_core::body::LARGE_BODY;
use rpc_core::client::{self, OpenError, Outcome, RequestHead};
use rpc_core::frame::Kind;
use rpc_core::input::Input;
use rpc_core::lane::put_status;
use rpc_core::message::{GoAway, GoAwayReason, Method};
use rpc_core::output::Output;
use rpc_core::server::{self, Admission, Event};
use rpc_core::{CallId, Executed, Limits, Metadata, Status};

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Answer,
    Lost(Executed),
}

pub(crate) struct Joined {
    client: client::Calls,
    client_input: Input,
    client_out: Output,
    server: server::Calls,
    server_input: Input,
    server_out: Output,
    /// What the server knows under each index.
    methods: Vec<Box<[u8]>>,
    /// Calls whose handlers run.
    running: Vec<CallId>,
    /// Calls whose handlers ever ran.
    pub(crate) admitted: BTreeSet<CallId>,
    /// Calls that somebody waits for, with their method.
    waiting: BTreeMap<CallId, u8>,
    /// How the calls that somebody waited for ended.
    pub(crate) endings: BTreeMap<CallId, Ending>,
    /// Bytes that left the client.
    sent: u64,
    pings: u32,
    now: Instant,
}

impl Joined {
    pub(crate) fn new(max_calls: u32) -> Self {
        let limits = Limits { max_calls, ..Limits::default() };
        Self {
            client: client::Calls::new(limits, Limits::default()),
            client_input: Input::new(limits.max_frame),
            client_out: Output::default(),
            server: server::Calls::new(limits),
            server_input: Input::new(limits.max_frame),
            server_out: Output::default(),
            methods: Vec::new(),
            running: Vec::new(),
            admitted: BTreeSet::new(),
            waiting: BTreeMap::new(),
            endings: BTreeMap::new(),
            sent: 0,
            pings: 0,
            now: Instant::now(),
        }
    }

    pub(crate) fn open(&mut self, method: u8, large: bool) {
        let name = format!("Test.M{method}");
        let head = RequestHead { method: &name, time_left: None, metadata: &Metadata::EMPTY, stream: None };
        let shared = large.then(|| Bytes::from(vec![method; LARGE_BODY]));
        match self.client.open(head, &[method], shared, None, &mut self.client_out, self.sent) {
            Ok(id) => assert!(self.waiting.insert(id, method).is_none()),
            Err(OpenError::GoingAway) => assert!(self.client.is_going_away()),
            Err(error) => assert!(error == OpenError::Full && self.client.room() == 0),
        }
    }

    /// Lets up to `count` bytes reach the server.
    pub(crate) fn server_reads(&mut self, count: usize) {
        let bytes = cross(&mut self.client_out, count);
        self.sent += bytes.len() as u64;
        let mut at = 0;
        while let Some(frame) = self.server_input.next(&bytes, &mut at).expect("an honest client") {
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
                    let method = request.body.as_slice()[0];
                    assert_eq!(*name, *format!("Test.M{method}").as_bytes());
                    assert!(request.body.as_slice()[1..].iter().all(|byte| *byte == method));
                    match request.admission {
                        Admission::Admitted => {
                            assert!(self.admitted.insert(request.id), "admitted twice");
                            self.running.push(request.id);
                        }
                        Admission::Ignored => assert!(self.server.is_going_away()),
                        Admission::Refused(status) => panic!("an honest client was refused: {status}"),
                    }
                }
                // A cancelled call is answered all the same: here at once, or when its handler ends.
                Event::Cancel(id) => {
                    if self.running.contains(&id) && id.counter() % 2 == 0 {
                        self.reply(id, true);
                    }
                }
                Event::Nothing | Event::Stream(_) | Event::Pong(_) | Event::GoAway(_) => {}
            }
        }
        self.server.answer_ping(&mut self.server_out);
    }

    pub(crate) fn client_reads(&mut self, count: usize) {
        let bytes = cross(&mut self.server_out, count);
        let (mut at, mut woken) = (0, Vec::new());
        while let Some(frame) = self.client_input.next(&bytes, &mut at).expect("an honest server") {
            self.client.receive(frame, self.now, &mut woken).expect("an honest server");
        }
        self.client.answer_ping(&mut self.client_out);
    }

    pub(crate) fn answer(&mut self, which: Index, fail: bool) {
        if !self.running.is_empty() {
            let id = self.running[which.index(self.running.len())];
            self.reply(id, fail);
        }
    }

    fn reply(&mut self, id: CallId, fail: bool) {
        self.running.retain(|running| *running != id);
        if fail {
            let status = Status::unknown(id.to_string());
            put_status(id, &status, Executed::Yes, &Metadata::EMPTY, u32::MAX, &mut self.server_out);
        } else {
            self.server_out.put(Kind::Response, 0, id, id.to_string().as_bytes());
        }
        self.server.end(CallId::NONE);
    }

    pub(crate) fn abandon(&mut self, which: Index) {
        if let Some(id) = pick(&self.waiting, which) {
            self.client.abandon(id, &mut self.client_out);
            self.waiting.remove(&id);
        }
    }

    pub(crate) fn take(&mut self, which: Index) {
        if let Some(id) = pick(&self.waiting, which) {
            self.poll(id);
        }
    }

    fn poll(&mut self, id: CallId) -> bool {
        let mut buffer = Vec::new();
        let Poll::Ready(outcome) = self.client.poll(id, Waker::noop(), &mut buffer, &mut None) else {
            return false;
        };
        let ending = match outcome {
            Outcome::Response { .. } => {
                assert_eq!(buffer, id.to_string().as_bytes(), "the answer of another call");
                Ending::Answer
            }
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

    pub(crate) fn ping(&mut self, client: bool) {
        self.pings += 1;
        let out = if client { &mut self.client_out } else { &mut self.server_out };
        out.put(Kind::Ping, 0, CallId::from_wire(u64::from(self.pings)), &[]);
    }

    pub(crate) fn go_away(&mut self) {
        let go_away = GoAway { reason: GoAwayReason::Shutdown, message: "bye".to_owned() };
        self.server.go_away(&go_away, &mut self.server_out);
    }

    fn is_quiet(&self) -> bool {
        self.client_out.is_empty()
            && self.server_out.is_empty()
            && self.client_input.is_empty()
            && self.server_input.is_empty()
    }

    pub(crate) fn check_when_quiet(&self) {
        assert_eq!(self.server.in_flight() as usize, self.running.len());
        if self.is_quiet() {
            assert_eq!(self.client.in_flight(), self.server.in_flight());
        }
    }

    fn settle(&mut self) {
        while !self.is_quiet() {
            self.server_reads(usize::MAX);
            self.client_reads(usize::MAX);
        }
    }

    /// Lets everything cross, answers what runs, and takes what ended.
    pub(crate) fn finish(&mut self) {
        self.settle();
        while let Some(id) = self.running.last() {
            self.reply(*id, false);
        }
        self.settle();
        self.take_all();
    }

    fn take_all(&mut self) {
        for id in self.waiting.keys().copied().collect::<Vec<_>>() {
            assert!(self.poll(id), "{id} never ended");
        }
    }

    pub(crate) fn assert_empty(&self) {
        assert_eq!((self.client.in_flight(), self.server.in_flight()), (0, 0));
        assert!(self.is_quiet() && self.waiting.is_empty() && self.running.is_empty());
    }

    /// The connection is gone where it stands.
    pub(crate) fn break_off(&mut self) {
        self.client.disconnect(self.sent, &mut Vec::new());
        assert_eq!(self.client.in_flight(), 0);
        self.take_all();
    }
}

fn cross(out: &mut Output, count: usize) -> Vec<u8> {
    let mut bytes = out.to_vec();
    bytes.truncate(count);
    out.advance(bytes.len());
    bytes
}

fn pick(calls: &BTreeMap<CallId, u8>, which: Index) -> Option<CallId> {
    calls.keys().nth(which.index(calls.len().max(1))).copied()
}
