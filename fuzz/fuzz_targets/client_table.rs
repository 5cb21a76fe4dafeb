//! The client's table against a server that sends what it likes: every call ends once, and is counted
//! until then.

#![no_main]

#[path = "client_table/answers.rs"]
mod answers;
#[path = "client_table/streams.rs"]
mod streams;

use std::collections::BTreeMap;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use rpc_core::client::{Calls, Event, OpenError, Outcome, RequestHead};
use rpc_core::frame::{Frame, Kind, flags};
use rpc_core::input;
use rpc_core::limits::MIN_MAX_FRAME;
use rpc_core::output::Output;
use rpc_core::stream::Shape;
use rpc_core::{Body, CallId, Executed, Limits, Metadata};
use rpc_fuzz::{MAX_FRAME, Verdict, WildFrame, Wire, window};
use streams::{OnStream, Streamed};

/// A frame without a body.
const END_LEN: u64 = 14;

/// Streams at once.
const MAX_STREAMS: u32 = 3;

/// What the table is given, in the order in which the input tells it.
#[derive(Debug)]
struct Input {
    /// The most calls in flight; from 128 on there are streams, too.
    max_calls: u8,
    /// How many bytes were written when the connection ends.
    written: u16,
    /// Of the client and the server.
    windows: [u8; 2],
    steps: Vec<Either>,
}

#[derive(Debug)]
enum Either {
    Step(Step),
    Stream(u8, OnStream),
}

impl<'a> Arbitrary<'a> for Input {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let (max_calls, written) = (u.arbitrary()?, u.arbitrary()?);
        let streams = max_calls >= 128;
        let windows = if streams { u.arbitrary()? } else { [0; 2] };
        let mut steps = Vec::new();
        while !u.is_empty() {
            let which = if streams { u.arbitrary::<u8>()? } else { 0 };
            steps.push(match which % 4 > 0 {
                true => Either::Stream(which / 4, u.arbitrary()?),
                false => Either::Step(u.arbitrary()?),
            });
        }
        Ok(Self { max_calls, written, windows, steps })
    }
}

#[derive(Arbitrary, Debug)]
enum Step {
    Open {
        method: u8,
        body: u8,
        shared: bool,
        waker: bool,
        micros: Option<u64>,
        metadata: bool,
        deadline: Option<u8>,
    },
    Poll(u8),
    Abandon(u8),
    /// A well-formed answer to a call that waits for one.
    Answer {
        which: u8,
        large: bool,
        body: Vec<u8>,
    },
    Frame(WildFrame),
    GoAway {
        back: u8,
    },
    AnswerPing,
    Wait {
        millis: u16,
    },
    Expire,
    Write {
        bytes: u16,
    },
    CancelAll,
}

/// What the table must say of a call that was opened.
#[derive(Debug)]
struct Call {
    /// Where its request ends in the stream.
    end: u64,
    /// Somebody waits for it.
    waited_for: bool,
    /// Somebody left a waker that was not woken.
    waker: bool,
    deadline: Option<Instant>,
    /// Its time was up before it ended: that is what its caller is told.
    expired: bool,
    ending: Option<Ending>,
    stream: Option<Streamed>,
}

#[derive(Clone, Debug, PartialEq)]
enum Ending {
    /// With a Response; its body, where the frame had nothing else in it.
    Response(Option<Vec<u8>>),
    Status,
    Lost(Executed),
}

struct Table {
    calls: Calls,
    own: Limits,
    peer: Limits,
    limit: u32,
    model: BTreeMap<CallId, Call>,
    last: CallId,
    going_away: Option<CallId>,
    out: Output,
    /// Bytes that left `out`, and all of them, to be read as frames in the end.
    sent: u64,
    wire: Vec<u8>,
    now: Instant,
}

fuzz_target!(|input: Input| {
    let Input { max_calls, written, windows, steps } = input;
    let mut table = Table::new(u32::from(max_calls % 6) + 1, windows.map(window));
    for step in steps {
        let fine = match step {
            Either::Step(step) => table.step(step),
            Either::Stream(which, step) => table.on_stream(which, step),
        };
        if !fine {
            break;
        }
    }
    // Whether or not the server broke the protocol: the connection ends here.
    table.disconnect(u64::from(written).min(table.sent + table.out.len() as u64));
    table.take_all();
    table.check_wire();
});

impl Table {
    fn new(limit: u32, windows: [u32; 2]) -> Self {
        let own = Limits { window: windows[0], max_frame: MAX_FRAME, ..Limits::default() };
        let peer = Limits {
            max_calls: limit,
            window: windows[1],
            max_streams: MAX_STREAMS,
            max_frame: MIN_MAX_FRAME,
        };
        Self {
            calls: Calls::new(peer, own),
            own,
            peer,
            limit,
            model: BTreeMap::new(),
            last: CallId::NONE,
            going_away: None,
            out: Output::default(),
            sent: 0,
            wire: Vec::new(),
            now: Instant::now(),
        }
    }

    /// False once the server broke the protocol.
    fn step(&mut self, step: Step) -> bool {
        let mut fine = true;
        match step {
            Step::Open { method, body, shared, waker, micros, metadata, deadline } => {
                self.open(method, body, shared, waker, micros, metadata);
                if let (Some(millis), Some(call)) = (deadline, self.model.get_mut(&self.last))
                    && call.ending.is_none()
                    && call.deadline.is_none()
                    && !call.expired
                    && call.waited_for
                {
                    let deadline = self.now + Duration::from_millis(millis.into());
                    self.calls.set_deadline(self.last, deadline);
                    call.deadline = Some(deadline);
                }
            }
            Step::Poll(which) => {
                if let Some(id) = self.pick(which, |call| call.waited_for) {
                    self.poll(id);
                }
            }
            Step::Abandon(which) => {
                if let Some(id) = self.pick(which, |call| call.stream.is_none()) {
                    self.abandon(id);
                }
            }
            Step::Answer { which, large, body } => {
                if let Some(id) = self.pick(which, |call| call.ending.is_none()) {
                    let body = if large { Body::Owned(Bytes::from(body)) } else { Body::Borrowed(&body) };
                    let frame = Frame { kind: Kind::Response, flags: 0, id, body };
                    assert!(self.receive(frame), "an answer to {id} is no breach");
                }
            }
            Step::Frame(wild) => {
                let known: Vec<_> = self.model.keys().copied().collect();
                fine = self.receive(wild.frame(&known, &mut Vec::new()));
            }
            Step::GoAway { back } => {
                let counter = self.last.counter().saturating_sub(back.into());
                let id = CallId::client(counter, u16::MAX);
                fine = self.receive(Frame { kind: Kind::GoAway, flags: 0, id, body: Body::Borrowed(b"\0") });
            }
            Step::AnswerPing => {
                let (owed, before) = (self.calls.owes_pong(), self.out.len());
                self.calls.answer_ping(&mut self.out);
                assert_eq!(self.out.len() > before, owed);
                assert!(!self.calls.owes_pong());
            }
            Step::Wait { millis } => self.now += Duration::from_millis(millis.into()),
            Step::Expire => self.expire(),
            Step::Write { bytes } => self.write(bytes.into()),
            Step::CancelAll => {
                let mut woken = Vec::new();
                self.calls.cancel_all(&mut self.out, &mut woken);
                self.end_all(&woken, |_, _| Some(Executed::Maybe));
            }
        }
        self.check();
        fine
    }

    fn open(&mut self, method: u8, body: u8, shared: bool, waker: bool, micros: Option<u64>, meta: bool) {
        let mut metadata = Metadata::new();
        if meta {
            metadata.insert("key", [body]).expect("a small pair");
        }
        // The longest of these names does not fit its field.
        let method = "A.".to_owned() + &"m".repeat(method.into());
        let head = RequestHead {
            method: &method,
            time_left: micros.map(Duration::from_micros),
            metadata: &metadata,
            stream: None,
        };
        let body = vec![body; body.into()];
        let shared = shared.then(|| Bytes::from_static(b"shared"));
        let (before, room) = (self.out.len(), (self.calls.room() > 0));
        let given = waker.then(|| Waker::noop().clone());
        match self.calls.open(head, &body, shared, given, &mut self.out, self.sent) {
            Ok(id) => {
                assert!(room && self.going_away.is_none());
                assert!(id > self.last && id.counter() == self.last.counter() + 1 && id.is_client());
                let taken = self.model.iter().any(|(other, call)| {
                    other.slot() == id.slot() && (call.ending.is_none() || call.waited_for)
                });
                assert!(!taken, "the slot of {id} is taken");
                self.last = id;
                let end = self.sent + self.out.len() as u64;
                self.model.insert(
                    id,
                    Call {
                        end,
                        waited_for: true,
                        waker,
                        deadline: None,
                        expired: false,
                        ending: None,
                        stream: None,
                    },
                );
            }
            Err(error) => {
                assert_eq!(self.out.len(), before, "what was not opened leaves no trace");
                match error {
                    OpenError::GoingAway => assert!(self.going_away.is_some()),
                    OpenError::Full => assert!(!room),
                    OpenError::NameTooLong => assert!(method.len() > 255),
                    other => panic!("{other}"),
                }
            }
        }
    }

    fn poll(&mut self, id: CallId) {
        let (mut buffer, mut replaced) = (Vec::new(), None);
        let polled = self.calls.poll(id, Waker::noop(), &mut buffer, &mut replaced);
        let call = self.model.get_mut(&id).expect("was opened");
        let Poll::Ready(outcome) = polled else {
            assert!(call.ending.is_none() && !call.expired, "{id} has ended");
            call.waker = true;
            return;
        };
        call.waited_for = false;
        if call.expired {
            assert!(matches!(outcome, Outcome::Expired), "{outcome:?} after its time");
            return;
        }
        let ending = call.ending.as_ref().unwrap_or_else(|| panic!("{id} has not ended"));
        match (outcome, ending) {
            (Outcome::Response { large, .. }, Ending::Response(expected)) => {
                let body = large.as_deref().unwrap_or(&buffer);
                assert!(expected.as_ref().is_none_or(|expected| body == expected), "another call's answer");
            }
            (Outcome::Status(_), Ending::Status) => {}
            (Outcome::Lost(executed), Ending::Lost(expected)) => assert_eq!(executed, *expected),
            (outcome, expected) => panic!("{outcome:?} instead of {expected:?}"),
        }
    }

    fn abandon(&mut self, id: CallId) {
        let before = self.out.len();
        let waker = self.calls.abandon(id, &mut self.out);
        let call = self.model.get_mut(&id).expect("was opened");
        assert_eq!(waker.is_some(), std::mem::take(&mut call.waker));
        let cancelled = self.out.len() > before;
        let open = call.waited_for && call.ending.is_none() && !call.expired;
        assert_eq!(cancelled, open, "one Cancel for each open call");
        call.waited_for = false;
    }

    fn expire(&mut self) {
        let mut woken = Vec::new();
        self.calls.expire(self.now, &mut self.out, &mut woken);
        let mut wakers = 0;
        for call in self.model.values_mut() {
            let open = call.ending.is_none() && call.waited_for && !call.expired;
            if open && call.deadline.is_some_and(|deadline| deadline <= self.now) {
                call.expired = true;
                wakers += usize::from(std::mem::take(&mut call.waker));
            }
            if let Some(stream) = &mut call.stream
                && call.ending.is_none()
                && call.deadline.is_some_and(|deadline| deadline <= self.now)
            {
                call.deadline = None;
                stream.expired();
            }
        }
        self.check_woken(&woken, wakers);
        let next = self.calls.next_deadline();
        assert!(next.is_none_or(|next| next > self.now), "what is due has expired");
        for call in
            self.model.values().filter(|call| call.ending.is_none() && call.waited_for && !call.expired)
        {
            assert!(call.deadline.is_none_or(|deadline| next.is_some_and(|next| next <= deadline)));
        }
    }
}
