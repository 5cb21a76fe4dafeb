//! A stream of the server's table, and what is known of it.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use arbitrary::Arbitrary;
use rpc_core::stream::{Batch, Closed, Duplex, Next};
use rpc_fuzz::Flow;

/// What happens to a stream that is open.
#[derive(Arbitrary, Debug)]
pub(crate) enum OnStream {
    Data { len: u16, more: bool, compressed: bool },
    End,
    Credit(u32),
    Read { consume: bool },
    StopReading,
    Send { len: u16 },
    Fill { room: u16 },
}

/// A stream that is open, and what is known of it.
pub(crate) struct Streamed {
    pub(crate) duplex: Arc<Duplex>,
    pub(crate) flow: Flow,
    /// Handed to it, and where the table has read on.
    pub(crate) batch: Batch,
    pub(crate) unconsumed: u64,
    /// The handler takes no items.
    pub(crate) deaf: bool,
}

impl Streamed {
    pub(crate) fn poll_ready(&self) -> Poll<Result<(), Closed>> {
        self.duplex.poll_ready(&mut Context::from_waker(Waker::noop()))
    }

    /// Takes what came: that, in its order. Whether the end of it was there.
    pub(crate) fn read(&mut self, over: bool) -> bool {
        loop {
            while let Some((cost, item)) = self.batch.pop() {
                let (expected, price) = self.flow.items.pop_front().expect("it came");
                assert_eq!((item.as_slice(), cost), (&expected[..], price));
                self.unconsumed += cost;
            }
            let mut cx = Context::from_waker(Waker::noop());
            match self.duplex.poll_items(&mut cx, &mut self.batch) {
                Poll::Ready(Next::Items) => {}
                Poll::Ready(Next::End(_)) => {
                    assert!(self.deaf || self.flow.items.is_empty(), "items are missing");
                    assert!(over || self.flow.closed || self.flow.discards, "it goes on");
                    return true;
                }
                Poll::Pending => {
                    assert!(!over && !self.flow.closed, "it has ended");
                    assert!(self.flow.items.is_empty(), "items are missing");
                    return false;
                }
            }
        }
    }

    pub(crate) fn consume(&mut self) {
        let cost = std::mem::take(&mut self.unconsumed);
        self.duplex.consume(cost);
        if !self.deaf {
            self.flow.consume(cost);
        }
    }
}
