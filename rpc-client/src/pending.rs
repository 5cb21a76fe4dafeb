//! One call, from its request to its result.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use bytes::Bytes;
use rpc_core::body::LARGE_BODY;
use rpc_core::caller::{Options, Reply, Request};
use rpc_core::client::{OpenError, Outcome, RequestHead};
use rpc_core::format::EncodeError;
use rpc_core::{Body, CallId, Executed, Format, Metadata};
use rpc_io::with_scratch;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::endpoint::{Endpoint, Link, NotConnected};
use crate::error::{CallInfo, Error, Lost};
use crate::interceptor::{Ended, Outgoing};
use crate::shared::Rejected;
use crate::until::{Stop, Until};

/// A call on its way.
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
    metadata: Metadata,
    state: State,
    until: Option<Box<Until>>,
    /// When it was made, and how many interceptors agreed; only if there are any.
    intercepted: Option<(Instant, usize)>,
    reply: PhantomData<fn() -> R>,
}

// Nothing in it is ever pinned in place.
impl<A, R> Unpin for Pending<A, R> {}

enum Args<A> {
    Value(A, rpc_core::caller::Encode<A>),
    /// Encoded by `start`, in each format that the server may choose.
    Encoded(Vec<(Format, Bytes)>),
}

enum State {
    New(Options),
    Ready,
    Connecting(Pin<Box<dyn Future<Output = Result<(), NotConnected>> + Send>>),
    /// In the queue for a slot, under this ticket.
    Queued(Arc<Link>, u64),
    Sent(Arc<Link>, CallId),
    Failed(Error),
    Over,
}

impl<A: Serialize + Send, R: DeserializeOwned + Send + 'static> Pending<A, R> {
    pub(crate) fn new(endpoint: Arc<Endpoint>, request: Request<A>) -> Self {
        let Request { method, args, encode, options } = request;
        Self {
            endpoint,
            method,
            args: Args::Value(args, encode),
            metadata: Metadata::EMPTY,
            state: State::New(options),
            until: None,
            intercepted: None,
            reply: PhantomData,
        }
    }

    pub(crate) fn started(endpoint: Arc<Endpoint>, request: Request<A>) -> Pending<(), R> {
        let mut call = Self::new(endpoint, request);
        let begun = call.prepare().and_then(|()| call.submit_now());
        let args = begun.and_then(|()| match &call.args {
            Args::Value(args, encode) if matches!(call.state, State::Ready) => {
                let formats = match call.endpoint.link.get() {
                    Some(link) => &[link.format][..],
                    None => &call.endpoint.formats,
                };
                let encoded = formats.iter().map(|format| encode_apart(*format, args, *encode));
                encoded.collect::<Result<_, _>>().map_err(|source| call.encode_error(source))
            }
            _ => Ok(Vec::new()),
        });
        let args = args.unwrap_or_else(|error| {
            call.state = State::Failed(error);
            Vec::new()
        });
        Pending {
            endpoint: call.endpoint.clone(),
            method: mem::take(&mut call.method),
            args: Args::Encoded(args),
            metadata: mem::take(&mut call.metadata),
            state: mem::replace(&mut call.state, State::Over),
            until: call.until.take(),
            intercepted: call.intercepted.take(),
            reply: PhantomData,
        }
    }

    fn encode_error(&self, source: EncodeError) -> Error {
        Error::Encode { call: self.info(), source }
    }

    /// Takes the options to heart and lets the interceptors see the call.
    fn prepare(&mut self) -> Result<(), Error> {
        let State::New(options) = mem::replace(&mut self.state, State::Ready) else { return Ok(()) };
        let Options { timeout, parent, metadata } = options;
        self.metadata = metadata.map_err(|source| Error::Metadata { call: self.info(), source })?;
        self.until = Until::new(timeout.or(self.endpoint.timeout), parent);
        if let Some(stop) = self.until.as_ref().and_then(|until| until.already()) {
            return Err(self.stopped(stop, Executed::No));
        }
        if self.endpoint.interceptors.is_empty() {
            return Ok(());
        }
        let endpoint = self.endpoint.clone();
        let deadline = self.until.as_ref().and_then(|until| until.deadline());
        let made = Instant::now();
        self.intercepted = Some((made, 0));
        for (at, interceptor) in endpoint.interceptors.iter().enumerate() {
            let mut outgoing = Outgoing { method: &self.method, metadata: &mut self.metadata, deadline };
            if let Err(source) = interceptor.before(&mut outgoing) {
                return Err(Error::Intercepted { call: self.info(), source: source.into() });
            }
            self.intercepted = Some((made, at + 1));
        }
        Ok(())
    }

    /// Submits if the connection is up; without a waker, for `start`.
    fn submit_now(&mut self) -> Result<(), Error> {
        match self.endpoint.link.get().cloned() {
            Some(link) => self.submit(link, None, None),
            None => Ok(()),
        }
    }

    fn submit(&mut self, link: Arc<Link>, waker: Option<&Waker>, ticket: Option<u64>) -> Result<(), Error> {
        let head = RequestHead {
            method: &self.method,
            time_left: self.until.as_ref().and_then(|until| until.time_left()),
            metadata: &self.metadata,
        };
        let shared = &link.shared;
        let submitted = match &mut self.args {
            Args::Value(args, encode) => with_scratch(|body| {
                let tail = encode(link.format, args, body)?;
                Ok(match tail {
                    None if body.len() >= LARGE_BODY => {
                        shared.submit(head, &[], Some(mem::take(body).into()), waker, ticket)
                    }
                    tail => shared.submit(head, body, tail, waker, ticket),
                })
            }),
            Args::Encoded(encoded) => {
                let body = encoded.iter().find(|(format, _)| *format == link.format);
                let body = body.map(|(_, body)| body.clone()).unwrap_or_default();
                Ok(match body.len() {
                    LARGE_BODY.. => shared.submit(head, &[], Some(body), waker, ticket),
                    _ => shared.submit(head, &body, None, waker, ticket),
                })
            }
        };
        match submitted.map_err(|source| self.encode_error(source))? {
            Ok(id) => self.state = State::Sent(link, id),
            Err(Rejected::Queued(ticket)) => self.state = State::Queued(link, ticket),
            Err(Rejected::NoRoom) => {}
            Err(Rejected::Open(OpenError::GoingAway)) => {
                return Err(self.lost(link.shared.lost(), Executed::No));
            }
            Err(Rejected::Open(source)) => {
                return Err(Error::Limit { call: self.info(), source });
            }
            Err(Rejected::Lost(lost)) => return Err(self.lost(lost, Executed::No)),
        }
        Ok(())
    }

    fn lost(&self, lost: Lost, executed: Executed) -> Error {
        let call = self.info();
        match lost {
            Lost::Closed => Error::Shutdown { call, executed },
            source => Error::ConnectionLost { call, executed, source },
        }
    }

    fn stopped(&self, stop: Stop, executed: Executed) -> Error {
        let call = self.info();
        match stop {
            Stop::Deadline(after) => Error::DeadlineExceeded { call, executed, after },
            Stop::Parent => Error::Cancelled { call, executed },
        }
    }

    #[inline]
    fn poll_call(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply<R>, Error>> {
        loop {
            match &mut self.state {
                State::Sent(..) => return with_scratch(|body| self.poll_sent(cx.waker(), body)),
                State::New(_) => self.prepare()?,
                State::Ready => {
                    match self.endpoint.link.get().cloned() {
                        Some(link) => self.submit(link, Some(cx.waker()), None)?,
                        None => {
                            self.state = State::Connecting(Box::pin(self.endpoint.connected()));
                            continue;
                        }
                    }
                    // The waker is left with the call or in the queue.
                    return Poll::Pending;
                }
                State::Connecting(connect) => {
                    match ready!(connect.as_mut().poll(cx)) {
                        Ok(()) => {}
                        Err(NotConnected::Closed) => {
                            return Poll::Ready(Err(self.lost(Lost::Closed, Executed::No)));
                        }
                        Err(NotConnected::Failed(source)) => {
                            return Poll::Ready(Err(Error::Connect { call: self.info(), source }));
                        }
                    }
                    self.state = State::Ready;
                }
                State::Queued(link, ticket) => {
                    ready!(link.shared.poll_room(*ticket, cx.waker()));
                    let (link, ticket) = (link.clone(), *ticket);
                    self.submit(link, Some(cx.waker()), Some(ticket))?;
                    return Poll::Pending;
                }
                State::Failed(_) => {
                    let State::Failed(error) = mem::replace(&mut self.state, State::Over) else { continue };
                    return Poll::Ready(Err(error));
                }
                State::Over => panic!("a call was polled after it was ready"),
            }
        }
    }

    #[inline]
    fn poll_sent(&mut self, waker: &Waker, body: &mut Vec<u8>) -> Poll<Result<Reply<R>, Error>> {
        let State::Sent(link, id) = &self.state else { return Poll::Pending };
        let outcome = ready!(link.shared.poll(*id, waker, body));
        let lost = matches!(outcome, Outcome::Lost(_)).then(|| link.shared.lost());
        let format = link.format;
        self.state = State::Over;
        Poll::Ready(self.conclude(outcome, format, body, lost))
    }

    fn conclude(
        &self,
        outcome: Outcome,
        format: Format,
        body: &[u8],
        lost: Option<Lost>,
    ) -> Result<Reply<R>, Error> {
        match outcome {
            Outcome::Response { metadata, large } => {
                let body = large.map_or(Body::Borrowed(body), Body::Owned);
                match format.decode(body) {
                    Ok(value) => Ok(Reply { value, metadata }),
                    Err(source) => Err(Error::Decode { call: self.info(), source }),
                }
            }
            Outcome::Status(status) => Err(Error::Status { call: self.info(), status }),
            Outcome::Lost(executed) => Err(self.lost(lost.unwrap_or(Lost::GoingAway(None)), executed)),
        }
    }
}

fn encode_apart<A>(
    format: Format,
    args: &A,
    encode: rpc_core::caller::Encode<A>,
) -> Result<(Format, Bytes), EncodeError> {
    let mut body = Vec::new();
    if let Some(tail) = encode(format, args, &mut body)? {
        body.extend_from_slice(&tail);
    }
    Ok((format, body.into()))
}

impl<A: Serialize + Send, R: DeserializeOwned + Send + 'static> Future for Pending<A, R> {
    type Output = Result<Reply<R>, Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let mut polled = this.poll_call(cx);
        if polled.is_pending()
            && let Some(until) = &mut this.until
            && let Poll::Ready(stop) = until.poll(cx)
        {
            let executed = match this.state {
                State::Sent(..) => Executed::Maybe,
                _ => Executed::No,
            };
            this.leave();
            polled = Poll::Ready(Err(this.stopped(stop, executed)));
        }
        if let Poll::Ready(result) = &polled {
            this.leave();
            this.after(Some(result.as_ref().map(|_| ())));
        }
        polled
    }
}

impl<A, R> Pending<A, R> {
    fn info(&self) -> Box<CallInfo> {
        self.endpoint.call_info(self.method.clone())
    }

    /// Lets go of slot or queue.
    fn leave(&mut self) {
        match mem::replace(&mut self.state, State::Over) {
            State::Sent(link, id) => link.shared.abandon(id),
            State::Queued(link, ticket) => link.shared.leave_queue(ticket),
            _ => {}
        }
    }

    fn after(&mut self, outcome: Option<Result<(), &Error>>) {
        let Some((made, agreed)) = self.intercepted.take() else { return };
        let ended = Ended { method: &self.method, outcome, elapsed: made.elapsed() };
        self.endpoint.interceptors[..agreed].iter().rev().for_each(|one| one.after(&ended));
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
