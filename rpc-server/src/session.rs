//! The calls of one connection: from a request's frame to its terminal frame. No socket in here.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::{Duration, Instant};

use rpc_core::frame::Frame;
use rpc_core::lane::{Ended as Answered, Lane, put_status};
use rpc_core::message::{GoAway, GoAwayReason, Method};
use rpc_core::output::Output;
use rpc_core::server::{Admission, Calls, Event, Request};
use rpc_core::stream::{Duplex, Hub, Memory, Shape, Side};
use rpc_core::{
    CallId, CancelReason, Context, Executed, Execution, Limits, Metadata, Origin, ProtocolError, Status,
};
use rpc_io::now;
use tracing::Span;

use crate::methods::{Methods, Route};
use crate::registry::{Entry, SLOW};
use crate::shutdown::Phase;
use crate::state::State;
use crate::unready::Unready;
use crate::waiting::{Done, Held, Record, Waiting};

/// After a batch that took too long, so many calls are timed one by one to find the slow method.
const SUSPECTS: u32 = 256;

/// What a waiting call counts for beside its arguments.
const CALL_OVERHEAD: usize = 1024;

pub(crate) struct Session {
    server: Arc<State>,
    origin: Arc<Origin>,
    calls: Calls,
    methods: Methods,
    /// Made for the first call that waits: an idle connection is not to hold 400 bytes for none.
    unready: Option<Box<Unready>>,
    pub(crate) out: Output,
    /// What the client takes.
    limits: Limits,
    /// Made for the first stream.
    hub: Option<Arc<Hub>>,
    suspects: u32,
}

impl Session {
    pub(crate) fn new(server: Arc<State>, origin: Origin, limits: Limits) -> Self {
        Self {
            calls: Calls::new(server.config.limits),
            server,
            origin: Arc::new(origin),
            methods: Methods::default(),
            unready: None,
            out: Output::default(),
            limits,
            hub: None,
            suspects: 0,
        }
    }

    /// Whether nothing is owed to the client.
    pub(crate) fn is_quiet(&self) -> bool {
        self.calls.in_flight() == 0 && self.out.is_empty()
    }

    /// The last call that came.
    pub(crate) fn last_call(&self) -> CallId {
        self.calls.last()
    }

    /// When [`expire`](Self::expire) is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.unready.as_ref()?.next_deadline()
    }

    /// Takes one frame. `now` is the time of its batch.
    #[inline]
    pub(crate) fn receive(
        &mut self,
        frame: Frame<'_>,
        now: Instant,
        cx: &mut TaskContext<'_>,
    ) -> Result<(), ProtocolError> {
        match self.calls.receive(frame, now)? {
            Event::Request(request) => self.request(request, now, cx),
            Event::Cancel(id) => {
                if let Some(unready) = &self.unready {
                    unready.cancel(id, CancelReason::Caller);
                }
            }
            Event::Stream(waker) => waker.wake(),
            Event::Nothing | Event::Pong(_) | Event::GoAway(_) => {}
        }
        Ok(())
    }

    #[inline]
    fn request(&mut self, request: Request<'_>, now: Instant, cx: &mut TaskContext<'_>) {
        match request.method {
            Method::Known(index) => {
                let at = self.methods.place(index);
                self.call_at(at, request, now, cx);
            }
            Method::New { ref name, .. } => {
                let at = self.methods.introduce(&self.server, &self.origin, name);
                self.call_at(at, request, now, cx);
            }
            Method::Once { ref name } => {
                let mut route = Route::once(&self.server, &self.origin, name);
                self.call(&mut route, request, now, cx);
            }
        }
    }

    #[inline]
    fn call_at(&mut self, at: usize, request: Request<'_>, now: Instant, cx: &mut TaskContext<'_>) {
        // Taken out for the time of the call, so that the rest of the session is at hand.
        let mut route = self.methods.take(at);
        self.call(&mut route, request, now, cx);
        self.methods.put(at, route);
    }

    #[inline]
    fn call(&mut self, route: &mut Route, request: Request<'_>, now: Instant, cx: &mut TaskContext<'_>) {
        let Request { id, admission, time_left, metadata, stream, body, .. } = request;
        match admission {
            Admission::Admitted => {}
            Admission::Ignored => return,
            Admission::Refused(status) => return self.put_refusal(id, &status),
        }
        let (entry, lane) = match route {
            Route::Method(entry, lane) => (entry, lane),
            Route::Unknown(status) => return self.refuse(id, stream, &status.clone()),
            // Nothing of the user's can come back in here; if it did, the call would still be answered.
            Route::Busy | Route::Same(_) => {
                return self.refuse(id, stream, &Status::internal("the method is busy"));
            }
        };
        if stream != entry.method.shape().is_some() {
            return self.refuse(id, stream, &wrong_shape(entry));
        }
        let bytes = CALL_OVERHEAD + metadata.memory() + body.as_slice().len();
        if self.server.memory.load(Ordering::Relaxed) + bytes > self.server.config.max_memory {
            let status = Status::resource_exhausted("the server is out of memory for calls");
            return self.refuse(id, stream, &status);
        }
        entry.count_start();
        let deadline = time_left.and_then(|left| now.checked_add(left));
        let (deadline, limit) = match self.server.config.call_timeout {
            None => (deadline, None),
            Some(most) => earlier(deadline, now, most),
        };
        let execution = entry.runs();
        let duplex = stream.then(|| self.open_stream(id, execution == Execution::Inline));
        let context = lane.open(id, deadline, metadata, duplex);
        let span = self.server.span(context);
        let (intercepted, allowed) = self.server.before(context);
        let begun = allowed.and_then(|()| span.in_scope(|| lane.begin(body)));
        let over = match begun {
            Ok(()) => execution == Execution::Inline && self.poll_timed(entry, &span, lane, cx).is_ready(),
            Err(status) => {
                lane.fail(status);
                true
            }
        };
        if over {
            let answered = lane.reply(self.limits.max_frame, &mut self.out);
            self.server.after(lane.context(), answered.code, intercepted);
            self.calls.end(id);
            return conclude(entry, &span, answered);
        }
        let held = Held::new(&self.server, entry, bytes);
        let context = lane.context().clone();
        let record = Record { entry: entry.clone(), context: context.clone(), intercepted, span, limit };
        let waiting = Waiting::new(lane.detach(), execution, record, held);
        self.unready.get_or_insert_default().push(context, waiting);
    }

    #[inline]
    fn poll_timed(
        &mut self,
        entry: &Entry,
        span: &Span,
        lane: &mut Box<dyn Lane>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<()> {
        if self.suspects == 0 {
            return span.in_scope(|| lane.poll(cx));
        }
        self.suspects -= 1;
        let before = now();
        let polled = span.in_scope(|| lane.poll(cx));
        entry.note_time(now() - before);
        polled
    }

    /// The batch that began at `since` is over. One clock read per batch finds those that hold up
    /// their neighbours. It is the runtime's clock: were it the machine's, a simulation would not
    /// replay on a busy one.
    pub(crate) fn end_batch(&mut self, since: Instant) {
        if now() - since > SLOW {
            self.suspects = SUSPECTS;
        }
        self.calls.answer_ping(&mut self.out);
    }

    /// Answers the calls that have ended, until `mark` bytes of output wait.
    pub(crate) fn poll_waiting(&mut self, mark: usize, cx: &mut TaskContext<'_>) {
        while let Some(unready) = &mut self.unready
            && self.out.len() < mark
            && let Poll::Ready(Some(done)) = unready.poll_next(cx)
        {
            self.answer(done);
        }
    }

    fn answer(&mut self, done: Done) {
        let Done { record, running } = done;
        let id = record.context.id();
        let answered = match running {
            Ok(mut running) => running.reply(self.limits.max_frame, &mut self.out),
            Err(status) => {
                put_status(
                    id,
                    &status,
                    Executed::Yes,
                    &Metadata::EMPTY,
                    self.limits.max_frame,
                    &mut self.out,
                );
                Answered { code: Some(status.code()), panicked: false }
            }
        };
        self.calls.end(id);
        if self.server.shutdown.phase() >= Phase::Draining {
            match was_cancelled_by_us(&record.context) {
                true => self.server.shutdown.count_cancelled(),
                false => self.server.shutdown.count_finished(),
            }
        }
        self.server.after(&record.context, answered.code, record.intercepted);
        conclude(&record.entry, &record.span, answered);
    }

    /// Gives up the calls whose deadline has passed.
    pub(crate) fn expire(&mut self, now: Instant) {
        if let Some(unready) = &mut self.unready {
            unready.expire(now);
        }
    }

    /// The client has closed its side.
    pub(crate) fn cut_off(&self) {
        self.calls.cut_off();
    }

    /// Gives up all calls.
    pub(crate) fn cancel_all(&mut self, reason: CancelReason) {
        self.unanswered().for_each(|context| context.cancel(reason));
    }

    fn unanswered(&self) -> impl Iterator<Item = &Context> {
        self.unready.iter().flat_map(|unready| unready.contexts())
    }

    /// Drops the handlers: their answers are not wanted any more.
    pub(crate) fn abandon(&mut self) {
        if let Some(unready) = &mut self.unready {
            unready.abandon();
        }
    }

    /// Tells the client to make no new calls.
    pub(crate) fn drain(&mut self, reason: GoAwayReason, message: &str) {
        if !self.calls.is_going_away() {
            self.calls.go_away(&GoAway { reason, message: message.into() }, &mut self.out);
        }
    }

    /// Whether no new calls are taken.
    pub(crate) fn is_draining(&self) -> bool {
        self.calls.is_going_away()
    }

    /// Asks whether somebody is there; the answer does not matter, a failing write does.
    pub(crate) fn ping(&mut self) {
        self.calls.ping(&mut self.out);
    }

    /// Tells the client what it did wrong.
    pub(crate) fn blame(&mut self, reason: GoAwayReason, message: String) {
        self.calls.go_away(&GoAway { reason, message }, &mut self.out);
    }

    /// Adds about `most` bytes of what the streams have to send; false if they have nothing.
    pub(crate) fn fill(&mut self, most: usize, cx: &TaskContext<'_>) -> bool {
        let Some(hub) = self.hub.as_ref().filter(|hub| hub.poll(cx.waker())) else { return false };
        let (mut woken, before) = (Vec::new(), self.out.len());
        hub.fill(hub.take(), &mut self.out, before + most, &mut woken);
        woken.into_iter().for_each(Waker::wake);
        true
    }

    fn open_stream(&mut self, id: CallId, inline: bool) -> Arc<Duplex> {
        let Self { server, limits, hub, .. } = self;
        let hub = hub.get_or_insert_with(|| {
            let memory = Memory { used: server.memory.clone(), max: server.config.max_memory };
            Hub::new(Side::Server, server.config.limits, *limits, Some(memory))
        });
        self.calls.open_stream(id, hub, inline)
    }

    /// Answers an admitted call that does not run.
    fn refuse(&mut self, id: CallId, stream: bool, status: &Status) {
        self.calls.end(id);
        if stream {
            self.calls.forgo_stream();
        }
        self.put_refusal(id, status);
    }

    fn put_refusal(&mut self, id: CallId, status: &Status) {
        put_status(id, status, Executed::No, &Metadata::EMPTY, self.limits.max_frame, &mut self.out);
    }
}

impl Drop for Session {
    /// Calls that were cancelled and could not be answered any more were cancelled all the same.
    fn drop(&mut self) {
        if self.server.shutdown.phase() >= Phase::Draining {
            let cancelled = self.unanswered().filter(|context| was_cancelled_by_us(context));
            cancelled.for_each(|_| self.server.shutdown.count_cancelled());
        }
    }
}

/// The deadline of a call that gets `most` at the most; and `most`, if that is what decides.
fn earlier(deadline: Option<Instant>, now: Instant, most: Duration) -> (Option<Instant>, Option<Duration>) {
    match now.checked_add(most) {
        Some(end) if deadline.is_none_or(|deadline| end < deadline) => (Some(end), Some(most)),
        _ => (deadline, None),
    }
}

/// A call that its method is not made for.
fn wrong_shape(entry: &Entry) -> Status {
    let name = &entry.name;
    Status::unimplemented(match entry.method.shape() {
        None => format!("{name} has one argument and one answer: it is not called with a stream"),
        Some(Shape::Server) => format!("{name} answers with a stream: it is called with one"),
        Some(Shape::Client) => format!("{name} takes a stream: it is called with one"),
        Some(Shape::Bidi) => format!("{name} takes a stream and answers with one: it is called with them"),
    })
}

/// A grace of the server's ended before the call did.
fn was_cancelled_by_us(context: &Context) -> bool {
    matches!(context.cancel_reason(), Some(CancelReason::Shutdown | CancelReason::ConnectionAge))
}

fn conclude(entry: &Entry, span: &Span, answered: Answered) {
    if let Some(code) = answered.code {
        entry.count_error();
        span.record("error.type", tracing::field::display(code));
    }
    if answered.panicked {
        tracing::error!(method = &*entry.name, "handler panicked");
    }
}
