mod admission;
mod cancels;
mod frames;
mod going_away;
mod methods;
mod streams;

use super::*;
use crate::input::Input;
use crate::status::Code;

/// A server whose client is the test.
struct Server {
    calls: Calls,
    out: Output,
    now: Instant,
    counter: u64,
}

impl Server {
    fn new() -> Self {
        Self::with_room_for(Limits::default().max_calls)
    }

    fn with_room_for(max_calls: u32) -> Self {
        let calls = Calls::new(Limits { max_calls, ..Limits::default() });
        Self { calls, out: Output::default(), now: Instant::now(), counter: 0 }
    }

    fn receive<'a>(
        &mut self,
        kind: Kind,
        flags: u8,
        id: CallId,
        body: &'a [u8],
    ) -> Result<Event<'a>, ProtocolError> {
        self.calls.receive(Frame { kind, flags, id, body: Body::Borrowed(body) }, self.now)
    }

    /// Sends the next request, and tells what the server makes of it.
    fn request<'a>(&mut self, flags: u8, body: &'a [u8]) -> Result<Request<'a>, ProtocolError> {
        self.counter += 1;
        match self.receive(Kind::Request, flags, CallId::client(self.counter, 0), body)? {
            Event::Request(request) => Ok(request),
            other => panic!("{other:?}"),
        }
    }

    /// Sends a request that names its method once and has no more to it.
    fn call(&mut self) -> Request<'static> {
        self.request(flags::NAME, ONCE).expect("a request")
    }

    fn admitted(&mut self) -> CallId {
        let request = self.call();
        assert_eq!(request.admission, Admission::Admitted);
        request.id
    }

    fn error(&mut self, kind: Kind, id: CallId) -> ProtocolError {
        self.receive(kind, 0, id, b"").expect_err("a breach of the protocol")
    }

    fn go_away(&mut self) {
        let go_away = GoAway { reason: crate::message::GoAwayReason::Shutdown, message: String::new() };
        self.calls.go_away(&go_away, &mut self.out);
    }

    /// Kinds and ids of the frames that were appended.
    fn sent(&mut self) -> Vec<(Kind, CallId)> {
        let bytes = self.out.to_vec();
        self.out.advance(bytes.len());
        let (mut input, mut at, mut sent) = (Input::new(u32::MAX), 0, Vec::new());
        while let Some(frame) = input.next(&bytes, &mut at).expect("frames") {
            sent.push((frame.kind, frame.id));
        }
        sent
    }
}

/// Index 0, no fingerprint, the name `A.B`.
const ONCE: &[u8] = b"\0\0\0\0\0\0\0\0\0\0\x03A.B";

/// What stands before the arguments of a request that introduces this name.
fn introduction(index: u16, name: &[u8]) -> Vec<u8> {
    let mut body = index.to_be_bytes().to_vec();
    body.extend_from_slice(&[0; 8]);
    body.push(name.len() as u8);
    body.extend_from_slice(name);
    body
}

fn refusal(admission: Admission) -> (Code, Executed, String) {
    match admission {
        Admission::Refused(status) => (status.code(), status.executed(), status.message().to_owned()),
        other => panic!("{other:?}"),
    }
}
