//! The protocol core of RPC over HTTP CONNECT.
//!
//! Everything that does not need a socket, a clock or a runtime: bytes come in, events go out, and
//! what is to be sent is appended to a buffer of the caller's.
//!
//! - What a contract and its handlers are written with: [`service`](macro@service), [`Context`],
//!   [`Status`], [`Service`], [`Caller`]; with streams [`Streaming`], [`Sender`], [`StreamCall`].
//! - The wire: [`handshake`], [`frame`], [`input`] (with [`spare`] memory) and [`output`], [`message`], [`metadata`],
//!   [`mod@format`].
//! - Both ends of a connection as tables of calls: [`client::Calls`], [`server::Calls`], with their
//!   [`stream`]s, which the two shells alone need; and
//!   [`lane`], which runs handlers; [`liveness`], which asks whether the other end is there.
//!
//! `docs/protocol.md` in the repository is the wire's specification.

#![forbid(unsafe_code)]

// What `#[service]` generates names this crate from outside; the health service is in it.
extern crate self as rpc_core;

pub mod body;
mod budget;
pub mod call_id;
pub mod caller;
mod cancel;
pub mod client;
pub mod context;
pub mod error;
pub mod format;
pub mod frame;
pub mod handshake;
pub mod health;
pub mod input;
pub mod jitter;
pub mod lane;
pub mod limits;
pub mod liveness;
pub mod message;
pub mod metadata;
pub mod output;
pub mod peer;
#[cfg(planted)]
#[doc(hidden)]
pub mod planted;
pub mod server;
pub mod service;
pub mod spare;
pub mod status;
pub mod stream;
pub mod streaming;
mod sync;

pub use body::Body;
pub use call_id::CallId;
pub use caller::{Call, Caller, Reply};
pub use cancel::CancelReason;
pub use context::Context;
pub use error::{MetadataError, ProtocolError};
pub use format::Format;
pub use limits::Limits;
pub use metadata::Metadata;
pub use peer::{Origin, Peer, TlsPeer, UnixPeer};
pub use rpc_macros::service;
pub use service::{Execution, Method, Service};
pub use status::{Code, Executed, Status};
pub use streaming::{
    Answer, BidiStream, ClientStream, SendError, Sender, ServerStream, Stream, StreamCall, Streaming,
};
