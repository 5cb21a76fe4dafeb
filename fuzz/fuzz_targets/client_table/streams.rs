//! A stream of the client's table, and what is known of it.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use arbitrary::Arbitrary;
use bytes::Bytes;
use rpc_core::Limits;
use rpc_core::frame::{Frame, Kind, flags};
use rpc_core::stream::{Batch, Duplex, Next, Shape};
use rpc_core::{CallId, Format, SendError};
use rpc_fuzz::{Flow, Pen, Sent, Verdict, WildData, Wire, sender};

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
        data: WildData,
        owned: bool,
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
    /// As much as there is credit for.
    SendRest,
    /// As much credit as that is below 0, or a little more.
    CreditLack {
        over: u8,
    },
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
    /// Items that were read and not told of, and their bytes.
    unconsumed: (u64, u64),
    /// What the server has to send.
    pen: Pen,
    sender: Sent,
    sent: Vec<Vec<u8>>,
    /// Nothing was there when it read last, and it left a waker.
    waits: bool,
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
        let sender = sender(duplex.clone());
        Self {
            duplex,
            shape,
            flow: Flow::new(own.window, peer.window, own.max_frame),
            batch: Batch::default(),
            unconsumed: (0, 0),
            pen: Pen::default(),
            sender,
            sent: Vec::new(),
            waits: false,
            opened: false,
            finished: !shape.sends(),
            over: false,
            deaf: false,
        }
    }

    /// Does something here, or says what the server does.
    pub(crate) fn step(&mut self, step: OnStream) -> Option<(Kind, u8, Vec<u8>, bool)> {
        let (kind, flags, body) = match step {
            OnStream::Head => (Kind::Response, flags::MORE, Vec::new()),
            OnStream::Data { data, owned } => {
                let (flags, body) = self.pen.frame(&data, &self.flow)?;
                return Some((Kind::Data, flags, body, owned));
            }
            OnStream::End => (Kind::End, 0, b"\0\0\0\0\0\0".to_vec()),
            OnStream::Credit(increment) => (Kind::Credit, 0, increment.to_be_bytes().to_vec()),
            OnStream::CreditLack { over } => {
                (Kind::Credit, 0, self.flow.lack(over % 4).to_be_bytes().to_vec())
            }
            OnStream::Reply { len } => (Kind::Response, 0, vec![len; len.into()]),
            step => {
                self.here(&step);
                return None;
            }
        };
        Some((kind, flags, body, false))
    }

    fn here(&mut self, step: &OnStream) {
        match *step {
            OnStream::Read { consume } => {
                self.read();
                if consume {
                    let (items, bytes) = std::mem::take(&mut self.unconsumed);
                    self.duplex.consume(items, bytes);
                    self.flow.consume(items, bytes);
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
            OnStream::Send { len } => self.send(len.into()),
            OnStream::SendRest => self.send(self.flow.rest()),
            OnStream::Finish => {
                self.finished = true;
                self.sender.finish();
            }
            _ => {}
        }
    }

    fn send(&mut self, len: usize) {
        let (item, mut encoded) = (Bytes::from(vec![self.sent.len() as u8; len]), Vec::new());
        Format::Bincode.encode(&item, &mut encoded).expect("bytes");
        match self.sender.send(item) {
            None => assert!(self.finished),
            Some(Poll::Pending) => assert!(!self.over && !self.finished),
            Some(Poll::Ready(Err(SendError::TooLarge { len, limit }))) => {
                assert!(len == encoded.len() && len > limit as usize);
            }
            Some(Poll::Ready(Err(_))) => assert!(self.over || self.finished),
            Some(Poll::Ready(Ok(()))) => {
                assert!(!self.over && !self.finished);
                self.flow.spend(encoded.len());
                self.sent.push(encoded);
            }
        }
    }

    /// Its frames are right.
    pub(crate) fn check_wire(&self, id: CallId, wire: &Wire) {
        wire.check(id, &self.sent, self.flow.given);
    }

    /// Whoever reads has to be told of what came.
    pub(crate) fn is_to_wake(&mut self) -> bool {
        let wakes = self.waits && !self.flow.items.is_empty();
        self.waits &= !wakes;
        wakes
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
                // Who reads is woken, and has nothing to read yet.
                self.waits = false;
                if !self.shape.answers() {
                    self.give_up();
                }
                (!has_metadata).then_some(Verdict::Fine)
            }
            Kind::Response => (!has_metadata).then_some(Verdict::Fine),
            Kind::Data if !self.opened => Some(Verdict::Breach),
            Kind::Data => {
                let verdict = self.flow.receive(frame, usize::MAX);
                if self.flow.discards {
                    self.over = true;
                }
                Some(verdict)
            }
            Kind::End if has_metadata => None,
            Kind::End if !self.opened => Some(Verdict::Breach),
            Kind::End | Kind::Credit => Some(self.flow.receive(frame, usize::MAX)),
            Kind::Request | Kind::Cancel => Some(Verdict::Breach),
            _ => None,
        }
    }

    /// The server's last word on it came.
    pub(crate) fn ended(&mut self, kind: Kind, body: &[u8], flags: u8) {
        self.over = true;
        if kind == Kind::Response && !self.shape.answers() && !self.flow.discards {
            match flags & flags::METADATA {
                0 => self.flow.items.push_back(body.to_vec()),
                // What stands behind the metadata is its own business.
                _ => self.deaf = true,
            }
        }
        self.flow.discards = true;
    }

    /// Takes what came: that, in its order. Whether the end of it was there.
    pub(crate) fn read(&mut self) -> bool {
        loop {
            while let Some((len, item)) = self.batch.pop() {
                if !self.deaf {
                    self.flow.take(len, item.as_slice());
                }
                self.unconsumed.0 += 1;
                self.unconsumed.1 += len as u64;
            }
            self.waits = false;
            match self.duplex.poll_items(&mut Context::from_waker(Waker::noop()), &mut self.batch) {
                Poll::Ready(Next::Items) => {}
                Poll::Ready(Next::End(_)) => {
                    assert!(self.deaf || self.flow.is_read(), "items are missing");
                    assert!(self.over, "it goes on");
                    return true;
                }
                Poll::Pending => {
                    assert!(!self.over, "it has ended");
                    self.waits = true;
                    assert!(self.flow.is_read(), "items are missing");
                    return false;
                }
            }
        }
    }
}
