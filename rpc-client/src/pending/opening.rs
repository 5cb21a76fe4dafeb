//! A call with streams: on its way, and how it ends after that.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rpc_core::caller::Request;
use rpc_core::format::DecodeError;
use rpc_core::stream::{Duplex, Outcome, Shape};
use rpc_core::streaming::{Ending, Opened};
use rpc_core::{Executed, Metadata};
use rpc_io::now;
use serde::Serialize;
use tokio::time::{Sleep, sleep_until};

use super::{Intercepted, Pending, State};
use crate::endpoint::Endpoint;
use crate::error::{CallInfo, Error};
use crate::link::Link;
use crate::until::Until;

/// A call with streams that gets on its way. One whose answer alone has items is ready when the handler
/// has begun to answer; until then it moves to another connection as other calls do.
///
/// # Cancel safety
/// Safe to drop at any time: the call is given up then, on the server too.
///
/// # Panics
/// When it is polled again after it was ready.
#[must_use = "dropping a call gives it up"]
pub struct Opening<A> {
    call: Pending<A, ()>,
    shape: Shape,
    idle_timeout: Option<Duration>,
}

/// The connection that a stream is on, and the stream.
type OnItsWay = (Arc<Link>, Arc<Duplex>);

impl<A: Serialize + Send> Opening<A> {
    pub(crate) fn new(endpoint: Arc<Endpoint>, request: Request<A>, shape: Shape) -> Self {
        let idle_timeout = request.options.as_ref().and_then(|options| options.idle_timeout);
        let mut call = Pending::new(endpoint, request);
        call.shape = Some(shape);
        Self { call, shape, idle_timeout }
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<OnItsWay, Error>> {
        loop {
            let State::Open(link, duplex) = &self.call.state else {
                ready!(self.call.poll_way(cx))?;
                continue;
            };
            let (link, duplex) = (link.clone(), duplex.clone());
            let outcome = match self.shape.sends() {
                true => Ok(()),
                false => ready!(duplex.poll_opened(cx)),
            };
            match outcome {
                Ok(()) => {
                    self.call.state = State::Over;
                    return Poll::Ready(Ok((link, duplex)));
                }
                Err(Outcome::Lost(executed)) => self.call.move_on(link.shared.lost(), executed)?,
                Err(outcome) => {
                    let ended = error_of(outcome, || self.call.info(), &self.call.until, &link);
                    // Without a beginning there is no good end.
                    return Poll::Ready(Err(
                        ended.unwrap_or_else(|| Error::GivenUp { call: self.call.info() })
                    ));
                }
            }
        }
    }
}

impl<A: Serialize + Send> Future for Opening<A> {
    type Output = Result<Opened<Error>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let polled = this.poll_open(cx);
        let (link, duplex) = ready!(this.call.or_stopped(polled, cx))?;
        let call = &mut this.call;
        let course = Course {
            endpoint: call.endpoint.clone(),
            method: mem::take(&mut call.method),
            link: link.clone(),
            until: mem::take(&mut call.until),
            intercepted: call.intercepted.take(),
            idle_timeout: this.idle_timeout,
            idle: None,
        };
        call.metadata = Metadata::EMPTY;
        Poll::Ready(Ok(Opened { format: link.format, duplex, ending: Box::new(course), keep: link }))
    }
}

impl<A> fmt::Debug for Opening<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").field("call", &self.call).finish_non_exhaustive()
    }
}

/// What ended a stream, as the caller's error.
fn error_of(
    outcome: Outcome,
    call: impl FnOnce() -> Box<CallInfo>,
    until: &Until,
    link: &Link,
) -> Option<Error> {
    Some(match outcome {
        Outcome::Complete => return None,
        Outcome::Status(status) => Error::Status { call: call(), status: *status },
        Outcome::Lost(executed) => Error::lost(call(), link.shared.lost(), executed),
        Outcome::Expired => Error::stopped(call(), until.expired(), Executed::Maybe),
        Outcome::GivenUp => Error::GivenUp { call: call() },
        Outcome::Fault(source) => Error::Stream { call: call(), source },
    })
}

/// The call behind a stream, until its end.
struct Course {
    endpoint: Arc<Endpoint>,
    method: Cow<'static, str>,
    link: Arc<Link>,
    until: Until,
    intercepted: Option<Box<Intercepted>>,
    idle_timeout: Option<Duration>,
    /// While no item is there: until when one has to be.
    idle: Option<Pin<Box<Sleep>>>,
}

impl Course {
    fn info(&self) -> Box<CallInfo> {
        self.endpoint.call_info(self.method.clone())
    }

    fn after(&mut self, outcome: Option<Result<(), &Error>>) {
        if let Some(Intercepted { made, agreed }) = self.intercepted.take().map(|intercepted| *intercepted) {
            self.endpoint.after(&self.method, made, agreed, outcome);
        }
    }

    /// The error is the call's end.
    fn over(&mut self, error: Error) -> Error {
        self.after(Some(Err(&error)));
        error
    }
}

impl Ending for Course {
    type Error = Error;

    fn poll_stop(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        if !self.until.is_never()
            && let Poll::Ready(stop) = self.until.poll(true, cx)
        {
            let error = Error::stopped(self.info(), stop, Executed::Maybe);
            return Poll::Ready(self.over(error));
        }
        let Some(after) = self.idle_timeout else { return Poll::Pending };
        let idle = match &mut self.idle {
            Some(idle) => idle,
            idle => {
                let Some(end) = now().checked_add(after) else { return Poll::Pending };
                idle.insert(Box::pin(sleep_until(end.into())))
            }
        };
        ready!(idle.as_mut().poll(cx));
        let error = Error::Idle { call: self.info(), after };
        Poll::Ready(self.over(error))
    }

    fn heard(&mut self) {
        self.idle = None;
    }

    fn ended(&mut self, outcome: Outcome) -> Option<Error> {
        match error_of(outcome, || self.info(), &self.until, &self.link) {
            Some(error) => Some(self.over(error)),
            None => {
                self.after(Some(Ok(())));
                None
            }
        }
    }

    fn undecodable(&mut self, source: DecodeError) -> Error {
        let error = Error::Decode { call: self.info(), source };
        self.over(error)
    }
}

impl Drop for Course {
    fn drop(&mut self) {
        self.after(None);
    }
}
