//! Clients of one stream: one that takes its items, and one that sends them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use anyhow::{Context as _, Error, Result, anyhow, ensure};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};
use rpc_core::client::RequestHead;
use rpc_core::format::DecodeError;
use rpc_core::output::Output;
use rpc_core::stream::Outcome;
use rpc_core::streaming::{Ending, Opened, StreamShape};
use rpc_core::{Answer, ClientStream, Metadata, SendError, ServerStream, Streaming};
use serde::Serialize;

use crate::FORMAT;
use crate::client::{Client, Connection};

/// Bytes of an item.
pub(crate) const ITEM: usize = 64;

/// Bytes of items that go out in one turn or so, as both shells have it.
pub(crate) const FILL: usize = 64 * 1024;

/// Takes the items of a stream as fast as they come.
pub(crate) struct Download {
    connection: Connection,
    items: Streaming<Bytes, Error>,
    left: usize,
}

/// Sends items as fast as there is room for them, and waits for the answer.
pub(crate) struct Upload {
    connection: Connection,
    /// Until all are sent.
    sending: Option<BoxFuture<'static, Result<(), SendError>>>,
    answer: Answer<usize, Error>,
    count: usize,
}

impl Download {
    pub(crate) fn new(count: usize, now: Instant) -> Result<Self> {
        let mut connection = Connection::new(now);
        let items = open::<ServerStream<Bytes>>(&mut connection, "Items.Take", &count)?;
        Ok(Self { connection, items, left: count })
    }
}

impl Client for Download {
    fn turn(&mut self, came: &[u8]) -> Result<Option<&mut Output>> {
        self.connection.receive(came)?;
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(item) = self.items.poll_next_unpin(&mut cx) {
            let Some(item) = item else {
                ensure!(self.left == 0, "{} items are missing", self.left);
                return Ok(None);
            };
            ensure!(item?.len() == ITEM, "the item has another size");
            self.left -= 1;
        }
        Ok(Some(self.connection.send(FILL)))
    }
}

impl Upload {
    pub(crate) fn new(count: usize, now: Instant) -> Result<Self> {
        let mut connection = Connection::new(now);
        let opened = open::<ClientStream<Bytes, usize>>(&mut connection, "Items.Put", &())?;
        let ((mut sender, answer), item) = (opened, Bytes::from(vec![7; ITEM]));
        let sending = async move {
            sender.send_all(stream::repeat_with(|| item.clone()).take(count)).await?;
            sender.finish();
            Ok(())
        };
        Ok(Self { connection, sending: Some(sending.boxed()), answer, count })
    }
}

impl Client for Upload {
    fn turn(&mut self, came: &[u8]) -> Result<Option<&mut Output>> {
        self.connection.receive(came)?;
        let mut cx = Context::from_waker(Waker::noop());
        if let Some(sending) = &mut self.sending
            && let Poll::Ready(sent) = sending.as_mut().poll(&mut cx)
        {
            sent?;
            self.sending = None;
        }
        if let Poll::Ready(answer) = Pin::new(&mut self.answer).poll(&mut cx) {
            ensure!(answer? == self.count, "some items did not come");
            return Ok(None);
        }
        Ok(Some(self.connection.send(FILL)))
    }
}

/// Opens a stream, as a client's handle does.
fn open<S: StreamShape>(
    connection: &mut Connection,
    method: &str,
    args: &(impl Serialize + 'static),
) -> Result<S::Made<Error>> {
    let mut body = Vec::new();
    let shared = FORMAT.encode_split(args, &mut body)?;
    let head = RequestHead { method, time_left: None, metadata: &Metadata::EMPTY, stream: Some(S::SHAPE) };
    let id = connection.open(head, &body, shared)?;
    let duplex = connection.calls.stream(id).context("no stream")?.clone();
    Ok(S::made(Opened { format: FORMAT, duplex, ending: Box::new(End), keep: Arc::new(()) }))
}

/// How the client's streams end: well, or the script does not go on.
struct End;

impl Ending for End {
    type Error = Error;

    fn ended(&mut self, outcome: Outcome) -> Option<Error> {
        match outcome {
            Outcome::Complete => None,
            other => Some(anyhow!("the stream has ended: {other:?}")),
        }
    }

    fn undecodable(&mut self, source: DecodeError) -> Error {
        source.into()
    }
}
