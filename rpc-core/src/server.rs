//! The server's half of a connection: which requests may come in, and what is owed for them.

use std::time::{Duration, Instant};

use crate::body::Body;
use crate::budget::Budget;
use crate::call_id::CallId;
use crate::error::ProtocolError;
use crate::frame::{Frame, Kind, flags};
use crate::limits::Limits;
use crate::message::{Fields, GoAway, MAX_METHODS, Method};
use crate::metadata::Metadata;
use crate::output::Output;
use crate::status::{Executed, Status};

/// The calls of one connection, seen from the server.
///
/// Counts, orders and admits; the handlers are the caller's. For each admitted request the caller
/// owes exactly one terminal frame, and [`end`](Self::end) when it is appended.
#[derive(Debug)]
pub struct Calls {
    limits: Limits,
    last: CallId,
    in_flight: u32,
    refused: u32,
    methods: u16,
    budget: Budget,
    pong: Option<u64>,
    going_away: Option<CallId>,
}

/// A request as it came in.
#[derive(Debug)]
pub struct Request<'a> {
    /// Its id.
    pub id: CallId,
    /// What it calls. A new index counts from now on, whatever becomes of the request.
    pub method: Method,
    /// Whether to run it.
    pub admission: Admission,
    /// Time left for it when it was sent.
    pub time_left: Option<Duration>,
    /// What came beside the arguments.
    pub metadata: Metadata,
    /// The arguments, encoded.
    pub body: Body<'a>,
}

/// Whether a request is to be run.
#[derive(Debug, PartialEq, Eq)]
pub enum Admission {
    /// Run it; it counts as in flight until [`Calls::end`].
    Admitted,
    /// Answer with this status; it does not count.
    Refused(Status),
    /// Above the id of our GoAway: must not be answered; the client knows that it never ran.
    Ignored,
}

/// What a frame from the client meant.
#[derive(Debug)]
pub enum Event<'a> {
    /// Nothing for the caller.
    Nothing,
    /// A call.
    Request(Request<'a>),
    /// Its caller is gone; harmless for calls that have ended.
    Cancel(CallId),
    /// The answer to a Ping of ours, with its token.
    Pong(u64),
    /// The client will make no new calls.
    GoAway(GoAway),
}

impl Calls {
    /// No calls yet, on a connection whose client was told `limits`.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            last: CallId::NONE,
            in_flight: 0,
            refused: 0,
            methods: 0,
            budget: Budget::new(),
            pong: None,
            going_away: None,
        }
    }

    /// Admitted calls that have not ended.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// The last request that came, whatever became of it.
    #[must_use]
    pub fn last(&self) -> CallId {
        self.last
    }

    /// Takes a frame from the client. `now` may be as old as the batch that the frame came in.
    ///
    /// # Errors
    /// A breach of the protocol: append [`go_away`](Self::go_away) and close.
    #[inline]
    pub fn receive<'a>(&mut self, frame: Frame<'a>, now: Instant) -> Result<Event<'a>, ProtocolError> {
        let Frame { kind, flags, id, body } = frame;
        match kind {
            Kind::Request => self.request(flags, id, body).map(Event::Request),
            Kind::Cancel => {
                self.check_opened(kind, id)?;
                if !self.budget.cancel(now) {
                    return Err(ProtocolError::CalmDown { kind });
                }
                Ok(Event::Cancel(id))
            }
            // Streams are refused when they are opened; what was sent before the refusal arrived
            // is dropped.
            Kind::Data | Kind::End | Kind::Credit => {
                self.check_opened(kind, id)?;
                let fair = if kind == Kind::Credit { self.budget.draw(now) } else { self.budget.item(now) };
                if !fair {
                    return Err(ProtocolError::CalmDown { kind });
                }
                Ok(Event::Nothing)
            }
            Kind::Ping => {
                if !self.budget.ping(now) {
                    return Err(ProtocolError::CalmDown { kind });
                }
                self.pong = Some(id.to_wire());
                Ok(Event::Nothing)
            }
            Kind::Pong => {
                if !self.budget.ping(now) {
                    return Err(ProtocolError::CalmDown { kind });
                }
                Ok(Event::Pong(id.to_wire()))
            }
            Kind::GoAway => {
                if !self.budget.draw(now) {
                    return Err(ProtocolError::CalmDown { kind });
                }
                Ok(Event::GoAway(GoAway::read(body.as_slice())?))
            }
            Kind::Response | Kind::Status => Err(ProtocolError::UnexpectedKind { kind, id }),
        }
    }

    fn check_opened(&self, kind: Kind, id: CallId) -> Result<(), ProtocolError> {
        if id > self.last || id == CallId::NONE {
            return Err(ProtocolError::UnknownCall { kind, id });
        }
        Ok(())
    }

    #[inline]
    fn request<'a>(&mut self, flags: u8, id: CallId, body: Body<'a>) -> Result<Request<'a>, ProtocolError> {
        if !id.is_client() {
            return Err(ProtocolError::WrongSide { id });
        }
        if id.counter() <= self.last.counter() {
            return Err(ProtocolError::IdNotGrowing { id, last: self.last });
        }
        self.last = id;
        self.budget.pay_cancel();
        if flags & flags::MORE != 0 {
            self.budget.pay_items();
        }
        let mut fields = Fields::new(Kind::Request, body.as_slice());
        let method = fields.method(flags)?;
        self.check_method(&method)?;
        let time_left = fields.deadline(flags)?;
        let metadata = fields.metadata(flags)?;
        let body_at = fields.taken();
        let (metadata, refusal) = match metadata {
            Ok(metadata) => (metadata, None),
            Err(error) => (Metadata::EMPTY, Some(Status::invalid_argument(error.to_string()))),
        };
        let admission =
            self.admit(id, refusal.or_else(|| unsupported(flags)).or_else(|| expired(time_left)))?;
        Ok(Request { id, method, admission, time_left, metadata, body: body.skip(body_at) })
    }

    fn check_method(&mut self, method: &Method) -> Result<(), ProtocolError> {
        match *method {
            Method::Known(index) if index == 0 || index > self.methods => {
                Err(ProtocolError::UnknownMethod { index })
            }
            Method::New { index, .. } => {
                if self.methods == MAX_METHODS {
                    return Err(ProtocolError::TooManyMethods { limit: MAX_METHODS });
                }
                if index != self.methods + 1 {
                    return Err(ProtocolError::IndexOutOfOrder { index, expected: self.methods + 1 });
                }
                self.methods = index;
                Ok(())
            }
            Method::Known(_) | Method::Once { .. } => Ok(()),
        }
    }

    fn admit(&mut self, id: CallId, refusal: Option<Status>) -> Result<Admission, ProtocolError> {
        if self.going_away.is_some_and(|last| id > last) {
            return Ok(Admission::Ignored);
        }
        let limit = self.limits.max_calls;
        if self.in_flight >= limit {
            // An honest client that did not read the limit sees the refusals and slows down; one
            // that goes on to twice the limit is not listening.
            self.refused += 1;
            if self.refused > limit {
                return Err(ProtocolError::TooManyCalls { limit });
            }
            let status = Status::resource_exhausted(format!("more than {limit} calls in flight"));
            return Ok(Admission::Refused(status.with_executed(Executed::No)));
        }
        self.refused = 0;
        Ok(match refusal {
            Some(status) => Admission::Refused(status.with_executed(Executed::No)),
            None => {
                self.in_flight += 1;
                Admission::Admitted
            }
        })
    }

    /// The terminal frame of an admitted request was appended.
    pub fn end(&mut self) {
        self.in_flight -= 1;
    }

    /// Appends the Pong that is owed, if one is: many Pings get one Pong, to the last of them.
    pub fn answer_ping(&mut self, out: &mut Output) {
        if let Some(token) = self.pong.take() {
            out.put(Kind::Pong, 0, CallId::from_wire(token), &[]);
        }
    }

    /// Appends a GoAway: requests that came so far are finished, later ones are ignored.
    pub fn go_away(&mut self, go_away: &GoAway, out: &mut Output) {
        let last = *self.going_away.get_or_insert(self.last);
        out.put(Kind::GoAway, 0, last, &go_away.to_body());
    }

    /// Whether a GoAway was sent.
    #[must_use]
    pub fn is_going_away(&self) -> bool {
        self.going_away.is_some()
    }
}

/// What version 1 has room for but does not do.
fn unsupported(flags: u8) -> Option<Status> {
    if flags & flags::COMPRESSED != 0 {
        return Some(Status::unimplemented("compressed bodies are not supported"));
    }
    if flags & flags::MORE != 0 {
        return Some(Status::unimplemented("streams are not supported"));
    }
    None
}

fn expired(time_left: Option<Duration>) -> Option<Status> {
    time_left?.is_zero().then(|| Status::deadline_exceeded("the deadline had passed when the call was sent"))
}

#[cfg(test)]
mod tests;
