//! A name with several addresses, all of which failed.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;

use super::ConnectError;
use super::likely::{is_unreachable, rounded};

/// Addresses that are named in one line; a name server may return thousands.
const SHOWN: usize = 8;

/// One address of a name, and what became of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// The address.
    pub to: SocketAddr,
    /// Why there is no connection to it.
    pub error: ConnectError,
}

/// What became of the addresses of a name, in the order in which they were tried.
///
/// Displays as `127.0.0.2:1234: refused; [::1]:1234: no answer within 2s`. Its
/// [`source`](Error::source) is what the system said about the first, as far as it said anything.
#[derive(Debug)]
pub struct Attempts {
    failed: Vec<Attempt>,
    untried: usize,
}

impl Attempts {
    /// At least one has failed.
    pub(crate) fn new(failed: Vec<Attempt>, untried: usize) -> Self {
        Self { failed, untried }
    }

    /// Those that failed; at least one.
    #[must_use]
    pub fn failed(&self) -> &[Attempt] {
        &self.failed
    }

    /// How many addresses were left when the time was up.
    #[must_use]
    pub fn untried(&self) -> usize {
        self.untried
    }
}

impl fmt::Display for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Attempt { to, error }) in self.failed.iter().take(SHOWN).enumerate() {
            write!(f, "{}{to}: ", if index == 0 { "" } else { "; " })?;
            match error {
                ConnectError::ConnectionRefused { .. } => f.write_str("refused")?,
                ConnectError::Unreachable { .. } => f.write_str("unreachable")?,
                ConnectError::DialTimeout { after, .. } => write!(f, "no answer within {}", rounded(*after))?,
                ConnectError::Dial { source, .. } => write!(f, "{source}")?,
                other => write!(f, "{other}")?,
            }
        }
        if self.failed.len() > SHOWN {
            write!(f, "; {} more failed", self.failed.len() - SHOWN)?;
        }
        if self.untried > 0 {
            write!(f, "; no time left to try {} more", self.untried)?;
        }
        Ok(())
    }
}

impl Error for Attempts {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.failed.first()?.error.source()
    }
}

impl ConnectError {
    /// What kept one address, or a connector, from being dialled.
    pub(crate) fn dial(address: &str, source: io::Error) -> Self {
        let address = address.into();
        match source.kind() {
            io::ErrorKind::ConnectionRefused => Self::ConnectionRefused { address, source },
            kind if is_unreachable(kind) => Self::Unreachable { address, source },
            _ => Self::Dial { address, source },
        }
    }
}
