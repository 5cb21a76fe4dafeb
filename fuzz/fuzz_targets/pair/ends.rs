//! How calls and the schedule end.

use super::*;

impl Joined {
    pub(super) fn reply(&mut self, id: CallId, how: Answer) {
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

    pub(super) fn put_status(&mut self, id: CallId, status: &Status, executed: Executed) {
        put_status(id, status, executed, &Metadata::EMPTY, u32::MAX, &mut self.server_out);
    }

    pub(super) fn poll(&mut self, id: CallId) -> bool {
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

    pub(super) fn is_quiet(&self) -> bool {
        self.client_out.is_empty()
            && self.server_out.is_empty()
            && self.client_input.is_empty()
            && self.server_input.is_empty()
            && !self.client.hub().poll(Waker::noop())
            && !self.streams.server_hub.poll(Waker::noop())
    }

    pub(super) fn check(&self) {
        assert_eq!(self.server.in_flight() as usize, self.running.len() + self.streams.running());
        if self.is_quiet() {
            assert_eq!(self.client.in_flight(), self.server.in_flight());
        }
    }

    pub(super) fn settle(&mut self) {
        while !self.is_quiet() {
            self.fill(true, 1 << 20);
            self.fill(false, 1 << 20);
            self.server_reads(usize::MAX, &Slicing::WHOLE);
            self.client_reads(usize::MAX, &Slicing::WHOLE);
        }
    }

    /// Lets everything cross, answers what runs, and takes what ended.
    pub(super) fn finish(&mut self) {
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
    pub(super) fn break_off(&mut self) {
        self.client.disconnect(self.sent, &mut Vec::new());
        assert_eq!(self.client.in_flight(), 0);
        self.take_all();
        self.streams.take_all();
    }

    pub(super) fn take_all(&mut self) {
        for id in std::mem::take(&mut self.waiting) {
            assert!(self.poll(id), "{id} never ended");
        }
    }
}
