//! Which streams of a connection have something to send.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

use super::duplex::Duplex;
use crate::limits::Limits;
use crate::output::Output;
use crate::sync::{Mutex, MutexGuard, PoisonError};

/// What one stream sends before it is the next one's turn.
const TURN: usize = 16 * 1024;

/// Which side of a connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It opens the streams.
    Client,
    /// It answers them.
    Server,
}

/// Bytes that many connections share a limit for.
#[derive(Clone, Debug)]
pub struct Memory {
    /// Bytes in use.
    pub used: Arc<AtomicUsize>,
    /// The limit.
    pub max: usize,
}

/// What the streams of a connection share: its limits, and the queue of those that have something to
/// send.
#[derive(Debug)]
pub struct Hub {
    pub(super) side: Side,
    /// What this side takes.
    pub(super) own: Limits,
    /// What the peer takes.
    pub(super) peer: Limits,
    memory: Option<Memory>,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    ready: VecDeque<Arc<Duplex>>,
    /// Whoever writes for the connection, when it saw the queue empty.
    writer: Option<Waker>,
    idle: bool,
    /// The connection is over.
    closed: bool,
}

impl Hub {
    /// For a connection that takes `own`, to a peer that takes `peer`. What comes counts as `memory`
    /// until it is consumed.
    #[must_use]
    pub fn new(side: Side, own: Limits, peer: Limits, memory: Option<Memory>) -> Arc<Self> {
        Arc::new(Self { side, own, peer, memory, queue: Mutex::default() })
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a stream has something to send; if not, `writer` is woken when one has.
    pub fn poll(&self, writer: &Waker) -> bool {
        let mut queue = self.queue();
        let ready = !queue.ready.is_empty();
        queue.idle = !ready;
        let old = match &queue.writer {
            Some(old) if old.will_wake(writer) => None,
            _ => queue.writer.replace(writer.clone()),
        };
        drop(queue);
        drop(old);
        ready
    }

    pub(super) fn push(&self, duplex: Arc<Duplex>) {
        let mut queue = self.queue();
        if queue.closed {
            drop(queue);
            return drop(duplex);
        }
        queue.ready.push_back(duplex);
        let writer = if std::mem::take(&mut queue.idle) { queue.writer.clone() } else { None };
        drop(queue);
        writer.into_iter().for_each(Waker::wake);
    }

    /// The connection is over: nothing is sent any more. Streams that stand in the queue would hold it,
    /// and it them, for ever. Returns the writer's waker, to be dropped outside any lock.
    pub fn close(&self) -> Option<Waker> {
        let mut queue = self.queue();
        queue.closed = true;
        let (ready, writer) = (std::mem::take(&mut queue.ready), queue.writer.take());
        drop(queue);
        drop(ready);
        writer
    }

    /// The streams that have something to send now, for [`fill`](Self::fill). Whatever stands before
    /// their first frames (their Requests) has to be taken between the two.
    #[must_use]
    pub fn take(&self) -> Ready {
        let mut queue = self.queue();
        queue.idle = false;
        Ready { streams: std::mem::take(&mut queue.ready) }
    }

    /// Appends to `out` what these streams have to send, each in its turn, until about `most` bytes
    /// are there; the others keep their places. Those to wake go to `woken`.
    pub fn fill(&self, ready: Ready, out: &mut Output, most: usize, woken: &mut Vec<Waker>) {
        let mut streams = ready.streams;
        while out.len() < most
            && let Some(duplex) = streams.pop_front()
        {
            if duplex.drain(out, TURN.min(most - out.len()), woken) {
                streams.push_back(duplex);
            }
        }
        if !streams.is_empty() {
            let mut queue = self.queue();
            if queue.closed {
                drop(queue);
                return drop(streams);
            }
            // Those that have come meanwhile stand behind.
            streams.append(&mut queue.ready);
            queue.ready = streams;
        }
    }

    /// Takes memory for what came, unless there is none.
    pub(super) fn reserve(&self, bytes: u64) -> bool {
        let Some(Memory { used, max }) = &self.memory else { return true };
        let bytes = bytes as usize;
        let before = used.fetch_add(bytes, Ordering::Relaxed);
        let enough = before.saturating_add(bytes) <= *max;
        if !enough {
            used.fetch_sub(bytes, Ordering::Relaxed);
        }
        enough
    }

    pub(super) fn release(&self, bytes: u64) {
        if let Some(Memory { used, .. }) = &self.memory {
            used.fetch_sub(bytes as usize, Ordering::Relaxed);
        }
    }
}

/// Streams with something to send.
#[derive(Debug)]
pub struct Ready {
    streams: VecDeque<Arc<Duplex>>,
}

impl Ready {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }
}
