//! What TLS is on both sides: certificates, roots, and how settings and handshakes fail.

mod error;
mod failure;
mod identity;
mod pem;
mod roots;

use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};

pub use error::{PemSource, TlsError};
pub use failure::TlsFailure;
pub use identity::Identity;
pub use roots::Roots;
pub use tokio_rustls;

/// The protocol of the connections, as ALPN names it: RPC begins as HTTP/1.
pub const ALPN: &[u8] = b"http/1.1";

/// The cryptography: ring's, named wherever it is needed, so that what a program has made the default of its
/// process, or has not, makes no difference.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
