//! Streams: calls whose arguments or answers are many items, each direction with credit of its own.
//!
//! A [`Duplex`] is one such call as its connection and its two halves share it: what has come and was not
//! taken, what waits to go out, and how much more either side may send. A [`Hub`] knows which of a
//! connection's streams have something to send. Neither does I/O. This is for those who write a client or a
//! server; of what is in here, services meet [`Shape`] and [`Fault`] alone.

pub(crate) mod credit;
mod duplex;
mod halves;
mod hub;
mod inbox;
pub(crate) mod outbox;
mod parcel;

pub use credit::{ITEM_COST, MAX_CREDIT};
pub use duplex::Duplex;
pub use halves::{Closed, Next};
pub use hub::{Hub, Memory, Side};
pub use inbox::Batch;
pub(crate) use parcel::PackError;
pub use parcel::{Large, Parcel};

use crate::status::{Executed, Status};

/// Which directions of a call have items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// The server's: arguments go out, items come back.
    Server,
    /// The client's: items go out behind the arguments, one answer comes back.
    Client,
    /// Both.
    Bidi,
}

impl Shape {
    /// Whether the client sends items.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Shape::Client | Shape::Bidi)
    }

    /// Whether the server answers with items.
    #[must_use]
    pub const fn answers(self) -> bool {
        matches!(self, Shape::Server | Shape::Bidi)
    }
}

/// How the items of a stream end.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// All have come.
    Complete,
    /// With the server's refusal or the handler's error.
    Status(Box<Status>),
    /// With the connection.
    Lost(Executed),
    /// The call's time was up; the server was asked to give it up.
    Expired,
    /// This side gave the call up, or it is over for another reason.
    GivenUp,
    /// What the peer sent cannot be taken; the connection goes on.
    Fault(Fault),
}

/// What is wrong with what came on a stream, without harm to its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// An item grew over this side's limit for frames.
    #[error("an item is over the limit of {limit} bytes")]
    ItemTooLarge {
        /// The limit in bytes.
        limit: u32,
    },
    /// There is no memory for it.
    #[error("out of memory for streams")]
    OutOfMemory,
    /// The method answers with a stream where one value was expected, or the other way round.
    #[error("the method answers {}", if *.stream { "with a stream, and one value was expected" } else { "with one value, and a stream was expected" })]
    WrongShape {
        /// Whether it answers with a stream.
        stream: bool,
    },
}

#[cfg(test)]
mod tests;
