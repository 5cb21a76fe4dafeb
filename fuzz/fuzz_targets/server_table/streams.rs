//! A stream of the server's table, and what is known of it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use arbitrary::Arbitrary;
use bytes::Bytes;
use rpc_core::frame::Kind;
use rpc_core::lane::{Lane, Running};
use rpc_core::limits::MIN_MAX_FRAME;
use rpc_core::stream::{Batch, Duplex, Next};
use rpc_core::{
    Body, CallId, Context as CallContext, Format, Limits, Metadata, Method, Origin, Peer, Status, Stream,
};
use rpc_fuzz::{Flow, ItemLen, Pen, WildData, Wire};

/// What happens to a stream that is open.
#[derive(Arbitrary, Debug)]
pub(crate) enum OnStream {
    Data {
        data: WildData,
        owned: bool,
    },
    End,
    Credit(u32),
    Read {
        consume: bool,
    },
    StopReading,
    Send {
        items: u8,
        len: ItemLen,
    },
    Fill {
        room: u16,
    },
    /// The same frame again and again, for a call that is over.
    Late {
        back: u8,
        end: bool,
        len: u16,
        times: u8,
    },
    /// As much as there is credit for.
    SendRest,
    /// As much credit as that is below 0, or a little more.
    CreditLack {
        over: u8,
    },
}

/// The largest `Bytes` that the client takes: their own length stands before them.
const LARGEST: usize = MIN_MAX_FRAME as usize - 3;

pub(crate) struct Streamed {
    duplex: Arc<Duplex>,
    pub(crate) flow: Flow,
    /// What the client has to send.
    pen: Pen,
    /// Handed to it, and where the table has read on.
    batch: Batch,
    /// Items that were read and not told of, and their bytes.
    unconsumed: (u64, u64),
    /// The handler takes no items.
    deaf: bool,
    /// Nothing was there when it read last, and it left a waker.
    waits: bool,
    handler: Box<dyn Running>,
    feed: Arc<Mutex<Feed>>,
}

/// What a handler answers with.
#[derive(Default)]
struct Feed {
    to_send: VecDeque<usize>,
    sent: Vec<Vec<u8>>,
    credit: i64,
}

struct Items(Arc<Mutex<Feed>>);

/// Makes handlers that send what they are told; what comes to them, they leave to others.
pub(crate) struct Feeder {
    lane: Box<dyn Lane>,
    next: Arc<Mutex<Arc<Mutex<Feed>>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Feeder {
    pub(crate) fn new() -> Self {
        let next = Arc::<Mutex<Arc<Mutex<Feed>>>>::default();
        let feed = next.clone();
        let method = Method::server_stream("S", move |_: CallContext, (): ()| {
            let items = Items(lock(&feed).clone());
            async move { Ok::<_, Status>(items) }
        });
        let origin = Arc::new(Origin::new(Peer::unknown(), Format::Bincode));
        Self { lane: method.lane(origin, "Test.S".into()), next }
    }

    fn handler(&mut self, id: CallId, duplex: Arc<Duplex>) -> (Box<dyn Running>, Arc<Mutex<Feed>>) {
        let feed = Arc::<Mutex<Feed>>::default();
        *lock(&self.next) = feed.clone();
        self.lane.open(id, None, Metadata::EMPTY, Some(duplex));
        self.lane.begin(Body::Borrowed(b"")).expect("no arguments");
        (self.lane.detach(), feed)
    }
}

impl Stream for Items {
    type Item = Result<Bytes, Status>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut feed = lock(&self.0);
        let Some(len) = feed.to_send.pop_front() else { return Poll::Pending };
        let (item, mut encoded) = (Bytes::from(vec![feed.sent.len() as u8; len]), Vec::new());
        Format::Bincode.encode(&item, &mut encoded).expect("bytes");
        // It is asked for items while there is credit, and sends all that it gets.
        assert!(feed.credit > 0, "sent without credit");
        feed.credit -= encoded.len() as i64 + i64::from(rpc_core::stream::ITEM_COST);
        feed.sent.push(encoded);
        Poll::Ready(Some(Ok(item)))
    }
}

impl Streamed {
    pub(crate) fn new(id: CallId, duplex: Arc<Duplex>, limits: Limits, feeder: &mut Feeder) -> Self {
        let flow = Flow::new(limits.window, limits.window, limits.max_frame);
        let (handler, feed) = feeder.handler(id, duplex.clone());
        Self {
            duplex,
            flow,
            pen: Pen::default(),
            batch: Batch::default(),
            unconsumed: (0, 0),
            deaf: false,
            waits: false,
            handler,
            feed,
        }
    }

    /// Does something here, or says what the client does.
    pub(crate) fn step(&mut self, step: OnStream) -> Option<(Kind, u8, Vec<u8>, bool)> {
        match step {
            OnStream::Data { data, owned } => {
                let (flags, body) = self.pen.frame(&data, &self.flow)?;
                return Some((Kind::Data, flags, body, owned));
            }
            OnStream::End => return Some((Kind::End, 0, Vec::new(), false)),
            OnStream::Credit(increment) => {
                return Some((Kind::Credit, 0, increment.to_be_bytes().to_vec(), false));
            }
            OnStream::CreditLack { over } => {
                let increment = self.flow.lack(over % 4);
                return Some((Kind::Credit, 0, increment.to_be_bytes().to_vec(), false));
            }
            OnStream::Read { consume } => {
                self.read(false);
                if consume {
                    let (items, bytes) = std::mem::take(&mut self.unconsumed);
                    self.duplex.consume(items, bytes);
                    self.flow.consume(items, bytes);
                }
            }
            OnStream::StopReading => {
                self.deaf = true;
                self.flow.discards = true;
                self.flow.items.clear();
                self.batch = Batch::default();
                self.duplex.stop_reading();
            }
            OnStream::Send { items, len } => self.send(items % 32, len.bytes().min(LARGEST)),
            OnStream::SendRest => self.send(1, self.flow.rest()),
            OnStream::Fill { .. } | OnStream::Late { .. } => {}
        }
        None
    }

    fn send(&mut self, items: u8, len: usize) {
        let mut feed = lock(&self.feed);
        feed.to_send.extend((0..items).map(|_| len));
        feed.credit = self.flow.credit;
        drop(feed);
        assert!(self.handler.poll(&mut Context::from_waker(Waker::noop())).is_pending());
        self.flow.credit = lock(&self.feed).credit;
    }

    /// The call is over: its handler is asked for nothing more.
    pub(crate) fn end(&mut self) {
        let mut feed = lock(&self.feed);
        feed.to_send.push_back(0);
        let waiting = feed.to_send.len();
        drop(feed);
        assert!(self.handler.poll(&mut Context::from_waker(Waker::noop())).is_ready());
        assert_eq!(lock(&self.feed).to_send.len(), waiting, "an item was taken for nobody");
    }

    /// Its frames are right.
    pub(crate) fn check_wire(&self, id: CallId, wire: &Wire) {
        wire.check(id, &lock(&self.feed).sent, self.flow.given);
    }

    /// Whoever reads has to be told of what came.
    pub(crate) fn is_to_wake(&mut self) -> bool {
        let wakes = self.waits && (!self.flow.items.is_empty() || self.flow.closed || self.flow.faulty);
        self.waits &= !wakes;
        wakes
    }

    /// Takes what came: that, in its order. Whether the end of it was there.
    pub(crate) fn read(&mut self, over: bool) -> bool {
        loop {
            while let Some((len, item)) = self.batch.pop() {
                self.flow.take(len, item.as_slice());
                self.unconsumed.0 += 1;
                self.unconsumed.1 += len as u64;
            }
            self.waits = false;
            let mut cx = Context::from_waker(Waker::noop());
            match self.duplex.poll_items(&mut cx, &mut self.batch) {
                Poll::Ready(Next::Items) => {}
                Poll::Ready(Next::End(_)) => {
                    assert!(self.deaf || self.flow.is_read(), "items are missing");
                    assert!(over || self.flow.closed || self.flow.faulty, "it goes on");
                    return true;
                }
                Poll::Pending => {
                    assert!(!over && !self.flow.closed && !self.flow.faulty, "it has ended");
                    assert!(self.flow.is_read(), "items are missing");
                    self.waits = true;
                    return false;
                }
            }
        }
    }
}
