// A panic is how a test reports.
#![allow(clippy::unwrap_used)]

mod failures;
mod going_on;
mod panics;
mod results;

use serde::{Deserialize, Serializer};

use super::*;
use crate::format::Format;
use crate::frame::Frame;
use crate::input::Input;
use crate::message::{Fields, read_status};
use crate::peer::Peer;
use crate::service::Method;

const LIMIT: u32 = 1 << 20;

/// One lane, driven as a connection does it.
struct Driver {
    lane: Box<dyn Lane>,
    out: Output,
    limit: u32,
    counter: u64,
}

/// The one terminal frame of a call.
#[derive(Debug, PartialEq)]
enum Answer {
    Result { metadata: Metadata, body: Vec<u8> },
    Failure(Status),
}

impl Driver {
    fn new<A, R, E, F>(handler: impl Fn(Context, A) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<R, E>> + Send + 'static,
        A: DeserializeOwned + Send + 'static,
        R: Serialize + Send + 'static,
        E: Into<Status> + 'static,
    {
        let origin = Origin::new(Peer::unknown(), Format::Bincode);
        let lane = Method::new("Method", handler).lane(Arc::new(origin), "Test.Method".into());
        Self { lane, out: Output::default(), limit: LIMIT, counter: 0 }
    }

    fn open(&mut self) -> CallId {
        self.counter += 1;
        let id = CallId::client(self.counter, 0);
        assert_eq!(self.lane.open(id, None, Metadata::EMPTY, None).id(), id);
        id
    }

    fn begin<A: Serialize>(&mut self, args: &A) -> Result<(), Status> {
        self.open();
        let mut body = Vec::new();
        Format::Bincode.encode(args, &mut body).unwrap();
        self.lane.begin(Body::Borrowed(&body))
    }

    fn poll(&mut self) -> Poll<()> {
        poll(&mut *self.lane)
    }

    fn reply(&mut self) -> (Ended, Answer) {
        let ended = self.lane.reply(self.limit, &mut self.out);
        (ended, self.answer())
    }

    /// A call that ends at its first poll.
    fn call<A: Serialize>(&mut self, args: &A) -> (Ended, Answer) {
        self.begin(args).unwrap();
        assert!(self.poll().is_ready());
        self.reply()
    }

    /// The call that is known to succeed with twice its argument.
    fn still_serves(&mut self) {
        let (ended, answer) = self.call(&4u32);
        assert_eq!(ended, Ended { code: None, panicked: false });
        assert_eq!(answer, Answer::Result { metadata: Metadata::EMPTY, body: vec![8] });
    }

    fn answer(&mut self) -> Answer {
        let bytes = self.out.to_vec();
        self.out.advance(bytes.len());
        let (mut input, mut at) = (Input::new(u32::MAX), 0);
        let Frame { kind, flags, id, body } = input.next(&bytes, &mut at).unwrap().expect("a frame");
        assert_eq!(at, bytes.len(), "exactly one terminal frame");
        assert_eq!(id.counter(), self.counter);
        match kind {
            Kind::Response => {
                let mut fields = Fields::new(kind, body.as_slice());
                let metadata = fields.metadata(flags).unwrap().unwrap();
                Answer::Result { metadata, body: body.as_slice()[fields.taken()..].to_vec() }
            }
            Kind::Status => Answer::Failure(read_status(flags, body).unwrap()),
            other => panic!("{other:?}"),
        }
    }
}

fn poll<L: Running + ?Sized>(lane: &mut L) -> Poll<()> {
    lane.poll(&mut task::Context::from_waker(task::Waker::noop()))
}

fn failure((ended, answer): (Ended, Answer)) -> (Ended, Status) {
    match answer {
        Answer::Failure(status) => {
            assert_eq!(ended.code, Some(status.code()));
            (ended, status)
        }
        other => panic!("{other:?}"),
    }
}
