//! Call ids: who opened the call, a counter that only grows, and the opener's slot.

use std::fmt;

/// The id of one call on one connection.
///
/// From the highest bit: 1 bit for the side that opened it (0: client), 47 bits of a
/// connection-wide counter that starts at 1, 16 bits for the opener's own slot. Ids compare in the
/// order in which their requests stand on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(u64);

const SLOT_BITS: u32 = 16;
const COUNTER_BITS: u32 = 47;

/// The last value of the counter; a connection that reaches it opens no more calls.
pub const MAX_COUNTER: u64 = (1 << COUNTER_BITS) - 1;

impl CallId {
    /// Lower than the id of every call: the "nothing has started" of a GoAway.
    pub const NONE: CallId = CallId(0);

    /// The id of the client's call number `counter`, kept in `slot`.
    #[must_use]
    pub const fn client(counter: u64, slot: u16) -> Self {
        Self(((counter & MAX_COUNTER) << SLOT_BITS) | slot as u64)
    }

    /// The id as it stands on the wire.
    #[must_use]
    pub const fn from_wire(raw: u64) -> Self {
        Self(raw)
    }

    /// The 64 bits for the wire.
    #[must_use]
    pub const fn to_wire(self) -> u64 {
        self.0
    }

    /// Whether the client opened the call; in version 1 only the client does.
    #[must_use]
    pub const fn is_client(self) -> bool {
        self.0 >> (SLOT_BITS + COUNTER_BITS) == 0
    }

    /// The counter.
    #[must_use]
    pub const fn counter(self) -> u64 {
        (self.0 >> SLOT_BITS) & MAX_COUNTER
    }

    /// The slot, where the opener finds the call again without a hash.
    #[must_use]
    pub const fn slot(self) -> u16 {
        self.0 as u16
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.counter(), self.slot())
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_shown_as_its_counter_and_its_slot() {
        assert_eq!(CallId::client(7, 3).to_string(), "7/3");
    }

    #[test]
    fn ids_order_by_counter_whatever_the_slot() {
        assert!(CallId::client(1, u16::MAX) < CallId::client(2, 0));
        assert!(CallId::NONE < CallId::client(1, 0));
    }

    #[test]
    fn parts_come_back_and_the_side_bit_is_the_highest() {
        let id = CallId::client(MAX_COUNTER, 7);
        assert_eq!((id.counter(), id.slot(), id.is_client()), (MAX_COUNTER, 7, true));
        assert!(!CallId::from_wire(1 << 63).is_client());
    }
}
