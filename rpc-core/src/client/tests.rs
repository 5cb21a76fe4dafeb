mod abandoned;
mod answers;
mod expired;
mod frames;
mod given_up;
mod going_away;
mod interning;
mod lost;
mod opening;
mod pings;
mod streams;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use super::*;
use crate::body::Body;
use crate::error::ProtocolError;
use crate::frame::Frame;
use crate::input::Input;
use crate::status::Executed;

/// A client whose server is the test.
struct Client {
    calls: Calls,
    out: Output,
    /// Bytes that the test took out of `out`.
    sent: u64,
    now: Instant,
    woken: Vec<Waker>,
    buffer: Vec<u8>,
}

/// A frame that the client appended.
#[derive(Debug, PartialEq, Eq)]
struct Sent {
    kind: Kind,
    flags: u8,
    id: CallId,
    body: Vec<u8>,
}

impl Client {
    fn new() -> Self {
        Self::of(Limits::default())
    }

    fn with_room_for(max_calls: u32) -> Self {
        Self::of(Limits { max_calls, ..Limits::default() })
    }

    fn of(limits: Limits) -> Self {
        Self {
            calls: Calls::new(limits, Limits::default()),
            out: Output::default(),
            sent: 0,
            now: Instant::now(),
            woken: Vec::new(),
            buffer: Vec::new(),
        }
    }

    fn try_open(&mut self, method: &str, body: &[u8]) -> Result<CallId, OpenError> {
        self.try_open_shared(method, body, None)
    }

    fn try_open_shared(
        &mut self,
        method: &str,
        body: &[u8],
        shared: Option<Bytes>,
    ) -> Result<CallId, OpenError> {
        let head = RequestHead { method, time_left: None, metadata: &Metadata::EMPTY, stream: None };
        self.calls.open(head, body, shared, None, &mut self.out, self.sent)
    }

    fn open(&mut self) -> CallId {
        self.try_open("A.B", b"").expect("room for a call")
    }

    fn receive(&mut self, kind: Kind, flags: u8, id: CallId, body: &[u8]) -> Result<Event, ProtocolError> {
        let frame = Frame { kind, flags, id, body: Body::Borrowed(body) };
        self.calls.receive(frame, self.now, &mut self.woken)
    }

    fn respond(&mut self, id: CallId, body: &[u8]) {
        assert_eq!(self.receive(Kind::Response, 0, id, body), Ok(Event::Nothing));
    }

    fn go_away(&mut self, last: CallId) -> Result<Event, ProtocolError> {
        self.receive(Kind::GoAway, 0, last, &[0])
    }

    fn poll(&mut self, id: CallId) -> Poll<Outcome> {
        self.calls.poll(id, Waker::noop(), &mut self.buffer, &mut None)
    }

    /// The small body that the call ended with.
    fn body(&mut self, id: CallId) -> Vec<u8> {
        match self.poll(id) {
            Poll::Ready(Outcome::Response { large: None, .. }) => self.buffer.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn lost(&mut self, id: CallId) -> Executed {
        match self.poll(id) {
            Poll::Ready(Outcome::Lost(executed)) => executed,
            other => panic!("{other:?}"),
        }
    }

    /// Takes the frames out that were appended.
    fn sent(&mut self) -> Vec<Sent> {
        let bytes = self.out.to_vec();
        self.out.advance(bytes.len());
        self.sent += bytes.len() as u64;
        let (mut input, mut at, mut sent) = (Input::new(u32::MAX), 0, Vec::new());
        while let Some(Frame { kind, flags, id, body }) = input.next(&bytes, &mut at).expect("frames") {
            sent.push(Sent { kind, flags, id, body: body.as_slice().to_vec() });
        }
        assert!(input.is_empty());
        sent
    }
}

/// A waker that counts.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wakes {
    fn waker(self: &Arc<Self>) -> Waker {
        self.clone().into()
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn unknown(kind: Kind, id: CallId) -> Result<Event, ProtocolError> {
    Err(ProtocolError::UnknownCall { kind, id })
}
