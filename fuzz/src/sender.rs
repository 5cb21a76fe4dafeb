use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use rpc_core::format::DecodeError;
use rpc_core::stream::{Duplex, Outcome};
use rpc_core::streaming::{Ending, Opened, StreamShape};
use rpc_core::{BidiStream, Format, SendError, Sender, Streaming};

/// A client's sending half, and the other one, which must not be dropped before: nobody asks it for items.
#[derive(Debug)]
pub struct Sent {
    sender: Option<Sender<Bytes>>,
    _rest: Streaming<(), ()>,
}

/// The sending half of a client's stream.
#[must_use]
pub fn sender(duplex: Arc<Duplex>) -> Sent {
    let opened = Opened { format: Format::Bincode, duplex, ending: Box::new(Never), keep: Arc::new(()) };
    let (sender, _rest) = BidiStream::<Bytes, ()>::made(opened);
    Sent { sender: Some(sender), _rest }
}

impl Sent {
    /// Asks whether an item may be sent now, and sends it then; `None` after the last.
    pub fn send(&mut self, item: Bytes) -> Option<Poll<Result<(), SendError>>> {
        let sender = self.sender.as_mut()?;
        let future = pin!(sender.send(item));
        Some(future.poll(&mut Context::from_waker(Waker::noop())))
    }

    /// Those were all.
    pub fn finish(&mut self) {
        self.sender.take().into_iter().for_each(Sender::finish);
    }
}

struct Never;

impl Ending for Never {
    type Error = ();

    fn ended(&mut self, _: Outcome) -> Option<()> {
        None
    }

    fn undecodable(&mut self, _: DecodeError) {}
}
