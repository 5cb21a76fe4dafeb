//! Handshakes that failed.

mod words;

use std::io;
use std::time::Duration;

use tokio_rustls::rustls;
use tokio_rustls::rustls::{AlertDescription, CertificateError, InvalidMessage};

use words::{also_for, closed, refusal, same_name, span};

/// Why a TLS handshake failed, on either side. Displays in one line, with the likely cause; "the
/// other side" is whoever this side speaks with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFailure {
    /// What came is not TLS.
    #[error("the other side does not speak TLS here; is it the right port, and one for TLS?")]
    NotTls,
    /// The certificate is for other names.
    #[error("the certificate is not for {expected}{}; is it the right server?", also_for(presented))]
    WrongName {
        /// The name that the other side was to have.
        expected: String,
        /// The names that its certificate is for, as far as they are known.
        presented: Vec<String>,
    },
    /// The certificate's time is over.
    #[error(
        "the certificate has expired{}; is it to be renewed, or this machine's clock wrong?",
        span(*ago, " ", " ago")
    )]
    Expired {
        /// Since when, where it is known.
        ago: Option<Duration>,
    },
    /// The certificate's time has not begun.
    #[error("the certificate is not valid yet{}; is this machine's clock wrong?", span(*ahead, ", but in ", ""))]
    NotYetValid {
        /// How long it takes until then, where it is known.
        ahead: Option<Duration>,
    },
    /// Nobody who is trusted here has issued the certificate.
    #[error(
        "the certificate was issued by nobody who is trusted here; is its authority among the roots, and does \
         the other side send all certificates between?"
    )]
    UnknownIssuer,
    /// The server takes only clients that show a certificate, and this one had none.
    #[error("a certificate of the client is required, and it showed none; was it given an identity?")]
    CertificateRequired,
    /// The other side did not take the certificate of this one.
    #[error("the other side refused our certificate: {}", refusal(*alert))]
    CertificateRefused {
        /// What it said.
        alert: AlertDescription,
    },
    /// Something else is wrong with the other side's certificate.
    #[error("the certificate of the other side cannot be trusted: {source}{}", same_name(source))]
    Certificate {
        /// What.
        source: Box<rustls::Error>,
    },
    /// The other side speaks other protocols over TLS (ALPN); this side speaks `http/1.1`.
    #[error("the other side speaks other protocols than http/1.1 over TLS (ALPN); is it the right port?")]
    NoCommonProtocol,
    /// There is no version of TLS, or no cipher, that both sides have.
    #[error(
        "no version or cipher of TLS in common: {source}; is the other side older than TLS 1.2, or set to \
         special ciphers?"
    )]
    Incompatible {
        /// What is missing.
        source: Box<rustls::Error>,
    },
    /// It took too long.
    #[error("the TLS handshake was not done within {after:?}; does the other side speak TLS?")]
    Timeout {
        /// The time it was given.
        after: Duration,
    },
    /// The other side closed the connection without a word, or cut it.
    #[error(
        "the connection was {} during the TLS handshake; does the other side speak TLS, \
         and is it not overloaded?",
        closed(source)
    )]
    Closed {
        /// How; [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) when it was closed in good order.
        source: io::Error,
    },
    /// The transport failed.
    #[error("the connection failed during the TLS handshake: {source}; does the other side speak TLS?")]
    Io {
        /// How.
        source: io::Error,
    },
    /// As many handshakes as there may be were in progress, and this one was not begun. Servers only.
    #[error("too many TLS handshakes in progress: {most}")]
    TooMany {
        /// How many there may be.
        most: usize,
    },
    /// Anything else.
    #[error("the TLS handshake failed: {source}")]
    Other {
        /// What.
        source: Box<rustls::Error>,
    },
}

fn is_cut(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(kind, UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe)
}

impl TlsFailure {
    /// What a handshake, or the first read or write after it, came to. `unidentified`: this side was
    /// asked for a certificate and had none; TLS 1.2 has no alert for just that.
    #[must_use]
    pub fn new(error: io::Error, unidentified: bool) -> Self {
        match error.downcast::<rustls::Error>() {
            Ok(source) => Self::of_rustls(source, unidentified),
            Err(source) if is_cut(source.kind()) => Self::Closed { source },
            Err(source) => Self::Io { source },
        }
    }

    fn of_rustls(error: rustls::Error, unidentified: bool) -> Self {
        use rustls::Error;
        match error {
            Error::AlertReceived(alert) => Self::of_alert(alert, unidentified),
            Error::InvalidMessage(
                InvalidMessage::InvalidContentType
                | InvalidMessage::UnknownProtocolVersion
                | InvalidMessage::MessageTooLarge,
            ) => Self::NotTls,
            Error::InvalidCertificate(certificate) => Self::of_certificate(certificate),
            Error::NoCertificatesPresented => Self::CertificateRequired,
            Error::NoApplicationProtocol => Self::NoCommonProtocol,
            error @ Error::PeerIncompatible(_) => Self::Incompatible { source: error.into() },
            other => Self::Other { source: other.into() },
        }
    }

    fn of_alert(alert: AlertDescription, unidentified: bool) -> Self {
        use AlertDescription as Alert;
        match alert {
            Alert::CertificateRequired => Self::CertificateRequired,
            // Go says the second in TLS 1.2, OpenSSL the first.
            Alert::HandshakeFailure | Alert::BadCertificate | Alert::NoCertificate if unidentified => {
                Self::CertificateRequired
            }
            Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            // A signature that does not fit. Those of the handshake itself always do.
            | Alert::DecryptError => Self::CertificateRefused { alert },
            Alert::NoApplicationProtocol => Self::NoCommonProtocol,
            Alert::HandshakeFailure | Alert::ProtocolVersion | Alert::InsufficientSecurity => {
                Self::Incompatible { source: rustls::Error::AlertReceived(alert).into() }
            }
            other => Self::Other { source: rustls::Error::AlertReceived(other).into() },
        }
    }

    fn of_certificate(error: CertificateError) -> Self {
        use CertificateError as Wrong;
        match error {
            Wrong::NotValidForNameContext { expected, presented } => {
                Self::WrongName { expected: expected.to_str().into_owned(), presented }
            }
            Wrong::Expired => Self::Expired { ago: None },
            Wrong::ExpiredContext { time, not_after } => {
                let ago = time.as_secs().checked_sub(not_after.as_secs());
                Self::Expired { ago: ago.map(Duration::from_secs) }
            }
            Wrong::NotValidYet => Self::NotYetValid { ahead: None },
            Wrong::NotValidYetContext { time, not_before } => {
                let ahead = not_before.as_secs().checked_sub(time.as_secs());
                Self::NotYetValid { ahead: ahead.map(Duration::from_secs) }
            }
            Wrong::UnknownIssuer => Self::UnknownIssuer,
            other => Self::Certificate { source: rustls::Error::InvalidCertificate(other).into() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alerted(alert: AlertDescription, unidentified: bool) -> TlsFailure {
        TlsFailure::new(io::Error::other(rustls::Error::AlertReceived(alert)), unidentified)
    }

    #[test]
    fn a_handshake_failure_is_a_missing_certificate_only_when_one_was_asked_for() {
        use AlertDescription as Alert;
        for alert in [Alert::HandshakeFailure, Alert::BadCertificate, Alert::CertificateRequired] {
            assert!(matches!(alerted(alert, true), TlsFailure::CertificateRequired), "{alert:?}");
        }
        assert!(matches!(alerted(Alert::HandshakeFailure, false), TlsFailure::Incompatible { .. }));
        assert!(matches!(alerted(Alert::BadCertificate, false), TlsFailure::CertificateRefused { .. }));
    }
}
