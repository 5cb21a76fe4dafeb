//! The protocol core of RPC over HTTP CONNECT.

pub mod body;
pub mod format;
pub mod handshake;
pub mod limits;

pub use body::Body;
pub use format::Format;
pub use limits::Limits;
