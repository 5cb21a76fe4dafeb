//! Asking whether the server is there, and being asked.

use std::time::Instant;

use super::Calls;
use crate::call_id::CallId;
use crate::frame::Kind;
use crate::output::Output;

impl Calls {
    /// Appends the Pong that is owed, if one is: many Pings get one Pong, to the last of them.
    #[inline]
    pub fn answer_ping(&mut self, out: &mut Output) {
        if let Some(token) = self.pong.take() {
            out.put(Kind::Pong, 0, CallId::from_wire(token), &[]);
        }
    }

    /// Appends a Ping, unless it is one more than a server has to bear (`now` is what it counts by):
    /// false then. The Pong comes with the same token or a later one's.
    pub fn ping(&mut self, token: u64, now: Instant, out: &mut Output) -> bool {
        let fair = self.asking.ping(now);
        if fair {
            self.budget.pay_pong();
            out.put(Kind::Ping, 0, CallId::from_wire(token), &[]);
        }
        fair
    }

    /// Whether a Pong is owed.
    #[must_use]
    pub fn owes_pong(&self) -> bool {
        self.pong.is_some()
    }
}
