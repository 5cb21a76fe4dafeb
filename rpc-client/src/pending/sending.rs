//! How a call gets on its way: its options, a connection, and another one when that is lost.

use std::mem;
use std::sync::Arc;
use std::task::Waker;

use rpc_core::Executed;
use rpc_core::body::LARGE_BODY;
use rpc_core::caller::Options;
use rpc_core::client::{OpenError, RequestHead};
use rpc_core::format::EncodeError;
use rpc_io::{now, with_scratch};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Intercepted, Pending, State};
use crate::args::Args;
use crate::error::{Error, Lost};
use crate::interceptor::Outgoing;
use crate::link::Link;
use crate::shared::Rejected;
use crate::until::Until;

/// A call that may be repeated is sent so often at the most: a request that brings servers down must
/// not bring down all of them.
pub(crate) const MOST_SENDS: u8 = 5;

impl<A: Serialize + Send, R: DeserializeOwned + Send + 'static> Pending<A, R> {
    pub(super) fn encode_error(&self, source: EncodeError) -> Error {
        Error::Encode { call: self.info(), source }
    }

    /// Takes the options to heart and lets the interceptors see the call.
    #[inline]
    pub(super) fn prepare(&mut self) -> Result<(), Error> {
        self.state = State::Ready;
        if self.options.is_none() && self.endpoint.timeout.is_none() && self.endpoint.interceptors.is_empty()
        {
            return Ok(());
        }
        self.prepare_in_full()
    }

    #[inline(never)]
    fn prepare_in_full(&mut self) -> Result<(), Error> {
        let options = self.options.take().map_or_else(Options::default, |options| *options);
        let Options { timeout, parent, metadata, idempotent, .. } = options;
        self.idempotent = idempotent;
        self.metadata = metadata.map_err(|source| Error::Metadata { call: self.info(), source })?;
        self.until = Until::new(timeout.or(self.endpoint.timeout), parent);
        if !self.until.is_never()
            && let Some(stop) = self.until.already()
        {
            return Err(Error::stopped(self.info(), stop, Executed::No));
        }
        if self.endpoint.interceptors.is_empty() {
            return Ok(());
        }
        let endpoint = self.endpoint.clone();
        let deadline = self.until.deadline();
        let made = now();
        let intercepted = self.intercepted.insert(Box::new(Intercepted { made, agreed: 0 }));
        for (at, interceptor) in endpoint.interceptors.iter().enumerate() {
            let mut outgoing = Outgoing { method: &self.method, metadata: &mut self.metadata, deadline };
            if let Err(source) = interceptor.before(&mut outgoing) {
                return Err(Error::Intercepted { call: self.info(), source: source.into() });
            }
            intercepted.agreed = at + 1;
        }
        Ok(())
    }

    pub(super) fn submit(
        &mut self,
        link: Arc<Link>,
        waker: Option<&Waker>,
        ticket: Option<u64>,
    ) -> Result<(), Error> {
        let (deadline, time_left) = (self.until.deadline(), self.until.time_left());
        if time_left.is_some_and(|left| left.is_zero()) {
            return Err(Error::stopped(self.info(), self.until.expired(), Executed::No));
        }
        let head =
            RequestHead { method: &self.method, time_left, metadata: &self.metadata, stream: self.shape };
        let shared = &link.shared;
        let submitted = match &mut self.args {
            Args::Value(args, encode) => with_scratch(|body| {
                let tail = encode(link.format, args, body)?;
                Ok(match tail {
                    None if body.len() >= LARGE_BODY => {
                        shared.submit(head, deadline, &[], Some(mem::take(body).into()), waker, ticket)
                    }
                    tail => shared.submit(head, deadline, body, tail, waker, ticket),
                })
            }),
            Args::Encoded(encoded) => {
                let body = encoded.iter().find(|(format, _)| *format == link.format);
                let body = body.map(|(_, body)| body.clone()).unwrap_or_default();
                Ok(match body.len() {
                    LARGE_BODY.. => shared.submit(head, deadline, &[], Some(body), waker, ticket),
                    _ => shared.submit(head, deadline, &body, None, waker, ticket),
                })
            }
        };
        match submitted.map_err(|source| self.encode_error(source))? {
            Ok((id, duplex)) => {
                self.sends = self.sends.saturating_add(1);
                self.state = match duplex {
                    None => State::Sent(link, id),
                    Some(duplex) => State::Open(link, duplex),
                };
            }
            Err(Rejected::Queued(ticket)) => self.state = State::Queued(link, ticket),
            Err(Rejected::NoRoom) => self.state = State::Ready,
            Err(Rejected::Open(OpenError::GoingAway)) => self.move_on(link.shared.lost(), Executed::No)?,
            Err(Rejected::Open(OpenError::Exhausted)) if self.endpoint.reconnects() => {
                link.leaving.cancel();
                self.move_on(link.shared.lost(), Executed::No)?;
            }
            Err(Rejected::Open(source)) => {
                return Err(Error::Limit { call: self.info(), source });
            }
            Err(Rejected::Lost(lost)) => self.move_on(lost, Executed::No)?,
        }
        Ok(())
    }

    /// The connection is lost: goes on to the next one, if the call may and there will be one.
    pub(super) fn move_on(&mut self, lost: Lost, executed: Executed) -> Result<(), Error> {
        let may = executed == Executed::No || self.idempotent;
        // What a server did not take it may take never, as a frame that is too slow for it.
        let counts = executed != Executed::No || matches!(lost, Lost::GoingAway(_));
        let again = may && (!counts || self.sends < MOST_SENDS);
        if again && self.endpoint.reconnects() && !matches!(lost, Lost::Closed) {
            self.state = State::Connecting(Box::pin(self.endpoint.connected()));
            if executed != Executed::No {
                self.perhaps = Some(Box::new(lost));
            }
            return Ok(());
        }
        Err(Error::lost(self.info(), lost, executed))
    }
}
