//! The task of a connection, as the client's `Connection` is one, with the server at the other end of it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use rpc_core::input::Input;
use rpc_core::limits::Limits;
use rpc_core::output::Output;
use shuttle::rand::{Rng, thread_rng};

use crate::error::Lost;
use crate::server::Server;
use crate::shared::{Demand, Shared};

/// What the server does besides answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// Nothing.
    Faithful,
    /// Answers no call.
    Silent,
    /// Does not even read.
    Stuck,
    /// Takes no new calls after some.
    GoesAway,
    /// Is gone after some turns.
    Leaves,
}

pub(crate) struct Task {
    shared: Arc<Shared>,
    server: Server,
    input: Input,
    writing: Output,
    woken: Vec<Waker>,
    habit: Habit,
    now: Instant,
}

impl Task {
    pub(crate) fn new(shared: &Arc<Shared>, limits: Limits, habit: Habit) -> Self {
        let now = Instant::now();
        Self {
            shared: shared.clone(),
            server: Server::new(limits, now),
            input: Input::new(limits.max_frame),
            writing: Output::default(),
            woken: Vec::new(),
            habit,
            now,
        }
    }

    /// The time at which it began; for this task it is later only when it has waited.
    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    fn turn(&mut self, waker: &Waker) -> Poll<Lost> {
        loop {
            let mut rng = thread_rng();
            if self.habit == Habit::Leaves && rng.gen_ratio(1, 8) {
                return Poll::Ready(Lost::Eof);
            }
            if self.habit == Habit::GoesAway && rng.gen_ratio(1, 8) {
                self.server.go_away();
            }
            let answers = !matches!(self.habit, Habit::Silent | Habit::Stuck) && self.server.owes();
            if answers && rng.gen_ratio(1, 2) {
                self.server.answer();
            }
            self.take_answers();
            let (demand, deadline) = self.shared.poll_demand(waker, self.habit != Habit::Stuck);
            match demand {
                Demand::Write(_) => self.write(),
                Demand::Close => return Poll::Ready(Lost::Closed),
                Demand::Leave => return Poll::Ready(self.shared.lost()),
                Demand::Nothing if answers => {}
                Demand::Nothing => {
                    let Some(deadline) = deadline else { return Poll::Pending };
                    // Nothing but time can come.
                    self.now = deadline.max(self.now + Duration::from_millis(1));
                    self.shared.expire(self.now);
                }
            }
        }
    }

    fn write(&mut self) {
        self.shared.take_output(&mut self.writing, 0);
        let bytes = std::mem::take(&mut self.writing).to_vec();
        self.server.receive(&bytes);
    }

    fn take_answers(&mut self) {
        let mut bytes = self.server.output();
        if bytes.is_empty() {
            return;
        }
        loop {
            let received = self.shared.receive(self.now, &mut self.woken, &mut self.input, &bytes);
            self.woken.drain(..).for_each(Waker::wake);
            if !received.expect("an honest server").kept {
                return;
            }
            bytes.clear();
        }
    }
}

impl Future for Task {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let lost = std::task::ready!(this.turn(cx.waker()));
        if let Lost::Closed = lost {
            this.shared.cancel_all();
            this.shared.take_output(&mut this.writing, 0);
        }
        this.shared.end(lost, this.writing.len());
        Poll::Ready(())
    }
}
