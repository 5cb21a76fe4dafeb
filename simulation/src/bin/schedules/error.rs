//! The errors of the client and the core, as far as the files of theirs know them.

pub(crate) use rpc_core::error::ProtocolError;
use rpc_core::message::GoAway;

/// What became of a connection.
#[derive(Clone, Debug)]
pub(crate) enum Lost {
    /// This side closed it.
    Closed,
    /// The other side closed it.
    Eof,
    /// The server takes no new calls.
    GoingAway(#[expect(dead_code, reason = "read by people only")] Option<GoAway>),
}
