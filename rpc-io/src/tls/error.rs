//! Settings of TLS that cannot be.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_rustls::rustls;

/// Why a certificate, a key or roots cannot be used. Displays in one line, with the file's name and
/// the likely cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It begins as PEM, and breaks off or has a line that is none.
    #[error("{pem} is not sound PEM: {reason}; is it damaged?")]
    Pem {
        /// Where it stands.
        pem: PemSource,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no certificate in it.
    #[error("no certificate in {pem}: it has no \"BEGIN CERTIFICATE\"; is it the right one?")]
    NoCertificate {
        /// Where one was looked for.
        pem: PemSource,
    },
    /// There is no private key in it. One that is encrypted with a password cannot be read.
    #[error(
        "no private key in {pem}: it has no \"BEGIN PRIVATE KEY\"; is it the right one, and not encrypted?"
    )]
    NoKey {
        /// Where one was looked for.
        pem: PemSource,
    },
    /// A certificate in it is none.
    #[error("a certificate in {pem} cannot be used: {source}")]
    Certificate {
        /// Where it stands.
        pem: PemSource,
        /// What is wrong with it.
        source: Box<rustls::Error>,
    },
    /// The key in it is of no kind that can be used: RSA of 2,048 bits or more, ECDSA on P-256 or
    /// P-384, Ed25519.
    #[error("the private key in {pem} cannot be used: {source}")]
    Key {
        /// Where it stands.
        pem: PemSource,
        /// What is wrong with it.
        source: Box<rustls::Error>,
    },
    /// The key is not that of the first certificate.
    #[error(
        "the private key in {key} is not that of the first certificate in {certificates}; \
         is one of them older, and the server's own certificate the first?"
    )]
    Mismatch {
        /// Where the certificates stand.
        certificates: PemSource,
        /// Where the key stands.
        key: PemSource,
    },
    /// A configuration of rustls' has decided about the certificates of clients itself, and its
    /// decision cannot be changed.
    #[error("a rustls configuration decides itself about the certificates of clients: give it these roots")]
    Decided,
    /// There is no certificate of the client's to be replaced.
    #[error("there is no identity to be replaced; was one set?")]
    NoIdentity,
    /// The name is neither a DNS name nor an IP address.
    #[error("{name:?} is neither a DNS name nor an IP address: no certificate can be for it")]
    Name {
        /// The name.
        name: String,
    },
    /// The roots that the platform trusts cannot be used.
    #[error("cannot use the roots that this platform trusts: {source}; is there a package ca-certificates?")]
    PlatformRoots {
        /// Why.
        source: Box<rustls::Error>,
    },
    /// Reading the roots that the platform trusts took too long.
    #[error(
        "the roots that this platform trusts were not read within {after:?}; is the program's blocking pool full?"
    )]
    SlowRoots {
        /// The time there was.
        after: Duration,
    },
    /// No verifier can be made of the roots.
    #[error("certificates cannot be verified by these roots: {reason}")]
    Verifier {
        /// Why.
        reason: String,
    },
    /// What else rustls does not take.
    #[error("TLS cannot be set up: {0}")]
    Rustls(#[source] Box<rustls::Error>),
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        Self::Rustls(error.into())
    }
}

/// Where certificates or a key were read from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PemSource {
    /// Bytes that the program had.
    Bytes,
    /// A file.
    File(PathBuf),
}

impl From<&Path> for PemSource {
    fn from(file: &Path) -> Self {
        PemSource::File(file.to_owned())
    }
}

impl fmt::Display for PemSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PemSource::Bytes => f.write_str("the PEM text"),
            PemSource::File(file) => file.display().fmt(f),
        }
    }
}
