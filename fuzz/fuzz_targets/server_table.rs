//! The server's table against a client that sends what it likes: it admits in order, within the limit,
//! and counts what it admitted.

#![no_main]

#[path = "server_table/ends.rs"]
mod ends;
#[path = "server_table/streams.rs"]
mod streams;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use rpc_core::frame::{Frame, Kind, flags};
use rpc_core::input;
use rpc_core::limits::MIN_MAX_FRAME;
use rpc_core::message::{GoAway, GoAwayReason, MAX_METHODS, Method};
use rpc_core::output::Output;
use rpc_core::server::{Admission, Calls, Event, Request};
use rpc_core::stream::{Hub, ITEM_COST, Memory, Side};
use rpc_core::{Body, CallId, Executed, Limits, ProtocolError};
use rpc_fuzz::{MAX_FRAME, Verdict, WildFrame, Wire, window};
use streams::{Feeder, OnStream, Streamed};

/// Frames that nothing pays for and that are borne at once, and how long it takes until one more is.
const BURST: u32 = 1000;
const REFILL: u32 = 30;

/// What all streams may hold.
const MEMORY: usize = 200_000;

#[derive(Arbitrary, Debug)]
enum Step {
    /// A request that an honest client could send.
    Request {
        gap: u8,
        slot: u16,
        method: Name,
        micros: Option<u64>,
        more: bool,
        args: Vec<u8>,
    },
    /// As many of them, each with a name of its own, and too late to be admitted.
    Introduce {
        count: u8,
    },
    Frame(WildFrame),
    End,
    GoAway,
    AnswerPing,
    Wait {
        millis: u16,
    },
}

#[derive(Debug)]
enum Either {
    Step(Step),
    Stream(u8, OnStream),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Name {
    New,
    Once,
    Known(u16),
}

struct Table {
    calls: Calls,
    limit: u32,
    last: CallId,
    methods: u16,
    admitted: u32,
    ended: u32,
    /// Refusals for the limit since the last request that met none.
    refused: u32,
    going_away: Option<CallId>,
    limits: Limits,
    hub: Arc<Hub>,
    feeder: Feeder,
    used: Arc<AtomicUsize>,
    streams: BTreeMap<CallId, Streamed>,
    over: Vec<(CallId, Streamed)>,
    /// Data and End for streams that are over or refused: what they paid for.
    paid: u64,
    /// Frames that may have drawn on the budget, and those that certainly have.
    drawn: [u32; 2],
    waited: u32,
    out: Output,
    now: Instant,
}

/// What the server does: the most calls in flight, from 128 on with streams; their window; and what happens.
#[derive(Debug)]
struct Input {
    max_calls: u8,
    window: u8,
    steps: Vec<Either>,
}

impl<'a> Arbitrary<'a> for Input {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let max_calls = u.arbitrary()?;
        let streams = max_calls >= 128;
        let window = if streams { u.arbitrary()? } else { 223 };
        let mut steps = Vec::new();
        while !u.is_empty() {
            let which = if streams { u.arbitrary::<u8>()? } else { 0 };
            steps.push(match which % 4 > 0 {
                true => Either::Stream(which / 4, u.arbitrary()?),
                false => Either::Step(u.arbitrary()?),
            });
        }
        Ok(Self { max_calls, window, steps })
    }
}

fuzz_target!(|input: Input| {
    let Input { max_calls, window: window_of, steps } = input;
    let mut table = Table::new(u32::from(max_calls % 6) + 1, window(window_of));
    let step = |step| match step {
        Either::Step(step) => table.step(step),
        Either::Stream(which, step) => table.on_stream(which, step),
    };
    if steps.into_iter().map(step).any(|end| end.is_err()) {
        // The caller says why it closes, and lets the handlers finish.
        table.go_away();
    }
    while table.calls.in_flight() > 0 {
        table.end();
    }
    table.check();
    assert_eq!(table.admitted, table.ended);
    table.check_wire();
    let used = table.used.clone();
    drop(table);
    assert_eq!(used.load(Ordering::Relaxed), 0, "streams that are over hold memory");
});

impl Table {
    fn new(limit: u32, window: u32) -> Self {
        let limits = Limits { max_calls: limit, max_frame: MAX_FRAME, window, max_streams: 3 };
        let peer = Limits { max_frame: MIN_MAX_FRAME, ..limits };
        let used = Arc::new(AtomicUsize::new(0));
        let memory = Memory { used: used.clone(), max: MEMORY };
        Self {
            calls: Calls::new(limits),
            limits,
            hub: Hub::new(Side::Server, limits, peer, Some(memory)),
            feeder: Feeder::new(),
            used,
            streams: BTreeMap::new(),
            over: Vec::new(),
            paid: 0,
            drawn: [0; 2],
            waited: 0,
            limit,
            last: CallId::NONE,
            methods: 0,
            admitted: 0,
            ended: 0,
            refused: 0,
            going_away: None,
            out: Output::default(),
            now: Instant::now(),
        }
    }

    fn step(&mut self, step: Step) -> Result<(), ProtocolError> {
        match step {
            Step::Request { gap, slot, method, micros, more, args } => {
                self.honest(gap, slot, method, micros, more, &args)?;
            }
            Step::Introduce { count } => {
                for slot in 0..count.into() {
                    self.honest(0, slot, Name::New, Some(0), false, b"")?;
                }
            }
            Step::Frame(wild) => {
                let (next, mut buffer) = (CallId::client(self.last.counter() + 1, 0), Vec::new());
                self.receive(wild.frame(&[next, self.last, CallId::NONE], &mut buffer))?;
            }
            Step::End if self.calls.in_flight() > 0 => self.end(),
            Step::End => {}
            Step::GoAway => self.go_away(),
            Step::AnswerPing => {
                self.calls.answer_ping(&mut self.out);
                let before = self.out.len();
                self.calls.answer_ping(&mut self.out);
                assert_eq!(self.out.len(), before, "one Pong for all Pings");
            }
            Step::Wait { millis } => {
                self.now += Duration::from_millis(millis.into());
                self.waited += u32::from(millis);
            }
        }
        self.check();
        Ok(())
    }

    fn honest(
        &mut self,
        gap: u8,
        slot: u16,
        method: Name,
        micros: Option<u64>,
        more: bool,
        args: &[u8],
    ) -> Result<(), ProtocolError> {
        // After a wild request of the highest id there is none left.
        let counter = self.last.counter() + 1 + u64::from(gap);
        if counter > rpc_core::call_id::MAX_COUNTER {
            return Ok(());
        }
        let (mut body, mut flags) = (Vec::new(), 0);
        let index = match method {
            Name::Known(index) if self.methods > 0 => index % self.methods + 1,
            Name::New if self.methods < MAX_METHODS => {
                flags |= flags::NAME;
                self.methods + 1
            }
            _ => {
                flags |= flags::NAME;
                0
            }
        };
        body.extend_from_slice(&index.to_be_bytes());
        if flags & flags::NAME != 0 {
            body.extend_from_slice(b"\0\0\0\0\0\0\0\0\x03A.B");
        }
        if let Some(micros) = micros {
            flags |= flags::DEADLINE;
            body.extend_from_slice(&micros.to_be_bytes());
        }
        if more {
            flags |= flags::MORE;
        }
        body.extend_from_slice(args);
        let id = CallId::client(counter, slot);
        let result = self.receive(Frame { kind: Kind::Request, flags, id, body: Body::Borrowed(&body) });
        // It may have come after too many wild ones.
        if let Err(error) = &result {
            let limit = self.limit;
            assert_eq!(*error, ProtocolError::TooManyCalls { limit }, "an honest request is a breach");
        }
        result
    }

    fn receive(&mut self, frame: Frame<'_>) -> Result<(), ProtocolError> {
        let Frame { kind, id, .. } = frame;
        let full = self.calls.in_flight() == self.limit;
        let memory = MEMORY - self.used.load(Ordering::Relaxed);
        let opened = CallId::NONE < id && id <= self.last;
        let mut wakes = false;
        let mut verdict = match (kind, self.streams.get_mut(&id)) {
            (Kind::Data | Kind::End | Kind::Credit, Some(stream)) => {
                let verdict = stream.flow.receive(&frame, memory);
                wakes = stream.is_to_wake();
                Some(verdict)
            }
            (Kind::Data | Kind::End | Kind::Credit, None) if !opened => Some(Verdict::Breach),
            (Kind::Data | Kind::End, None) => Some(self.late(frame.body.as_slice().len())),
            (Kind::Credit, None) => Some(Verdict::Unpaid),
            _ => None,
        };
        self.drawn[0] += u32::from(!matches!(verdict, Some(Verdict::Fine)) && kind != Kind::Request);
        if verdict == Some(Verdict::Unpaid) && self.drawn[0] <= BURST {
            verdict = Some(Verdict::Fine);
        }
        let result = self.calls.receive(frame, self.now);
        if let Some(verdict) = verdict {
            verdict.check(&result);
        }
        let event = match result {
            Ok(event) => event,
            Err(error) => {
                assert_eq!(self.calls.in_flight(), self.admitted - self.ended, "a breach admits nothing");
                if let ProtocolError::TooManyCalls { .. } = error {
                    assert!(full && self.refused == self.limit);
                }
                // What such a request introduced and its id may count or not: nothing comes after it.
                return Err(error);
            }
        };
        match (kind, event) {
            (Kind::Request, Event::Request(request)) => {
                assert!(request.id == id && id.is_client());
                assert!(id > self.last && id.counter() > self.last.counter(), "ids grow");
                self.last = id;
                self.forgo(&request);
                match request.method {
                    Method::New { index, .. } => {
                        assert_eq!(index, self.methods + 1);
                        self.methods = index;
                    }
                    Method::Known(index) => assert!((1..=self.methods).contains(&index)),
                    Method::Once { .. } => {}
                }
                assert!(self.methods <= MAX_METHODS);
                let ignored = self.going_away.is_some_and(|last| id > last);
                match request.admission {
                    Admission::Admitted => {
                        assert!(!full && !ignored);
                        self.admitted += 1;
                        self.refused = 0;
                        if request.stream {
                            self.open_stream(id);
                        }
                    }
                    Admission::Refused(status) => {
                        assert!(!ignored);
                        assert_eq!(status.executed(), Executed::No);
                        self.refused = if full { self.refused + 1 } else { 0 };
                        assert!(self.refused <= self.limit);
                    }
                    Admission::Ignored => assert!(ignored),
                }
            }
            (Kind::Cancel, Event::Cancel(cancelled)) => {
                assert!(cancelled == id && CallId::NONE < id && id <= self.last);
            }
            (Kind::Data | Kind::End | Kind::Credit, Event::Stream(_)) => {}
            (Kind::Data | Kind::End | Kind::Credit, Event::Nothing) => {
                assert!(!wakes, "items came and nobody was told");
            }
            (Kind::Pong, Event::Pong(token)) => assert_eq!(token, id.to_wire()),
            (Kind::Ping, Event::Nothing) | (Kind::GoAway, Event::GoAway(_)) => {}
            (kind, event) => panic!("{kind:?} was taken as {event:?}"),
        }
        Ok(())
    }
}
