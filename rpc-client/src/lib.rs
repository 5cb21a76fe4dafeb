//! The client of RPC over HTTP CONNECT.
//!
//! ```no_run
//! # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
//! let client = rpc_client::Client::connect("127.0.0.1:1234").await?;
//! let product: i64 = client.call("Arith.Multiply", &(7, 8)).await?;
//! # Ok(()) }
//! ```
//!
//! A [`Client`] is one connection at a time. Clones share it, any number of calls are in flight at
//! once, and answers come in any order. A connection that is lost is made again. Generated clients
//! (`ArithClient`) are made from one.
//!
//! With the feature `tls` (off by default, for it takes a C compiler) addresses with `https://` are
//! connected to over TLS; see `ClientTls`. With the feature `proxy` (off by default, for it takes a part of
//! hyper) a client connects through a forward proxy; see `Proxy`.

#![forbid(unsafe_code)]

mod args;
mod builder;
mod client;
mod connect_error;
mod connection;
mod dial;
mod endpoint;
mod error;
mod interceptor;
mod link;
mod pending;
mod ping;
#[cfg(feature = "proxy")]
mod proxy;
mod reconnect;
mod shared;
mod state;
mod sync;
#[cfg(feature = "tls")]
mod tls;
mod until;

// Types of theirs stand in ours.
pub use {http, rpc_core};

pub use builder::Builder;
pub use client::Client;
#[cfg(feature = "proxy")]
pub use connect_error::ProxyError;
pub use connect_error::{Attempt, Attempts, ConnectError};
pub use dial::{AddressError, Connector, Hijacked};
pub use error::{CallInfo, Error, Lost};
pub use interceptor::{Ended, Interceptor, Outgoing};
pub use pending::{Opening, Pending};
#[cfg(feature = "proxy")]
pub use proxy::Proxy;
pub use rpc_core::handshake::Entry;
#[cfg(feature = "tls")]
pub use rpc_io::tls::{Identity, PemSource, Roots, TlsError, TlsFailure, tokio_rustls, tokio_rustls::rustls};
pub use rpc_io::{Stream, TcpOptions};
pub use state::{ConnectionState, StateWatch};
#[cfg(feature = "tls")]
pub use tls::ClientTls;
