//! One stream at a time, as its connection and its halves use it, on bytes.

mod credit;
mod ends;
mod items;
mod memory;
mod shapes;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::hub::Side;
use super::*;
use crate::body::Body;
use crate::call_id::CallId;
use crate::error::ProtocolError;
use crate::frame::{Kind, flags};
use crate::input::Input;
use crate::limits::{Limits, MIN_MAX_FRAME, MIN_WINDOW};
use crate::metadata::Metadata;
use crate::output::Output;

/// The smallest window and the largest item that both sides announce here.
const WINDOW: usize = MIN_WINDOW as usize;
const MAX_ITEM: usize = MIN_MAX_FRAME as usize;

/// What an item costs beside its bytes, and what stands before it.
const ITEM: usize = ITEM_COST as usize;
const HEAD: usize = 4;

/// Credit is given back for this much.
const HALF: usize = WINDOW / 2;

/// A frame that went out: kind, flags, body.
type Sent = (Kind, u8, Vec<u8>);

/// How long a Data frame is that carries items of these lengths.
fn packed<const N: usize>(items: [usize; N]) -> usize {
    items.iter().map(|len| HEAD + len).sum()
}

/// One side of a stream, whose other side is the test.
struct End {
    hub: Arc<Hub>,
    duplex: Arc<Duplex>,
}

impl End {
    fn limits() -> Limits {
        Limits { max_frame: MIN_MAX_FRAME, window: MIN_WINDOW, ..Limits::default() }
    }

    fn hub(side: Side) -> Arc<Hub> {
        Hub::new(side, Self::limits(), Self::limits(), None)
    }

    fn server() -> Self {
        Self::served_by(Self::hub(Side::Server))
    }

    fn served_by(hub: Arc<Hub>) -> Self {
        Self { duplex: Duplex::opened_to_server(CallId::client(1, 0), hub.clone(), true), hub }
    }

    fn client(shape: Shape) -> Self {
        Self::opened_by(Self::hub(Side::Client), shape)
    }

    fn opened_by(hub: Arc<Hub>, shape: Shape) -> Self {
        Self { duplex: Duplex::opened_by_client(CallId::client(1, 0), hub.clone(), shape), hub }
    }

    /// A client of both directions whose server has begun to answer.
    fn answered() -> Self {
        let end = Self::client(Shape::Bidi);
        end.open().unwrap();
        end
    }

    /// The head of the answer comes.
    fn open(&self) -> Result<(), ProtocolError> {
        self.duplex.open(Metadata::EMPTY).map(drop)
    }

    /// The server's End comes.
    fn complete(&self) -> Result<(), ProtocolError> {
        self.duplex.complete(Metadata::EMPTY, &mut Vec::new())
    }

    /// The whole answer comes.
    fn reply(&self, body: &[u8]) {
        self.duplex.reply(Metadata::EMPTY, Body::Borrowed(body), &mut Vec::new());
    }

    /// A Data frame comes.
    fn data(&self, flags: u8, body: &[u8]) -> Result<(), ProtocolError> {
        self.duplex.receive(flags, Body::Borrowed(body)).map(drop)
    }

    /// A whole item comes.
    fn item(&self, body: &[u8]) -> Result<(), ProtocolError> {
        self.data(0, &[&(body.len() as u32).to_be_bytes(), body].concat())
    }

    /// The beginning of an item of `len` bytes comes.
    fn begin(&self, len: usize, part: &[u8]) -> Result<(), ProtocolError> {
        self.data(0, &[&(len as u32).to_be_bytes(), part].concat())
    }

    /// Another part of an item comes.
    fn part(&self, part: &[u8]) -> Result<(), ProtocolError> {
        self.data(0, part)
    }

    fn credit(&self, increment: usize) -> bool {
        self.duplex.add_credit(increment as u32).unwrap().0
    }

    /// Takes all items that have come, and consumes them.
    fn take(&self) -> Vec<Vec<u8>> {
        let (mut batch, mut items) = (Batch::default(), Vec::new());
        let polled = self.duplex.poll_items(&mut Context::from_waker(Waker::noop()), &mut batch);
        assert_eq!(matches!(polled, Poll::Ready(Next::Items)), !batch.is_empty());
        while let Some((len, body)) = batch.pop() {
            items.push(body.as_slice().to_vec());
            self.duplex.consume(1, len as u64);
        }
        items
    }

    /// How the items end, when none is left.
    fn outcome(&self) -> Option<Outcome> {
        match self.duplex.poll_items(&mut Context::from_waker(Waker::noop()), &mut Batch::default()) {
            Poll::Ready(Next::End(outcome)) => Some(outcome),
            Poll::Ready(Next::Items) => panic!("there are items"),
            Poll::Pending => None,
        }
    }

    fn fault(&self) -> Fault {
        match self.outcome() {
            Some(Outcome::Fault(fault)) => fault,
            other => panic!("{other:?}"),
        }
    }

    /// Whether an item may be sent; `None`: never again.
    fn is_ready(&self) -> Option<bool> {
        match self.duplex.poll_credit(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(credit) => credit.ok().map(|_| true),
            Poll::Pending => Some(false),
        }
    }

    /// Sends an item for which there is room.
    fn send(&self, item: &[u8]) {
        assert_eq!(self.is_ready(), Some(true));
        let (mut parcel, large) = Parcel::raw(item);
        self.duplex.send(&mut parcel, large);
    }

    /// What goes out now.
    fn sent(&self) -> Vec<Sent> {
        let mut sent = Vec::new();
        loop {
            let ready = self.hub.take();
            if ready.is_empty() {
                return sent;
            }
            let mut out = Output::default();
            self.hub.fill(ready, &mut out, 1 << 20, &mut Vec::new());
            sent.extend(frames(&out.to_vec(), MIN_MAX_FRAME));
        }
    }

    /// Kinds and increments, or lengths, of what goes out now.
    fn kinds(&self) -> Vec<(Kind, usize)> {
        let number = |kind, body: &[u8]| match kind {
            Kind::Credit => u32::from_be_bytes(body.try_into().unwrap()) as usize,
            _ => body.len(),
        };
        self.sent().iter().map(|(kind, _, body)| (*kind, number(*kind, body))).collect()
    }
}

/// Whole frames, each within a limit.
fn frames(bytes: &[u8], limit: u32) -> Vec<Sent> {
    let (mut input, mut at, mut frames) = (Input::new(limit), 0, Vec::new());
    while let Some(frame) = input.next(bytes, &mut at).expect("frames within the limit") {
        frames.push((frame.kind, frame.flags, frame.body.as_slice().to_vec()));
    }
    assert!(input.is_empty(), "a frame was cut");
    frames
}

fn unexpected(kind: Kind) -> Result<(), ProtocolError> {
    Err(ProtocolError::UnexpectedKind { kind, id: CallId::client(1, 0) })
}

fn over_credit() -> Result<(), ProtocolError> {
    Err(ProtocolError::OverCredit { id: CallId::client(1, 0) })
}

/// A waker that counts.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wakes {
    fn new() -> (Arc<Self>, Waker) {
        let wakes = Arc::<Self>::default();
        (wakes.clone(), wakes.into())
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
