//! Streams between the two tables: real halves at both ends, and handlers that do what they are told.

mod feed;

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use arbitrary::Arbitrary;
use bytes::Bytes;
use rpc_core::lane::{Lane, Running};
use rpc_core::output::Output;
use rpc_core::server;
use rpc_core::stream::{Batch, Duplex, Hub, Next, Outcome, Shape, Side};
use rpc_core::{
    Body, CallId, Context as CallContext, Executed, Format, Limits, Metadata, Method, Origin, Peer, Status,
    Stream, Streaming,
};
use rpc_fuzz::{Sent, sender};

/// Everything is read and written in so many rounds, or never.
const ROUNDS: usize = 20_000;

#[derive(Arbitrary, Debug)]
pub(crate) enum Step {
    Open { shape: u8 },
    Send { which: u8, len: Len },
    Finish(u8),
    GiveUp(u8),
    Take { which: u8, most: u8, consume: bool },
    StopReading(u8),
    Produce { which: u8, items: u8, len: Len },
    HandlerTakes { which: u8, most: u8 },
    HandlerDropsInput(u8),
    HandlerEnds { which: u8, fails: bool },
    Run,
    Fill { client: bool, room: u16 },
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) struct Len(u8, u8);

impl Len {
    fn bytes(self) -> usize {
        let some = usize::from(self.1);
        match self.0 % 8 {
            0 => 0,
            1..5 => some,
            5 => some * 20,
            // About the size of a part, or where items begin to go by themselves.
            6 if some < 128 => 65_520 + some % 32,
            6 => 16_370 + some % 32,
            _ => 70_000 + some * 500,
        }
    }
}

/// A stream, as its caller sees it.
struct Caller {
    shape: Shape,
    duplex: Arc<Duplex>,
    batch: Batch,
    sender: Sent,
    /// Items that were taken and not told of, and their bytes.
    unconsumed: (u64, u64),
    sent: Vec<usize>,
    finished: bool,
    given_up: bool,
    taken: usize,
    answer: Option<u32>,
    ended: bool,
}

/// A stream, as its handler sees it, and what the handler is to do next.
#[derive(Default)]
struct Handler {
    may_take: usize,
    drops_input: bool,
    taken: usize,
    input_ended: Option<bool>,
    to_send: VecDeque<usize>,
    sent: Vec<usize>,
    ends: Option<Result<(), ()>>,
    ended: Option<Result<(), ()>>,
}

type Handlers = Arc<Mutex<BTreeMap<CallId, Handler>>>;

fn lock(handlers: &Handlers) -> MutexGuard<'_, BTreeMap<CallId, Handler>> {
    handlers.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) struct Streams {
    callers: BTreeMap<CallId, Caller>,
    handlers: Handlers,
    running: BTreeMap<CallId, Box<dyn Running>>,
    lanes: [Box<dyn Lane>; 3],
    pub(crate) server_hub: Arc<Hub>,
}

fn body(id: CallId, up: bool, index: usize, len: usize) -> Bytes {
    let salt = id.counter() as usize * 7 + usize::from(up) * 3 + index * 11;
    let mut bytes = vec![0; len];
    // By the piece: each comparison of a loop is traced, and bodies are most of what there is to do here.
    bytes.chunks_mut(255).enumerate().for_each(|(at, piece)| piece.fill((salt + at) as u8));
    bytes.into()
}

impl Streams {
    pub(crate) fn new(server: Limits, client: Limits) -> Self {
        let handlers = Handlers::default();
        let origin = Arc::new(Origin::new(Peer::unknown(), Format::Bincode));
        let [for_server, for_client, for_both] = [(); 3].map(|()| handlers.clone());
        let methods = [
            Method::server_stream("S0", move |cx: CallContext, (): ()| {
                let feed = Feed { id: cx.id(), handlers: for_server.clone(), input: None };
                async move { Ok::<_, Status>(feed) }
            }),
            Method::client_stream("S1", move |cx: CallContext, (): (), items: Streaming<Bytes>| {
                let mut feed = Feed { id: cx.id(), handlers: for_client.clone(), input: Some(items) };
                std::future::poll_fn(move |cx| feed.poll_answer(cx))
            }),
            Method::bidi_stream("S2", move |cx: CallContext, (): (), items: Streaming<Bytes>| {
                let feed = Feed { id: cx.id(), handlers: for_both.clone(), input: Some(items) };
                async move { Ok::<_, Status>(feed) }
            }),
        ];
        let lanes = methods.map(|method| method.lane(origin.clone(), method.name().into()));
        let server_hub = Hub::new(Side::Server, server, client, None);
        Self { callers: BTreeMap::new(), handlers, running: BTreeMap::new(), lanes, server_hub }
    }

    pub(crate) fn shape(which: u8) -> Shape {
        [Shape::Server, Shape::Client, Shape::Bidi][usize::from(which) % 3]
    }

    pub(crate) fn opened(&mut self, id: CallId, shape: Shape, duplex: Arc<Duplex>) {
        let caller = Caller {
            shape,
            sender: sender(duplex.clone()),
            duplex,
            batch: Batch::default(),
            unconsumed: (0, 0),
            sent: Vec::new(),
            finished: false,
            given_up: false,
            taken: 0,
            answer: None,
            ended: false,
        };
        assert!(self.callers.insert(id, caller).is_none());
    }

    pub(crate) fn running(&self) -> usize {
        self.running.len()
    }

    pub(crate) fn is_running(&self, id: CallId) -> bool {
        self.running.contains_key(&id)
    }

    /// The server admitted a stream of that method.
    pub(crate) fn begin(&mut self, id: CallId, method: usize, duplex: Arc<Duplex>) {
        let lane = &mut self.lanes[method];
        lane.open(id, None, Metadata::EMPTY, Some(duplex));
        lock(&self.handlers).insert(id, Handler::default());
        lane.begin(Body::Borrowed(b"")).expect("no arguments");
        self.running.insert(id, lane.detach());
    }

    /// A handler is dropped, and its call answered.
    pub(crate) fn cancel(&mut self, id: CallId, calls: &mut server::Calls, out: &mut Output) {
        if let Some(mut running) = self.running.remove(&id) {
            running.fail(Status::cancelled("given up"));
            running.reply(u32::MAX, out);
            calls.end(id);
        }
    }

    /// Polls all handlers; those that have ended are answered.
    pub(crate) fn run(&mut self, calls: &mut server::Calls, out: &mut Output) {
        let mut cx = Context::from_waker(Waker::noop());
        self.running.retain(|id, running| {
            let ended = running.poll(&mut cx).is_ready();
            if ended {
                running.reply(u32::MAX, out);
                calls.end(*id);
            }
            !ended
        });
    }

    /// What the two ends do; the rest is the tables' business.
    pub(crate) fn step(&mut self, step: Step) {
        match step {
            Step::Send { which, len } => self.send(which, len.bytes()),
            Step::Finish(which) => {
                if let Some((_, caller)) = pick(&mut self.callers, which) {
                    caller.finish();
                }
            }
            Step::GiveUp(which) => {
                if let Some((_, caller)) = pick(&mut self.callers, which) {
                    caller.given_up = true;
                    caller.duplex.give_up();
                }
            }
            Step::StopReading(which) => {
                if let Some((_, caller)) = pick(&mut self.callers, which) {
                    caller.given_up = true;
                    caller.batch = Batch::default();
                    caller.duplex.stop_reading();
                }
            }
            Step::Take { which, most, consume } => {
                if let Some((id, caller)) = pick(&mut self.callers, which) {
                    caller.take(*id, usize::from(most) + 1, consume, &self.handlers);
                }
            }
            Step::Produce { which, items, len } => {
                let items = (0..=items % 32).map(|_| len.bytes());
                self.handler(which, |it| it.to_send.extend(items));
            }
            Step::HandlerTakes { which, most } => self.handler(which, |it| it.may_take += usize::from(most)),
            Step::HandlerDropsInput(which) => self.handler(which, |it| it.drops_input = true),
            Step::HandlerEnds { which, fails } => {
                self.handler(which, |it| _ = it.ends.get_or_insert(if fails { Err(()) } else { Ok(()) }));
            }
            Step::Open { .. } | Step::Run | Step::Fill { .. } => {}
        }
    }

    fn handler(&mut self, which: u8, tell: impl FnOnce(&mut Handler)) {
        let ids: Vec<_> = self.running.keys().copied().collect();
        if let Some(id) = ids.get(usize::from(which) % ids.len().max(1)) {
            tell(lock(&self.handlers).get_mut(id).expect("it has begun"));
        }
    }

    fn send(&mut self, which: u8, len: usize) {
        let Some((id, caller)) = pick(&mut self.callers, which) else { return };
        match caller.sender.send(body(*id, true, caller.sent.len(), len)) {
            None => assert!(caller.finished),
            Some(Poll::Pending) => assert!(!caller.finished && !caller.given_up && !caller.ended),
            Some(Poll::Ready(Err(_))) => {}
            Some(Poll::Ready(Ok(()))) => {
                assert!(caller.shape.sends() && !caller.finished && !caller.given_up && !caller.ended);
                caller.sent.push(len);
            }
        }
    }

    /// One round of letting everything end; whether all has.
    pub(crate) fn wind_up(&mut self) -> bool {
        for (id, caller) in &mut self.callers {
            caller.finish();
            caller.take(*id, usize::MAX, true, &self.handlers);
        }
        for handler in lock(&self.handlers).values_mut() {
            handler.may_take = usize::MAX;
            handler.ends.get_or_insert(Ok(()));
        }
        self.running.is_empty() && self.callers.values().all(|caller| caller.ended)
    }

    /// Those that run though their callers gave them up.
    pub(crate) fn orphans(&self) -> Vec<CallId> {
        self.running.keys().copied().filter(|id| self.callers[id].given_up).collect()
    }

    pub(crate) fn rounds() -> std::ops::Range<usize> {
        0..ROUNDS
    }

    /// What both ends know of each stream in the end. `gone`: its connection was broken off.
    pub(crate) fn judge(&mut self, gone: bool) {
        let handlers = lock(&self.handlers);
        for (id, caller) in &self.callers {
            assert!(caller.ended, "{id} has not ended for its caller");
            let Some(handler) = handlers.get(id) else {
                assert!(caller.taken == 0 && caller.answer.is_none(), "{id} never began");
                continue;
            };
            assert!(handler.taken <= caller.sent.len() && caller.taken <= handler.sent.len());
            if handler.input_ended == Some(true) {
                assert!(caller.finished && handler.taken == caller.sent.len(), "{id}: items are missing");
            }
            if !gone && !caller.given_up && handler.input_ended == Some(false) {
                panic!("{id}: its input failed for no reason");
            }
        }
    }

    /// Takes what is left, after the connection was broken off.
    pub(crate) fn take_all(&mut self) {
        for (id, caller) in &mut self.callers {
            caller.take(*id, usize::MAX, false, &self.handlers);
        }
    }
}

fn pick(callers: &mut BTreeMap<CallId, Caller>, which: u8) -> Option<(&CallId, &mut Caller)> {
    let at = usize::from(which) % callers.len().max(1);
    callers.iter_mut().nth(at)
}

impl Caller {
    fn finish(&mut self) {
        if self.shape.sends() && !self.given_up {
            self.finished = true;
            self.sender.finish();
        }
    }

    fn take(&mut self, id: CallId, most: usize, consume: bool, handlers: &Handlers) {
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..most {
            if let Some((len, item)) = self.batch.pop() {
                assert!(!self.ended, "{id}: an item came after the end");
                self.unconsumed.0 += 1;
                self.unconsumed.1 += len as u64;
                let handlers = lock(handlers);
                let handler = &handlers[&id];
                if self.shape.answers() {
                    let len = *handler.sent.get(self.taken).expect("it was sent");
                    let item: Bytes = Format::Bincode.decode(item).expect("bytes");
                    assert_eq!(
                        item,
                        body(id, false, self.taken, len),
                        "{id}: item {} is another",
                        self.taken
                    );
                    self.taken += 1;
                } else {
                    let answer = Format::Bincode.decode(item).expect("a number");
                    assert!(self.answer.replace(answer).is_none(), "{id} was answered twice");
                    assert_eq!(answer as usize, handler.taken);
                }
                continue;
            }
            match self.duplex.poll_items(&mut cx, &mut self.batch) {
                Poll::Pending => {
                    assert!(!self.ended, "{id} has ended before");
                    break;
                }
                Poll::Ready(Next::Items) => {}
                Poll::Ready(Next::End(outcome)) => {
                    self.end(id, &outcome, handlers);
                    break;
                }
            }
        }
        if consume {
            let (items, bytes) = std::mem::take(&mut self.unconsumed);
            self.duplex.consume(items, bytes);
        }
    }

    fn end(&mut self, id: CallId, outcome: &Outcome, handlers: &Handlers) {
        self.ended = true;
        let handlers = lock(handlers);
        let handler = handlers.get(&id);
        match outcome {
            Outcome::Complete if self.given_up => {}
            Outcome::Complete => {
                let handler = handler.expect("it has ended");
                assert_eq!(handler.ended, Some(Ok(())), "{id} is complete");
                assert_eq!(self.taken, handler.sent.len(), "{id}: items are missing");
                assert_eq!(self.answer.is_some(), !self.shape.answers());
            }
            Outcome::Status(status) if status.executed() == Executed::No => assert!(handler.is_none()),
            Outcome::Status(_) if self.given_up => {}
            Outcome::Status(status) => {
                let handler = handler.expect("it has ended");
                assert_eq!(handler.ended, Some(Err(())), "{id}: {status}");
                assert_eq!(self.taken, handler.sent.len(), "{id}: items before the error are missing");
            }
            Outcome::GivenUp => assert!(self.given_up),
            Outcome::Lost(Executed::No) => assert!(handler.is_none(), "{id} ran"),
            Outcome::Lost(_) => {}
            Outcome::Expired | Outcome::Fault(_) => panic!("{id} ended with {outcome:?}"),
        }
    }
}

/// What a handler does: takes items, then sends some.
struct Feed {
    id: CallId,
    handlers: Handlers,
    input: Option<Streaming<Bytes>>,
}
