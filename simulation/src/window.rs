//! How much of one direction of a connection may be on its way: turmoil counts segments, of any size.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// One direction of a connection. The reader's end opens it again.
#[derive(Debug)]
pub struct Window {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    room: usize,
    waker: Option<Waker>,
    /// The reader is gone: whatever is sent now, nobody holds it up.
    abandoned: bool,
}

impl Window {
    /// Open for so many bytes.
    #[must_use]
    pub fn new(room: usize) -> Self {
        Self { state: Mutex::new(State { room, waker: None, abandoned: false }) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many bytes may be sent, once any may.
    pub fn poll_room(&self, cx: &mut Context<'_>) -> Poll<usize> {
        let mut state = self.lock();
        if state.abandoned {
            return Poll::Ready(usize::MAX);
        }
        if state.room == 0 {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(state.room)
    }

    /// So many were sent.
    pub fn sent(&self, bytes: usize) {
        let mut state = self.lock();
        state.room = state.room.saturating_sub(bytes);
    }

    /// So many were read.
    pub fn read(&self, bytes: usize) {
        let mut state = self.lock();
        state.room += bytes;
        let waker = if bytes > 0 { state.waker.take() } else { None };
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Nobody reads any more.
    pub fn abandon(&self) {
        let mut state = self.lock();
        state.abandoned = true;
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }
}
