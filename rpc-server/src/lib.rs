//! The server of RPC over HTTP CONNECT.
//!
//! ```no_run
//! # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
//! use rpc_core::{Context, Status};
//! use rpc_server::Server;
//!
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:1234").await?;
//! Server::builder()
//!     .register_fn("Arith.Multiply", |_cx: Context, (a, b): (i64, i64)| async move {
//!         a.checked_mul(b).ok_or_else(|| Status::out_of_range("product over 64 bits"))
//!     })
//!     .serve(listener)
//!     .await?;
//! # Ok(()) }
//! ```
//!
//! With the feature `mount` a server is a service for hyper and axum, beside ordinary HTTP; see `Server::into_service`.
//! With the feature `websocket` web pages can be clients; see `Builder::websocket`.
//! With the feature `tls` (off by default, for it takes a C compiler) listeners can speak TLS; see `ServerTls`.

#![forbid(unsafe_code)]

mod authorize;
mod builder;
mod config;
mod connection;
#[cfg(feature = "debug-page")]
mod debug;
mod door;
mod error;
mod guard;
mod interceptor;
mod lifetime;
mod linger;
mod listener;
mod methods;
#[cfg(feature = "mount")]
mod mount;
mod registry;
mod room;
mod route;
mod serve;
mod server;
mod session;
mod shutdown;
mod state;
mod timeouts;
#[cfg(feature = "tls")]
mod tls;
mod unready;
mod waiting;

// Types of theirs stand in ours.
pub use {http, rpc_core};

pub use builder::Builder;
pub use error::{BuildError, ConnectionError};
pub use interceptor::{Ended, Interceptor};
pub use listener::Listener;
#[cfg(feature = "mount")]
pub use mount::RpcService;
pub use registry::MethodStats;
pub use route::{Hijacked, Reply, Request};
#[cfg(feature = "tls")]
pub use rpc_io::tls::{Identity, PemSource, Roots, TlsError, TlsFailure, tokio_rustls, tokio_rustls::rustls};
pub use rpc_io::{Stream, TcpOptions};
pub use serve::Serve;
pub use server::Server;
pub use shutdown::Report;
#[cfg(feature = "tls")]
pub use tls::ServerTls;
