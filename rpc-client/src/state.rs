//! Whether a client is connected, for those who want to know.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use crate::connect_error::ConnectError;
use crate::endpoint::Phase;

/// Where a client stands with its server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConnectionState {
    /// Nobody has called yet, and the client was told to connect at the first call; or nobody has called
    /// for so long that the server has closed the connection. The next call connects.
    Idle,
    /// An attempt to connect is under way; calls wait for its end.
    Connecting,
    /// Connected.
    Ready,
    /// The last attempt failed. The next one comes after a wait, or with the next call when the client does
    /// not reconnect. Until then calls fail at once with this error, or wait: see
    /// [`Builder::wait_for_ready`](crate::Builder::wait_for_ready).
    Failed(Arc<ConnectError>),
    /// No call can be made any more: the client was closed, or its connection is lost and it does
    /// not reconnect.
    Closed,
}

impl ConnectionState {
    pub(crate) fn of(phase: &Phase, reconnects: bool) -> Self {
        match phase {
            Phase::Idle | Phase::Unused => ConnectionState::Idle,
            Phase::Connecting => ConnectionState::Connecting,
            Phase::Ready(link) if link.shared.is_over() => match reconnects {
                true if link.shared.was_unused() => ConnectionState::Idle,
                true => ConnectionState::Connecting,
                false => ConnectionState::Closed,
            },
            Phase::Ready(_) => ConnectionState::Ready,
            Phase::Failed(error) => ConnectionState::Failed(error.clone()),
            Phase::Closed => ConnectionState::Closed,
        }
    }
}

/// Follows the [`ConnectionState`] of a client; see [`Client::watch_state`](crate::Client::watch_state).
///
/// Does not keep the client alive.
pub struct StateWatch {
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) reconnects: bool,
}

impl StateWatch {
    /// The state now.
    #[must_use]
    pub fn current(&mut self) -> ConnectionState {
        ConnectionState::of(&self.phase.borrow_and_update(), self.reconnects)
    }

    /// Waits for the state to change since it was last looked at here. States that come and go
    /// meanwhile are passed over; the same one may be told twice. `None` once the client is gone.
    ///
    /// # Cancel safety
    /// Safe to drop: no change is lost.
    pub async fn changed(&mut self) -> Option<ConnectionState> {
        self.phase.changed().await.ok()?;
        Some(self.current())
    }
}

impl fmt::Debug for StateWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = ConnectionState::of(&self.phase.borrow(), self.reconnects);
        f.debug_struct("StateWatch").field("state", &state).finish()
    }
}
