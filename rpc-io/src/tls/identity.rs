//! Who one side of a connection is.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls;
use tokio_rustls::rustls::InconsistentKeys;
use tokio_rustls::rustls::sign::CertifiedKey;

use super::{PemSource, TlsError, pem, provider};

/// A certificate, those that lead from it to a root, and the private key that belongs to it. Clones
/// share them.
#[derive(Clone)]
pub struct Identity {
    key: Arc<CertifiedKey>,
}

impl Identity {
    /// From PEM: the certificate with those that lead from it to a root behind it, the root itself not
    /// needed; and the key, as PKCS #8, PKCS #1 or SEC 1, not encrypted.
    ///
    /// # Errors
    /// No certificate or no key in it, a kind of key that cannot be used, or a key that is not that
    /// of the first certificate.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Self::read(certificates, PemSource::Bytes, key, PemSource::Bytes)
    }

    /// The same from files, which may be one. They are read once, and not watched.
    ///
    /// # Errors
    /// As [`from_pem`](Self::from_pem), and files that cannot be read.
    pub fn from_files(certificates: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, TlsError> {
        let (certificates, key) = (certificates.as_ref(), key.as_ref());
        Self::read(&pem::read(certificates)?, certificates.into(), &pem::read(key)?, key.into())
    }

    fn read(chain: &[u8], certificates: PemSource, key: &[u8], keys: PemSource) -> Result<Self, TlsError> {
        let chain = pem::certificates(chain, &certificates)?;
        let signing = provider().key_provider.load_private_key(pem::key(key, &keys)?);
        let signing = signing.map_err(|error| TlsError::Key { pem: keys.clone(), source: error.into() })?;
        let key = CertifiedKey::new(chain, signing);
        match key.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
                Ok(Self { key: Arc::new(key) })
            }
            Err(rustls::Error::InconsistentKeys(_)) => Err(TlsError::Mismatch { certificates, key: keys }),
            Err(error) => Err(TlsError::Certificate { pem: certificates, source: error.into() }),
        }
    }

    /// As rustls has it.
    #[must_use]
    pub fn certified_key(&self) -> &Arc<CertifiedKey> {
        &self.key
    }
}

/// Without the key.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("certificates", &self.key.cert.len()).finish_non_exhaustive()
    }
}
