//! The HTTP heads that open a connection, written, found, parsed and negotiated on plain buffers.
//!
//! A client sends `CONNECT /_rpc_ HTTP/1.0` with what it offers ([`Connect`]); the server finds the
//! end of that head ([`HeadBuffer`]), parses it ([`parse_request`]), decides ([`negotiate`]) and
//! writes its acceptance ([`write_acceptance`]) or a [`Refusal`]; the client finds and reads the
//! answer ([`parse_answer`]). Both sides end up with [`Terms`]. Bytes behind a head are handed back
//! untouched: they are the first frames.
//!
//! Where CONNECT does not get through, a request may ask in another way ([`Entry`]).
//!
//! Every header is optional: a bare `CONNECT /_rpc_ HTTP/1.0` and an empty line, ended by CRLF or
//! LF, means version 1, bincode and the default limits, and so does a bare `HTTP/1.0 200 Connected`.
//!
//! | header | in the request | in the acceptance | absent |
//! |---|---|---|---|
//! | `Rpc-Version` | the client's version | the server's version | 1 |
//! | `Rpc-Format` | body formats, in order of preference | the one chosen | `bincode` |
//! | `Rpc-Max-Frame` | largest frame the client takes, in bytes | the same of the server | 4,194,304 |
//! | `Rpc-Max-Calls` | most calls in flight the client takes | the same of the server | 1,024 |
//! | `Rpc-Window` | bytes of items the client takes on a stream before it consumes them | the same of the server | 512 KiB |
//! | `Rpc-Max-Streams` | most streams at once the client takes | the same of the server | 256 |
//!
//! Unknown `Rpc-*` headers are ignored, so that later versions can add some.
//!
//! ```
//! use http::uri::{Authority, PathAndQuery};
//! use rpc_core::handshake::{Connect, DEFAULT_PATH, Entry, HeadBuffer, negotiate, parse_answer, parse_request};
//! use rpc_core::{Format, Limits};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // The client writes its head; here a frame follows in the same packet.
//! let mut wire = Vec::new();
//! Connect {
//!     path: &PathAndQuery::from_static(DEFAULT_PATH),
//!     authority: &Authority::from_static("localhost:1234"),
//!     formats: &[Format::Bincode],
//!     limits: Limits::default(),
//!     headers: &http::HeaderMap::new(),
//! }
//! .write(&mut wire)?;
//! wire.extend_from_slice(b"first frame");
//!
//! // The server reads it, and answers.
//! let mut buffer = HeadBuffer::default();
//! let whole = buffer.push(&wire)?.expect("the head is complete");
//! assert_eq!(whole.rest, b"first frame");
//! let request = parse_request(&whole.head)?;
//! let terms = negotiate(&request, DEFAULT_PATH, Format::ALL)?;
//! assert_eq!(terms.format, Format::Bincode);
//! let mut answer = Vec::new();
//! rpc_core::handshake::write_acceptance(terms.format, Limits::default(), &mut answer);
//!
//! // The client reads the answer.
//! let whole = buffer.push(&answer)?.expect("the head is complete");
//! let terms = parse_answer(Entry::Connect, &whole.head, &[Format::Bincode])?;
//! assert_eq!(terms.limits, Limits::default());
//! # Ok(())
//! # }
//! ```

mod answer;
mod connect;
mod entry;
mod head;
mod headers;
mod intermediary;
mod refusal;
mod request;
mod terms;
mod websocket;

#[cfg(test)]
mod tests;

pub use answer::{
    AnswerError, acceptance, check_first_bytes, parse_answer, parse_response, read_answer, write_acceptance,
    write_switching,
};
pub use connect::{Connect, ConnectError, write_request};
pub use entry::Entry;
pub use head::{HeadBuffer, HeadTooLarge, MAX_HEAD, MAX_HEADERS, WholeHead};
pub use headers::{
    RPC_FORMAT, RPC_MAX_CALLS, RPC_MAX_FRAME, RPC_MAX_STREAMS, RPC_VERSION, RPC_WINDOW, hide_credentials,
};
pub(crate) use refusal::legible;
pub use refusal::{Refusal, write_response};
pub use request::{check_request_bytes, negotiate, negotiate_terms, parse_request};
pub use terms::{LimitOutOfRange, Terms, check_limits};
pub use websocket::{subprotocol, websocket_key};

/// The path that carries RPC unless both sides are told another.
pub const DEFAULT_PATH: &str = "/_rpc_";
