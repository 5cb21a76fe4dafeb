//! The protocol core of RPC over HTTP CONNECT.

#![forbid(unsafe_code)]

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
pub mod input;
pub mod lane;
pub mod limits;
pub mod message;
pub mod metadata;
pub mod output;
pub mod server;
pub mod service;
pub mod status;

pub use body::Body;
pub use call_id::CallId;
pub use caller::{Call, Caller, Reply};
pub use cancel::CancelReason;
pub use context::{Context, Peer};
pub use error::{MetadataError, ProtocolError};
pub use format::Format;
pub use limits::Limits;
pub use metadata::Metadata;
pub use service::{Execution, Method, Service};
pub use status::{Code, Executed, Status};
