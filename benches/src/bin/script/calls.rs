//! A client that makes calls without streams.

use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use benches::contract::Args;
use bytes::Bytes;
use rpc_core::client::{Outcome, RequestHead};
use rpc_core::output::Output;
use rpc_core::{Body, CallId, Metadata};

use crate::FORMAT;
use crate::client::{Client, Connection};

/// A class of calls.
#[derive(Clone, Copy)]
pub(crate) enum Class {
    /// `Arith.Multiply`, by its index.
    Small,
    /// `Echo.Echo` of 4 KiB.
    Body,
    /// `Echo.Echo` of 1 MiB.
    Large,
    /// `Arith.Multiply` with a deadline and two pairs of metadata.
    Adorned,
}

pub(crate) struct Calls {
    class: Class,
    /// Calls that were not made yet.
    left: usize,
    connection: Connection,
    open: Vec<CallId>,
    scratch: Vec<u8>,
    answer: Vec<u8>,
    body: Bytes,
    metadata: Metadata,
}

impl Class {
    /// Calls in flight, which go through each side together, as they do behind a socket.
    fn batch(self) -> usize {
        match self {
            Class::Large => 4,
            _ => 64,
        }
    }

    fn body(self) -> usize {
        match self {
            Class::Small | Class::Adorned => 0,
            Class::Body => 4096,
            Class::Large => 1 << 20,
        }
    }
}

impl Calls {
    pub(crate) fn new(class: Class, calls: usize, now: Instant) -> Result<Self> {
        let mut metadata = Metadata::new();
        metadata.insert("tenant", "a")?;
        metadata.insert("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")?;
        Ok(Self {
            class,
            left: calls,
            connection: Connection::new(now),
            open: Vec::new(),
            scratch: Vec::new(),
            answer: Vec::new(),
            body: vec![7; class.body()].into(),
            metadata,
        })
    }

    fn call(&mut self) -> Result<()> {
        self.scratch.clear();
        let (method, time_left, metadata) = match self.class {
            Class::Small => ("Arith.Multiply", None, &Metadata::EMPTY),
            Class::Body | Class::Large => ("Echo.Echo", None, &Metadata::EMPTY),
            Class::Adorned => ("Arith.Multiply", Some(Duration::from_secs(1)), &self.metadata),
        };
        let shared = match self.class {
            Class::Body | Class::Large => FORMAT.encode_split(&self.body, &mut self.scratch)?,
            Class::Small | Class::Adorned => FORMAT.encode_split(&Args { a: 7, b: 8 }, &mut self.scratch)?,
        };
        let head = RequestHead { method, time_left, metadata, stream: None };
        self.open.push(self.connection.open(head, &self.scratch, shared)?);
        Ok(())
    }

    fn take_answers(&mut self) -> Result<()> {
        for id in self.open.drain(..) {
            let polled = self.connection.calls.poll(id, Waker::noop(), &mut self.answer, &mut None);
            let Poll::Ready(Outcome::Response { large, .. }) = polled else { bail!("no answer to {id}") };
            let body = large.map_or(Body::Borrowed(&self.answer), Body::Owned);
            match self.class {
                Class::Body | Class::Large => {
                    ensure!(FORMAT.decode::<Bytes>(body)?.len() == self.body.len());
                }
                Class::Small | Class::Adorned => ensure!(FORMAT.decode::<i64>(body)? == 56),
            }
        }
        Ok(())
    }
}

impl Client for Calls {
    fn turn(&mut self, came: &[u8]) -> Result<Option<&mut Output>> {
        self.connection.receive(came)?;
        self.take_answers()?;
        let count = self.left.min(self.class.batch());
        for _ in 0..count {
            self.call()?;
        }
        self.left -= count;
        Ok((count > 0).then(|| self.connection.send(0)))
    }
}
