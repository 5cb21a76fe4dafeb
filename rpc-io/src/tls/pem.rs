//! Certificates and keys, read from PEM.

use std::fs;
use std::path::Path;

use rustls_pki_types::pem::{Error, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{PemSource, TlsError};

pub(super) fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(file).map_err(|source| TlsError::Unreadable { file: file.to_owned(), source })
}

/// All certificates; at least one.
pub(super) fn certificates(bytes: &[u8], pem: &PemSource) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all = CertificateDer::pem_slice_iter(bytes).collect::<Result<Vec<_>, _>>();
    match all {
        Ok(all) if all.is_empty() => Err(TlsError::NoCertificate { pem: pem.clone() }),
        Ok(all) => Ok(all),
        Err(error) => Err(unsound(&error, pem)),
    }
}

pub(super) fn key(bytes: &[u8], pem: &PemSource) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(bytes).map_err(|error| match error {
        Error::NoItemsFound => TlsError::NoKey { pem: pem.clone() },
        other => unsound(&other, pem),
    })
}

/// In words of its own: the crate's show whole lines of the file, which may hold a key.
fn unsound(error: &Error, pem: &PemSource) -> TlsError {
    let reason = match error {
        Error::MissingSectionEnd { .. } => "a section has no end",
        Error::IllegalSectionStart { .. } => "a section does not begin rightly",
        Error::Base64Decode(_) => "a section is not base64",
        Error::SectionTooLarge => "a section is too large",
        _ => "it cannot be read",
    };
    TlsError::Pem { pem: pem.clone(), reason: reason.into() }
}
