//! The server's half of a connection: which requests may come in, and what is owed for them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::body::Body;
use crate::budget::Budget;
use crate::call_id::CallId;
use crate::error::ProtocolError;
use crate::frame::{Frame, Kind, flags};
use crate::limits::Limits;
use crate::message::{self, Fields, GoAway, MAX_METHODS, Method};
use crate::metadata::Metadata;
use crate::output::Output;
use crate::status::{Executed, Status};
use crate::stream::credit::{late, late_item};
use crate::stream::{Duplex, Hub, Outcome};

/// The calls of one connection, seen from the server.
///
/// Counts, orders and admits; the handlers are the caller's. For each admitted request the caller
/// owes exactly one terminal frame, and [`end`](Self::end) when it is appended.
#[derive(Debug)]
pub struct Calls {
    limits: Limits,
    last: CallId,
    in_flight: u32,
    /// In order, so that all of them hear of an end in the same one each time.
    streams: BTreeMap<CallId, Arc<Duplex>>,
    /// Of the first stream, and of all others.
    hub: Option<Arc<Hub>>,
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
    /// Whether it opens a stream.
    pub stream: bool,
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
    /// A stream has something for whoever waits for it.
    Stream(Waker),
    /// The answer to a Ping of ours, with its token.
    Pong(u64),
    /// The client will make no new calls.
    GoAway(GoAway),
}

impl Drop for Calls {
    /// The connection is gone: whoever holds on to half a stream of it is to know.
    fn drop(&mut self) {
        let (mut woken, streams) = (Vec::new(), std::mem::take(&mut self.streams));
        streams.values().for_each(|duplex| duplex.end(Outcome::Lost(Executed::Maybe), &mut woken));
        woken.into_iter().for_each(Waker::wake);
        drop(self.hub.take().map(|hub| hub.close()));
    }
}

impl Calls {
    /// No calls yet, on a connection whose client was told `limits`.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            last: CallId::NONE,
            in_flight: 0,
            streams: BTreeMap::new(),
            hub: None,
            refused: 0,
            methods: 0,
            budget: Budget::new(),
            pong: None,
            going_away: None,
        }
    }

    /// Admitted calls that have not ended.
    #[must_use]
    #[inline]
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// The last request that came, whatever became of it.
    #[must_use]
    #[inline]
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
            Kind::Data | Kind::End | Kind::Credit => {
                let waker = self.of_stream(kind, flags, id, body, now)?;
                Ok(waker.map_or(Event::Nothing, Event::Stream))
            }
            Kind::Ping => {
                if !self.budget.ping(now) {
                    return Err(ProtocolError::CalmDown { kind });
                }
                self.pong = Some(id.to_wire());
                Ok(Event::Nothing)
            }
            Kind::Pong => {
                if !self.budget.pong(now) {
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

    fn of_stream(
        &mut self,
        kind: Kind,
        flags: u8,
        id: CallId,
        body: Body<'_>,
        now: Instant,
    ) -> Result<Option<Waker>, ProtocolError> {
        let Some(duplex) = self.streams.get(&id) else {
            // It was refused, or is over: this was sent before the client knew.
            self.check_opened(kind, id)?;
            let fair = match kind {
                Kind::Credit => self.budget.late_credit(now),
                _ => self.budget.late(late(body.as_slice().len()), now),
            };
            return if fair { Ok(None) } else { Err(ProtocolError::CalmDown { kind }) };
        };
        match kind {
            Kind::Data => duplex.receive(flags, body),
            Kind::Credit => {
                let (paid, sender) = duplex.add_credit(message::read_credit(body.as_slice())?)?;
                if !paid && !self.budget.draw(now) {
                    return Err(ProtocolError::CalmDown { kind });
                }
                Ok(sender)
            }
            _ => duplex.half_close(),
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
        let stream = flags & flags::MORE != 0;
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
            self.admit(id, refusal.or_else(|| self.unsupported(flags)).or_else(|| expired(time_left)))?;
        if stream && !matches!(admission, Admission::Admitted) {
            self.forgo_stream();
        }
        Ok(Request { id, method, admission, time_left, metadata, stream, body: body.skip(body_at) })
    }

    #[inline]
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

    #[inline]
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

    #[inline]
    fn unsupported(&self, flags: u8) -> Option<Status> {
        if flags & flags::COMPRESSED != 0 {
            return Some(Status::unimplemented("compressed bodies are not supported"));
        }
        let limit = self.limits.max_streams;
        if flags & flags::MORE != 0 && self.streams.len() >= limit as usize {
            return Some(Status::resource_exhausted(format!("more than {limit} streams on one connection")));
        }
        None
    }

    /// The stream of an admitted request. `inline`: its handler is polled in the connection's task.
    pub fn open_stream(&mut self, id: CallId, hub: &Arc<Hub>, inline: bool) -> Arc<Duplex> {
        let duplex = Duplex::opened_to_server(id, hub.clone(), inline);
        self.streams.insert(id, duplex.clone());
        self.hub.get_or_insert_with(|| hub.clone());
        duplex
    }

    /// There will be no stream for a request with one: what its client sends before it knows that is
    /// dropped.
    pub fn forgo_stream(&mut self) {
        let Limits { window, max_frame, .. } = self.limits;
        let cost = u64::from(window) + u64::from(window / 8) + late_item(max_frame) + late(0);
        self.budget.pay_late(cost, 1);
    }

    /// The client has closed its side: no items come any more.
    pub fn cut_off(&self) {
        self.streams.values().for_each(|duplex| duplex.cut_off());
    }

    /// The terminal frame of an admitted request was appended. Its stream, if it had one, is over.
    #[inline]
    pub fn end(&mut self, id: CallId) {
        self.in_flight -= 1;
        if !self.streams.is_empty() {
            self.end_stream(id);
        }
    }

    fn end_stream(&mut self, id: CallId) {
        if let Some(duplex) = self.streams.remove(&id) {
            let (cost, credits) = duplex.late();
            self.budget.pay_late(cost + late(0), credits);
            duplex.end_now(Outcome::GivenUp);
        }
    }

    /// Appends the Pong that is owed, if one is: many Pings get one Pong, to the last of them.
    #[inline]
    pub fn answer_ping(&mut self, out: &mut Output) {
        if let Some(token) = self.pong.take() {
            out.put(Kind::Pong, 0, CallId::from_wire(token), &[]);
        }
    }

    /// Appends a Ping, whose Pong is paid for with it.
    pub fn ping(&mut self, out: &mut Output) {
        self.budget.pay_pong();
        out.put(Kind::Ping, 0, CallId::NONE, &[]);
    }

    /// Appends a GoAway: requests that came so far are finished, later ones are ignored.
    pub fn go_away(&mut self, go_away: &GoAway, out: &mut Output) {
        let last = *self.going_away.get_or_insert(self.last);
        out.put(Kind::GoAway, 0, last, &go_away.to_body());
    }

    /// Whether a GoAway was sent.
    #[must_use]
    #[inline]
    pub fn is_going_away(&self) -> bool {
        self.going_away.is_some()
    }
}

#[inline]
fn expired(time_left: Option<Duration>) -> Option<Status> {
    time_left?.is_zero().then(|| Status::deadline_exceeded("the deadline had passed when the call was sent"))
}

#[cfg(test)]
mod tests;
