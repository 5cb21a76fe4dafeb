//! The hot path does not allocate: counted, on both sides of the protocol.

// A global allocator is `unsafe` by its trait, and there is no other way to count what others
// allocate. It only counts, and hands everything on.
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, missing_docs)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::task::{Context as Task, Poll, Waker};
use std::time::Instant;

use rpc_core::client::{self, Outcome, RequestHead};
use rpc_core::frame::Kind;
use rpc_core::input::Input;
use rpc_core::lane::Lane;
use rpc_core::output::Output;
use rpc_core::server::{self, Admission, Event};
use rpc_core::{CallId, Context, Format, Limits, Metadata, Method, Origin, Peer, Status, message};
use serde::{Deserialize, Serialize};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

impl Counting {
    fn count() {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
    }
}

// SAFETY: every method passes its arguments to `System` unchanged and returns what it returns.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(old, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The allocations of this thread while `run` runs.
fn allocations(run: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    run();
    ALLOCATIONS.get() - before
}

const CALLS: usize = 10_000;
const IN_FLIGHT: usize = 64;

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Args {
    a: i64,
    b: i64,
}

#[test]
fn the_allocator_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

struct Served {
    calls: server::Calls,
    lane: Box<dyn Lane>,
    input: Input,
    out: Output,
    answered: usize,
}

impl Served {
    fn serve(&mut self, bytes: &[u8], now: Instant) {
        // A length that cuts most chunks in the middle of a frame.
        for chunk in bytes.chunks(1009) {
            let mut at = 0;
            while let Some(frame) = self.input.next(chunk, &mut at).unwrap() {
                let Event::Request(request) = self.calls.receive(frame, now).unwrap() else { panic!() };
                assert_eq!(request.admission, Admission::Admitted);
                assert!(matches!(request.method, message::Method::Known(1) | message::Method::New { .. }));
                self.lane.open(request.id, None, request.metadata, None);
                self.lane.begin(request.body).unwrap();
                assert!(self.lane.poll(&mut Task::from_waker(Waker::noop())).is_ready());
                assert_eq!(self.lane.reply(u32::MAX, &mut self.out).code, None);
                self.calls.end(CallId::NONE);
                self.answered += 1;
            }
            self.out.advance(self.out.len());
        }
    }
}

#[test]
fn ten_thousand_calls_through_the_server_allocate_nothing() {
    let limits = Limits { max_calls: 1 << 16, ..Limits::default() };
    let mut requests = Output::default();
    let mut client = client::Calls::new(limits, Limits::default());
    let mut request = |count: usize| {
        let mut body = Vec::new();
        Format::Bincode.encode(&Args { a: 7, b: 8 }, &mut body).unwrap();
        for _ in 0..count {
            let head = RequestHead {
                method: "Arith.Multiply",
                time_left: None,
                metadata: &Metadata::EMPTY,
                stream: None,
            };
            client.open(head, &body, None, None, &mut requests, 0).unwrap();
        }
        let bytes = requests.to_vec();
        requests.advance(bytes.len());
        bytes
    };
    let (warm_up, steady) = (request(1000), request(CALLS));

    let origin = Arc::new(Origin::new(Peer::unknown(), Format::Bincode));
    let multiply = |_cx: Context, args: Args| async move { Ok::<_, Status>(args.a * args.b) };
    let mut served = Served {
        calls: server::Calls::new(limits),
        lane: Method::new("Multiply", multiply).lane(origin, "Arith.Multiply".into()),
        input: Input::new(limits.max_frame),
        out: Output::default(),
        answered: 0,
    };
    let now = Instant::now();
    served.serve(&warm_up, now);
    assert_eq!(allocations(|| served.serve(&steady, now)), 0);
    assert_eq!(served.answered, 1000 + CALLS);
}

struct Calling {
    calls: client::Calls,
    input: Input,
    out: Output,
    answers: Output,
    args: Vec<u8>,
    result: Vec<u8>,
    woken: Vec<Waker>,
    waker: Waker,
    sent: u64,
    ids: [CallId; IN_FLIGHT],
}

impl Calling {
    /// As many calls at once as there are ids, of two methods by turns; the answers come in the opposite order.
    fn round(&mut self, now: Instant) {
        for (at, id) in self.ids.iter_mut().enumerate() {
            let method = ["Arith.Multiply", "Arith.Divide"][at % 2];
            self.args.clear();
            Format::Bincode.encode(&Args { a: 7, b: 8 }, &mut self.args).unwrap();
            let head = RequestHead { method, time_left: None, metadata: &Metadata::EMPTY, stream: None };
            *id = self.calls.open(head, &self.args, None, None, &mut self.out, self.sent).unwrap();
            assert!(self.calls.poll(*id, &self.waker, &mut self.result, &mut None).is_pending());
        }
        self.sent += self.out.len() as u64;
        self.out.advance(self.out.len());
        for id in self.ids.iter().rev() {
            self.answers.put(Kind::Response, 0, *id, &[112]);
        }
        let mut at = 0;
        let answers = self.answers.single().unwrap();
        while let Some(frame) = self.input.next(answers, &mut at).unwrap() {
            self.calls.receive(frame, now, &mut self.woken).unwrap();
        }
        self.answers.advance(self.answers.len());
        self.woken.drain(..).for_each(Waker::wake);
        for id in self.ids {
            let outcome = self.calls.poll(id, &self.waker, &mut self.result, &mut None);
            assert!(matches!(outcome, Poll::Ready(Outcome::Response { large: None, .. })));
            assert_eq!(self.result, [112]);
        }
    }
}

#[test]
fn ten_thousand_calls_through_the_client_allocate_nothing() {
    struct Woken;
    impl std::task::Wake for Woken {
        fn wake(self: Arc<Self>) {}
    }
    let mut calling = Calling {
        calls: client::Calls::new(Limits::default(), Limits::default()),
        input: Input::new(u32::MAX),
        out: Output::default(),
        answers: Output::default(),
        args: Vec::new(),
        result: Vec::new(),
        woken: Vec::new(),
        waker: Arc::new(Woken).into(),
        sent: 0,
        ids: [CallId::NONE; IN_FLIGHT],
    };
    let now = Instant::now();
    // Buffers move from slot to slot with the answers: after this many rounds all have grown.
    (0..2 * IN_FLIGHT).for_each(|_| calling.round(now));
    assert_eq!(allocations(|| (0..CALLS.div_ceil(IN_FLIGHT)).for_each(|_| calling.round(now))), 0);
}
