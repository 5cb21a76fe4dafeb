//! A server of one connection, which echoes when it likes.

use std::time::Instant;

use rpc_core::CallId;
use rpc_core::frame::Kind;
use rpc_core::input::Input;
use rpc_core::limits::Limits;
use rpc_core::message::{GoAway, GoAwayReason};
use rpc_core::output::Output;
use rpc_core::server::{Admission, Calls, Event};
use shuttle::rand::{Rng, thread_rng};

pub(crate) struct Server {
    calls: Calls,
    input: Input,
    out: Output,
    now: Instant,
    owed: Vec<(CallId, Vec<u8>)>,
}

impl Server {
    pub(crate) fn new(limits: Limits, now: Instant) -> Self {
        let (calls, input) = (Calls::new(limits), Input::new(limits.max_frame));
        Self { calls, input, out: Output::default(), now, owed: Vec::new() }
    }

    /// Takes what the client wrote.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while let Some(frame) = self.input.next(bytes, &mut at).expect("an honest client") {
            match self.calls.receive(frame, self.now).expect("an honest client") {
                Event::Request(request) => match request.admission {
                    Admission::Admitted => self.owed.push((request.id, request.body.as_slice().to_vec())),
                    Admission::Refused(status) => panic!("a client that counts was refused: {status:?}"),
                    Admission::Ignored => {}
                },
                Event::Stream(_) => panic!("nobody opened a stream"),
                Event::Nothing | Event::Cancel(_) | Event::Pong(_) | Event::GoAway(_) => {}
            }
        }
        self.calls.answer_ping(&mut self.out);
    }

    /// Whether calls wait for their answers.
    pub(crate) fn owes(&self) -> bool {
        !self.owed.is_empty()
    }

    /// Answers one of the calls, any.
    pub(crate) fn answer(&mut self) {
        let (id, body) = self.owed.swap_remove(thread_rng().gen_range(0..self.owed.len()));
        self.out.put(Kind::Response, 0, id, &body);
        self.calls.end(CallId::NONE);
    }

    /// Takes no new calls.
    pub(crate) fn go_away(&mut self) {
        self.calls.go_away(&GoAway { reason: GoAwayReason::Shutdown, message: String::new() }, &mut self.out);
    }

    /// What it has to say.
    pub(crate) fn output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out).to_vec()
    }
}
