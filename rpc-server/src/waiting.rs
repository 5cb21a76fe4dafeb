//! A call whose handler was not ready at once.

use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use rpc_core::context::Cancelled;
use rpc_core::lane::Running;
use rpc_core::{CancelReason, Context, Execution, Status};
use rpc_io::now;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::Span;

use crate::interceptor::Intercepted;
use crate::registry::Entry;
use crate::state::State;

/// What is kept of a call besides its handler.
pub(crate) struct Record {
    pub(crate) entry: Arc<Entry>,
    pub(crate) context: Context,
    pub(crate) intercepted: Option<Intercepted>,
    pub(crate) span: Span,
    /// The server's limit, if that is what its deadline comes from.
    pub(crate) limit: Option<Duration>,
}

/// What a waiting call holds until its handler has truly ended, also after its connection: memory,
/// its place in the counts, and the end of a shutdown.
pub(crate) struct Held {
    memory: Arc<AtomicUsize>,
    bytes: usize,
    entry: Arc<Entry>,
    _tracked: TaskTrackerToken,
}

impl Held {
    pub(crate) fn new(server: &State, entry: &Arc<Entry>, bytes: usize) -> Self {
        let memory = server.memory.clone();
        memory.fetch_add(bytes, Ordering::Relaxed);
        entry.count_waiting();
        let _tracked = server.shutdown.connections.token();
        Self { memory, bytes, entry: entry.clone(), _tracked }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.memory.fetch_sub(self.bytes, Ordering::Relaxed);
        self.entry.count_waited();
    }
}

enum Work {
    /// Polled in the connection's own task.
    Inline(Box<dyn Running>),
    /// In a task of its own, or on a thread for blocking work.
    Apart(JoinHandle<Box<dyn Running>>),
    Over,
}

/// Ends with the call: by itself, or because the call was given up. Until the handler has truly
/// ended it counts as running: a blocking one is waited for.
pub(crate) struct Waiting {
    work: Work,
    record: Option<Record>,
    /// Of a handler that is polled here; another takes it along.
    _held: Option<Held>,
    cancelled: Cancelled,
    given_up: Option<CancelReason>,
}

/// A call that is over, ready to be answered.
pub(crate) struct Done {
    pub(crate) record: Record,
    /// What is left of the handler, to encode the answer; or the answer, when nothing is left.
    pub(crate) running: Result<Box<dyn Running>, Status>,
}

impl Waiting {
    pub(crate) fn new(running: Box<dyn Running>, execution: Execution, record: Record, held: Held) -> Self {
        let cancelled = record.context.cancelled();
        let span = record.span.clone();
        let run = |mut running: Box<dyn Running>, held: Held| async move {
            poll_fn(|cx| span.in_scope(|| running.poll(cx))).await;
            drop(held);
            running
        };
        let mut inline = None;
        let work = match execution {
            Execution::Spawn => Work::Apart(tokio::spawn(run(running, held))),
            Execution::Blocking => {
                let (runtime, run) = (Handle::current(), run(running, held));
                Work::Apart(tokio::task::spawn_blocking(move || runtime.block_on(run)))
            }
            _ => {
                inline = Some(held);
                Work::Inline(running)
            }
        };
        Self { work, record: Some(record), _held: inline, cancelled, given_up: None }
    }

    fn give_up(&mut self, reason: CancelReason) {
        self.given_up = Some(reason);
        let status = self.status_of(reason);
        match &mut self.work {
            Work::Inline(running) => running.fail(status),
            // No effect on blocking work that has begun: its context tells it.
            Work::Apart(task) => task.abort(),
            Work::Over => {}
        }
    }

    /// What the caller of a call that was given up is told.
    fn status_of(&self, reason: CancelReason) -> Status {
        let limit = self.record.as_ref().and_then(|record| record.limit);
        match (reason, limit) {
            (CancelReason::Deadline, Some(limit)) => {
                Status::deadline_exceeded(format!("the server gives a call no more than {limit:?}"))
            }
            (CancelReason::Deadline, None) => Status::deadline_exceeded("the call's deadline passed"),
            (CancelReason::Shutdown, _) => Status::unavailable("the server shut down before the call ended"),
            (CancelReason::ConnectionAge, _) => {
                Status::unavailable("the connection reached its largest age before the call ended")
            }
            _ => Status::cancelled("the caller gave the call up"),
        }
    }

    fn poll_work(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<Box<dyn Running>, Status>> {
        let polled = match &mut self.work {
            Work::Inline(running) => match (self.given_up, &self.record) {
                (None, Some(record)) => {
                    let before = now();
                    let polled = record.span.in_scope(|| running.poll(cx)).map(|()| None);
                    record.entry.note_time(now() - before);
                    polled
                }
                _ => Poll::Ready(None),
            },
            Work::Apart(task) => Pin::new(task).poll(cx).map(Some),
            Work::Over => Poll::Pending,
        };
        let joined = ready!(polled);
        Poll::Ready(match (mem::replace(&mut self.work, Work::Over), joined) {
            (Work::Inline(running), _) => Ok(running),
            (_, Some(Ok(mut running))) => {
                if let Some(reason) = self.given_up {
                    running.fail(self.status_of(reason));
                }
                Ok(running)
            }
            _ => Err(match self.given_up {
                Some(reason) => self.status_of(reason),
                None => Status::internal("the handler was lost"),
            }),
        })
    }
}

impl Future for Waiting {
    type Output = Done;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Done> {
        if self.given_up.is_none()
            && let Poll::Ready(reason) = Pin::new(&mut self.cancelled).poll(cx)
        {
            self.give_up(reason);
        }
        let running = ready!(self.poll_work(cx));
        match self.record.take() {
            Some(record) => Poll::Ready(Done { record, running }),
            None => Poll::Pending,
        }
    }
}

impl Drop for Waiting {
    /// The connection is gone.
    fn drop(&mut self) {
        let Some(record) = &self.record else { return };
        record.context.cancel(CancelReason::Disconnected);
        record.entry.count_error();
        if let Work::Apart(task) = &self.work {
            task.abort();
        }
    }
}
