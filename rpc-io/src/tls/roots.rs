//! Whose certificates are trusted.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::RootCertStore;

use super::{PemSource, TlsError, pem};

/// The authorities whose certificates are trusted; at least one. Clones share them.
#[derive(Clone)]
pub struct Roots {
    store: Arc<RootCertStore>,
}

impl Roots {
    /// All certificates in this PEM.
    ///
    /// # Errors
    /// No certificate in it, or one that is none.
    pub fn from_pem(certificates: &[u8]) -> Result<Self, TlsError> {
        Self::read(certificates, PemSource::Bytes)
    }

    /// All certificates in this PEM file, which is read once, and not watched.
    ///
    /// # Errors
    /// As [`from_pem`](Self::from_pem), and a file that cannot be read.
    pub fn from_file(file: impl AsRef<Path>) -> Result<Self, TlsError> {
        let file = file.as_ref();
        Self::read(&pem::read(file)?, file.into())
    }

    fn read(certificates: &[u8], pem: PemSource) -> Result<Self, TlsError> {
        let mut store = RootCertStore::empty();
        for certificate in pem::certificates(certificates, &pem)? {
            let added = store.add(certificate);
            added.map_err(|error| TlsError::Certificate { pem: pem.clone(), source: error.into() })?;
        }
        Ok(Self { store: Arc::new(store) })
    }

    /// As rustls has them.
    #[must_use]
    pub fn store(&self) -> &Arc<RootCertStore> {
        &self.store
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roots").field("certificates", &self.store.len()).finish_non_exhaustive()
    }
}
