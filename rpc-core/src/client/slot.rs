//! The place of one call in the client's table.

use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;

use crate::call_id::CallId;
use crate::metadata::Metadata;
use crate::status::{Executed, Status};
use crate::stream::{self, Duplex};

/// The buffers of answers that are kept for the next call: large ones in the first slots, which are
/// used most, small ones in all. A burst of calls leaves little behind.
pub(super) const KEPT_LARGE: usize = 8 * 1024;
pub(super) const KEPT_SMALL: usize = 256;
const FIRST_SLOTS: u16 = 64;

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) id: CallId,
    pub(super) state: State,
    pub(super) waker: Option<Waker>,
    /// Where the request ends in the stream of all bytes sent.
    pub(super) end: u64,
    /// Of a call with streams, which has its end in there; the slot is free with the terminal frame.
    pub(super) stream: Option<Arc<Duplex>>,
    /// The body of a small answer. Kept and swapped, so that calls allocate nothing for it.
    pub(super) buffer: Vec<u8>,
}

#[derive(Debug)]
pub(super) enum State {
    Free,
    Open,
    /// Its time is up, and its caller does not know yet.
    Expired,
    Abandoned,
    Done(Done),
}

#[derive(Debug)]
pub(super) enum Done {
    Response { metadata: Metadata, large: Option<Bytes> },
    Status(Box<Status>),
    Lost(Executed),
    Expired,
}

impl From<Done> for stream::Outcome {
    fn from(done: Done) -> Self {
        match done {
            // The items, or the answer, were left in the stream before.
            Done::Response { .. } => stream::Outcome::Complete,
            Done::Status(status) => stream::Outcome::Status(status),
            Done::Lost(executed) => stream::Outcome::Lost(executed),
            Done::Expired => stream::Outcome::Expired,
        }
    }
}

/// How a call ended.
#[derive(Debug)]
pub enum Outcome {
    /// With a result. `None`: the body is small and now lies in the buffer that `poll` was given.
    Response {
        /// What came beside it.
        metadata: Metadata,
        /// A large body, by reference.
        large: Option<Bytes>,
    },
    /// With the server's refusal or the handler's error.
    Status(Status),
    /// With the connection.
    Lost(Executed),
    /// Its time was up; the server was asked to give it up.
    Expired,
}

impl Slot {
    pub(super) const fn new() -> Self {
        Self { id: CallId::NONE, state: State::Free, waker: None, end: 0, stream: None, buffer: Vec::new() }
    }

    #[inline]
    pub(super) fn release(&mut self, at: u16) {
        self.id = CallId::NONE;
        self.state = State::Free;
        self.stream = None;
        let kept = if at < FIRST_SLOTS { KEPT_LARGE } else { KEPT_SMALL };
        if self.buffer.capacity() > kept {
            self.buffer = Vec::new();
        }
    }
}
