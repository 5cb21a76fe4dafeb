//! A stream of the client's table, and what is known of it.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use arbitrary::Arbitrary;
use rpc_core::Limits;
use rpc_core::frame::{Frame, Kind, flags};
use rpc_core::stream::{Batch, Duplex, FRAME_COST, Next, Shape};
use rpc_fuzz::{Flow, Verdict};

/// What happens to a stream that is open.
#[derive(Arbitrary, Debug)]
pub(crate) enum OnStream {
    Open {
        shape: u8,
        deadline: Option<u8>,
    },
    Fill {
        room: u16,
    },
    /// The server begins to answer with items.
    Head,
    Data {
        len: u16,
        more: bool,
        compressed: bool,
    },
    End,
    Credit(u32),
    /// The server answers with one value.
    Reply {
        len: u8,
    },
    Read {
        consume: bool,
    },
    StopReading,
    GiveUp,
    Send {
        len: u16,
    },
    Finish,
}

pub(crate) fn shape(which: u8) -> Shape {
    [Shape::Server, Shape::Client, Shape::Bidi][usize::from(which) % 3]
}

#[derive(Debug)]
pub(crate) struct Streamed {
    duplex: Arc<Duplex>,
    shape: Shape,
    flow: Flow,
    batch: Batch,
    unconsumed: u64,
    /// The server has begun to answer with items.
    opened: bool,
    /// No more is sent.
    finished: bool,
    /// The call is over here, whatever the server says.
    pub(crate) over: bool,
    /// Nobody reads.
    deaf: bool,
}

impl Streamed {
    pub(crate) fn new(duplex: Arc<Duplex>, shape: Shape, own: Limits, peer: Limits) -> Self {
        Self {
            duplex,
            shape,
            flow: Flow::new(own.window, peer.window, own.max_frame),
            batch: Batch::default(),
            unconsumed: 0,
            opened: false,
            finished: !shape.sends(),
            over: false,
            deaf: false,
        }
    }

    /// Does something here, or says what the server does.
    pub(crate) fn step(&mut self, step: OnStream) -> Option<(Kind, u8, Vec<u8>)> {
        Some(match step {
            OnStream::Head => (Kind::Response, flags::MORE, Vec::new()),
            OnStream::Data { len, more, compressed } => {
                let compressed = if compressed && len % 8 == 0 { flags::COMPRESSED } else { 0 };
                let flags = if more { flags::MORE } else { 0 } | compressed;
                (Kind::Data, flags, vec![len as u8; usize::from(len) % 12_000])
            }
            OnStream::End => (Kind::End, 0, b"\0\0\0\0\0\0".to_vec()),
            OnStream::Credit(increment) => (Kind::Credit, 0, increment.to_be_bytes().to_vec()),
            OnStream::Reply { len } => (Kind::Response, 0, vec![len; len.into()]),
            step => {
                self.here(&step);
                return None;
            }
        })
    }

    fn here(&mut self, step: &OnStream) {
        match *step {
            OnStream::Read { consume } => {
                self.read();
                if consume {
                    let cost = std::mem::take(&mut self.unconsumed);
                    self.duplex.consume(cost);
                    if !self.deaf {
                        self.flow.consume(cost);
                    }
                }
            }
            OnStream::StopReading => {
                self.deaf = true;
                self.flow.items.clear();
                self.batch = Batch::default();
                self.duplex.stop_reading();
                self.give_up();
            }
            OnStream::GiveUp => {
                self.duplex.give_up();
                self.give_up();
            }
            OnStream::Send { len } => match self.duplex.poll_ready(&mut Context::from_waker(Waker::noop())) {
                Poll::Pending => assert!(!self.over && !self.finished),
                Poll::Ready(Err(_)) => assert!(self.over || self.finished),
                Poll::Ready(Ok(())) => {
                    assert!(!self.over && !self.finished && self.flow.credit > 0, "sent without credit");
                    self.duplex.send(&mut vec![1; len.into()], None).expect("it was ready");
                    self.flow.credit -= i64::from(len) + i64::from(FRAME_COST);
                }
            },
            OnStream::Finish => {
                self.finished = true;
                self.duplex.finish();
            }
            _ => {}
        }
    }

    fn give_up(&mut self) {
        self.over = true;
        self.flow.discards = true;
    }

    /// Its time is up.
    pub(crate) fn expired(&mut self) {
        self.give_up();
    }

    /// A frame for it: what becomes of it, where that is known without a look into its metadata.
    pub(crate) fn receive(&mut self, frame: &Frame<'_>) -> Option<Verdict> {
        let has_metadata = frame.flags & flags::METADATA != 0;
        match frame.kind {
            Kind::Response if frame.flags & flags::COMPRESSED != 0 => Some(Verdict::Breach),
            Kind::Response if frame.flags & flags::MORE != 0 => {
                if self.opened {
                    return Some(Verdict::Breach);
                }
                // If its metadata is none, the connection is over.
                self.opened = true;
                if !self.shape.answers() {
                    self.give_up();
                }
                (!has_metadata).then_some(Verdict::Fine)
            }
            Kind::Response => (!has_metadata).then_some(Verdict::Fine),
            Kind::Data if !self.opened => Some(Verdict::Breach),
            Kind::Data => {
                let verdict = self.flow.receive(frame);
                if self.flow.discards {
                    self.over = true;
                }
                Some(verdict)
            }
            Kind::End if has_metadata => None,
            Kind::End if !self.opened => Some(Verdict::Breach),
            Kind::End | Kind::Credit => Some(self.flow.receive(frame)),
            Kind::Request | Kind::Cancel => Some(Verdict::Breach),
            _ => None,
        }
    }

    /// The server's last word on it came.
    pub(crate) fn ended(&mut self, kind: Kind, body: &[u8], flags: u8) {
        self.over = true;
        if kind == Kind::Response && !self.shape.answers() && !self.flow.discards {
            match flags & flags::METADATA {
                0 => self.flow.items.push_back((body.to_vec(), 0)),
                // What stands behind the metadata is its own business.
                _ => self.deaf = true,
            }
        }
        self.flow.discards = true;
    }

    /// Takes what came: that, in its order. Whether the end of it was there.
    pub(crate) fn read(&mut self) -> bool {
        loop {
            while let Some((cost, item)) = self.batch.pop() {
                if !self.deaf {
                    let (expected, price) = self.flow.items.pop_front().expect("it came");
                    assert_eq!((item.as_slice(), cost), (&expected[..], price));
                }
                self.unconsumed += cost;
            }
            match self.duplex.poll_items(&mut Context::from_waker(Waker::noop()), &mut self.batch) {
                Poll::Ready(Next::Items) => {}
                Poll::Ready(Next::End(_)) => {
                    assert!(self.deaf || self.flow.items.is_empty(), "items are missing");
                    assert!(self.over, "it goes on");
                    return true;
                }
                Poll::Pending => {
                    assert!(!self.over, "it has ended");
                    assert!(self.flow.items.is_empty(), "items are missing");
                    return false;
                }
            }
        }
    }
}
