//! The client's side of the connection, whatever it is used for.

use std::task::Waker;
use std::time::Instant;

use anyhow::Result;
use bytes::Bytes;
use rpc_core::client::{Calls, RequestHead};
use rpc_core::input::Input;
use rpc_core::output::Output;
use rpc_core::{CallId, Limits};

use crate::wire::receive;

/// Somebody with calls to make.
pub(crate) trait Client {
    /// Takes what came; what goes out then. `None`: all is done.
    fn turn(&mut self, came: &[u8]) -> Result<Option<&mut Output>>;
}

pub(crate) struct Connection {
    pub(crate) calls: Calls,
    input: Input,
    out: Output,
    /// Bytes that left `out`.
    sent: u64,
    woken: Vec<Waker>,
    now: Instant,
}

impl Connection {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            calls: Calls::new(Limits::default(), Limits::default()),
            input: Input::new(Limits::default().max_frame),
            out: Output::default(),
            sent: 0,
            woken: Vec::new(),
            now,
        }
    }

    pub(crate) fn open(
        &mut self,
        head: RequestHead<'_>,
        body: &[u8],
        shared: Option<Bytes>,
    ) -> Result<CallId> {
        let waker = Some(Waker::noop().clone());
        Ok(self.calls.open(head, body, shared, waker, &mut self.out, self.sent)?)
    }

    pub(crate) fn receive(&mut self, came: &[u8]) -> Result<()> {
        let Self { calls, input, woken, now, .. } = self;
        receive(input, came, |frame| {
            calls.receive(frame, *now, woken)?;
            Ok(())
        })?;
        woken.drain(..).for_each(Waker::wake);
        Ok(())
    }

    /// All that is to go out now, with `most` bytes of items or so.
    pub(crate) fn send(&mut self, most: usize) -> &mut Output {
        let Self { calls, out, woken, .. } = self;
        let (hub, before) = (calls.hub(), out.len());
        hub.fill(hub.take(), out, before + most, woken);
        woken.drain(..).for_each(Waker::wake);
        self.sent += self.out.len() as u64;
        &mut self.out
    }
}
