//! One call, from its request to its result.

mod opening;
mod sending;

pub use opening::Opening;
pub(crate) use sending::MOST_SENDS;

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use rpc_core::caller::{Options, Reply, Request};
use rpc_core::client::Outcome;
use rpc_core::stream::{Duplex, Shape};
use rpc_core::{Body, CallId, Executed, Metadata};
use rpc_io::with_scratch;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::args::{Args, encode_apart};
use crate::endpoint::{Endpoint, NotConnected};
use crate::error::{CallInfo, Error, Lost};
use crate::link::Link;
use crate::until::Until;

/// A call on its way.
///
/// When its connection is lost and the client reconnects, it moves to the next one if it has
/// certainly not run, or if it is [idempotent](rpc_core::Call::idempotent). It is sent five times at the
/// most when it may have run, or when servers turn it away.
///
/// # Cancel safety
/// Safe to drop at any time. A call that was not sent is never sent then; one that was sent is
/// cancelled on the server.
///
/// # Panics
/// When it is polled again after it was ready.
#[must_use = "dropping a call gives it up"]
pub struct Pending<A, R> {
    endpoint: Arc<Endpoint>,
    method: Cow<'static, str>,
    args: Args<A>,
    /// Until they are taken to heart.
    options: Option<Box<Options>>,
    metadata: Metadata,
    state: State,
    until: Until,
    idempotent: bool,
    /// How often it was sent.
    sends: u8,
    /// Of a call with streams.
    shape: Option<Shape>,
    /// It went on to another connection from one on which it may have run.
    perhaps: Option<Box<Lost>>,
    /// Only if there are interceptors.
    intercepted: Option<Box<Intercepted>>,
    reply: PhantomData<fn() -> R>,
}

/// What interceptors are told at the end.
struct Intercepted {
    made: Instant,
    /// How many of them have agreed.
    agreed: usize,
}

// Nothing in it is ever pinned in place.
impl<A, R> Unpin for Pending<A, R> {}

enum State {
    New,
    Ready,
    Connecting(Pin<Box<dyn Future<Output = Result<Arc<Link>, NotConnected>> + Send>>),
    /// In the queue for a slot, under this ticket.
    Queued(Arc<Link>, u64),
    Sent(Arc<Link>, CallId),
    /// The same of a call with streams.
    Open(Arc<Link>, Arc<Duplex>),
    Failed(Box<Error>),
    Over,
}

impl<A: Serialize + Send, R: DeserializeOwned + Send + 'static> Pending<A, R> {
    pub(crate) fn new(endpoint: Arc<Endpoint>, request: Request<A>) -> Self {
        let Request { method, args, encode, options } = request;
        Self {
            endpoint,
            method,
            args: Args::Value(args, encode),
            options,
            metadata: Metadata::EMPTY,
            state: State::New,
            until: Until::default(),
            idempotent: false,
            sends: 0,
            shape: None,
            perhaps: None,
            intercepted: None,
            reply: PhantomData,
        }
    }

    pub(crate) fn started(endpoint: Arc<Endpoint>, request: Request<A>) -> Pending<(), R> {
        let mut call = Self::new(endpoint, request);
        let link = call.endpoint.link();
        let begun = call.prepare().and_then(|()| match link.clone() {
            Some(link) => call.submit(link, None, None),
            None => Ok(()),
        });
        // It may have to be sent again, on a connection that speaks another format.
        let again = call.endpoint.reconnects() || matches!(call.state, State::Ready);
        let args = begun.and_then(|()| match &call.args {
            Args::Value(args, encode) if again => {
                let formats = match link {
                    Some(link) if !call.endpoint.reconnects() => vec![link.format],
                    _ => call.endpoint.formats.clone(),
                };
                let encoded = formats.iter().map(|format| encode_apart(*format, args, *encode));
                encoded.collect::<Result<_, _>>().map_err(|source| call.encode_error(source))
            }
            _ => Ok(Vec::new()),
        });
        let args = args.unwrap_or_else(|error| {
            call.state = State::Failed(Box::new(error));
            Vec::new()
        });
        Pending {
            endpoint: call.endpoint.clone(),
            method: mem::take(&mut call.method),
            args: Args::Encoded(args),
            options: call.options.take(),
            metadata: mem::take(&mut call.metadata),
            state: mem::replace(&mut call.state, State::Over),
            until: mem::take(&mut call.until),
            idempotent: call.idempotent,
            sends: call.sends,
            shape: None,
            perhaps: call.perhaps.take(),
            intercepted: call.intercepted.take(),
            reply: PhantomData,
        }
    }

    #[inline]
    fn poll_call(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply<R>, Error>> {
        while let State::Sent(..) = &self.state {
            if let Some(result) = ready!(with_scratch(|body| self.poll_sent(cx.waker(), body))) {
                return Poll::Ready(result);
            }
        }
        ready!(self.poll_way(cx))?;
        // The waker is left with the call.
        Poll::Pending
    }

    /// Ready when the call is sent.
    #[inline]
    fn poll_way(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            let (link, ticket) = match &mut self.state {
                State::Sent(..) | State::Open(..) => return Poll::Ready(Ok(())),
                State::New => {
                    self.prepare()?;
                    continue;
                }
                State::Ready => match self.endpoint.link() {
                    Some(link) => (link, None),
                    None => {
                        self.state = State::Connecting(Box::pin(self.endpoint.connected()));
                        continue;
                    }
                },
                State::Connecting(connect) => match ready!(connect.as_mut().poll(cx)) {
                    Ok(link) => (link, None),
                    Err(NotConnected::Closed) => {
                        return Poll::Ready(Err(Error::lost(self.info(), Lost::Closed, Executed::No)));
                    }
                    Err(NotConnected::Failed(source)) => {
                        return Poll::Ready(Err(Error::Connect { call: self.info(), source }));
                    }
                },
                State::Queued(link, ticket) => {
                    ready!(link.shared.poll_room(*ticket, cx.waker()));
                    (link.clone(), Some(*ticket))
                }
                State::Failed(_) => {
                    let State::Failed(error) = mem::replace(&mut self.state, State::Over) else { continue };
                    return Poll::Ready(Err(*error));
                }
                State::Over => panic!("a call was polled after it was ready"),
            };
            self.submit(link, Some(cx.waker()), ticket)?;
            // The waker is left in the queue.
            if let State::Queued(..) = self.state {
                return Poll::Pending;
            }
        }
    }

    /// `None`: it goes on on another connection.
    #[inline]
    fn poll_sent(&mut self, waker: &Waker, body: &mut Vec<u8>) -> Poll<Option<Result<Reply<R>, Error>>> {
        let State::Sent(link, id) = &self.state else { return Poll::Pending };
        let result = match ready!(link.shared.poll(*id, waker, body)) {
            Outcome::Response { metadata, large } => {
                let body = large.map_or(Body::Borrowed(body), Body::Owned);
                match link.format.decode(body) {
                    Ok(value) => Ok(Reply { value, metadata }),
                    Err(source) => Err(Error::Decode { call: self.info(), source }),
                }
            }
            Outcome::Status(status) => Err(Error::Status { call: self.info(), status }),
            Outcome::Expired => Err(Error::stopped(self.info(), self.until.expired(), Executed::Maybe)),
            Outcome::Lost(executed) => {
                let lost = link.shared.lost();
                match self.move_on(lost, executed) {
                    Ok(()) => return Poll::Ready(None),
                    Err(error) => Err(error),
                }
            }
        };
        self.state = State::Over;
        Poll::Ready(Some(result))
    }
}

impl<A: Serialize + Send, R: DeserializeOwned + Send + 'static> Future for Pending<A, R> {
    type Output = Result<Reply<R>, Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        match this.poll_call(cx) {
            Poll::Ready(Ok(reply)) => {
                this.after(Some(Ok(())));
                Poll::Ready(Ok(reply))
            }
            Poll::Pending if this.until.is_never() => Poll::Pending,
            polled => this.or_stopped(polled, cx),
        }
    }
}

impl<A, R> Pending<A, R> {
    /// Ends a call that is not ready if its time is up; sees to what a call that failed leaves behind.
    #[inline]
    fn or_stopped<T>(
        &mut self,
        mut polled: Poll<Result<T, Error>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<T, Error>> {
        let sent = matches!(self.state, State::Sent(..) | State::Open(..));
        if polled.is_pending()
            && !self.until.is_never()
            && let Poll::Ready(stop) = self.until.poll(sent, cx)
        {
            let executed = if sent { Executed::Maybe } else { Executed::No };
            self.leave();
            polled = Poll::Ready(Err(Error::stopped(self.info(), stop, executed)));
        }
        if let Poll::Ready(Err(_)) = &polled
            && let Some(lost) = self.perhaps.take()
        {
            polled = polled.map_err(|error| error.after_doubt(*lost));
        }
        if let Poll::Ready(Err(error)) = &polled {
            self.leave();
            self.after(Some(Err(error)));
        }
        polled
    }

    fn info(&self) -> Box<CallInfo> {
        self.endpoint.call_info(self.method.clone())
    }

    /// Lets go of slot or queue.
    #[inline]
    fn leave(&mut self) {
        match &self.state {
            State::Over => return,
            State::Sent(link, id) => link.shared.abandon(*id),
            State::Queued(link, ticket) => link.shared.leave_queue(*ticket),
            State::Open(_, duplex) => duplex.give_up(),
            _ => {}
        }
        self.state = State::Over;
    }

    #[inline]
    fn after(&mut self, outcome: Option<Result<(), &Error>>) {
        if let Some(Intercepted { made, agreed }) = self.intercepted.take().map(|intercepted| *intercepted) {
            self.endpoint.after(&self.method, made, agreed, outcome);
        }
    }
}

impl<A, R> Drop for Pending<A, R> {
    fn drop(&mut self) {
        self.leave();
        self.after(None);
    }
}

impl<A, R> fmt::Debug for Pending<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("method", &self.method).finish_non_exhaustive()
    }
}
