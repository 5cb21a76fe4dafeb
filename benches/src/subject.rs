//! What is measured. A peer is a variant here and a module with `serve` and `drive`.

use std::net::SocketAddr;
use std::str::FromStr;

use anyhow::{Error, Result, anyhow};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::case::Load;
use crate::measure::Meter;
use crate::{floor, ours};

/// A server and a client that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The hand-written echo that everything is compared to.
    Floor,
    /// This project.
    Ours,
}

impl Subject {
    /// All of them; the floor first.
    pub const ALL: [Self; 2] = [Self::Floor, Self::Ours];

    /// The name on the command line and in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Ours => "ours",
        }
    }

    /// Serves until the process ends.
    ///
    /// # Errors
    /// When the listener cannot be served.
    pub async fn serve(self, listener: TcpListener) -> Result<()> {
        match self {
            Self::Floor => floor::serve(listener).await,
            Self::Ours => ours::serve(listener).await,
        }
    }

    /// Connects, and puts the load on. The tasks go on until they are dropped; one that ends has
    /// failed.
    ///
    /// # Errors
    /// When a connection cannot be opened.
    pub async fn drive(
        self,
        address: SocketAddr,
        load: Load,
        meter: &mut Meter,
    ) -> Result<JoinSet<Result<()>>> {
        match self {
            Self::Floor => floor::drive(address, load, meter).await,
            Self::Ours => ours::drive(address, load, meter).await,
        }
    }
}

impl FromStr for Subject {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let known = Self::ALL.into_iter().find(|subject| subject.name() == name);
        known.ok_or_else(|| anyhow!("no subject {name}; there are {}", Self::ALL.map(Self::name).join(", ")))
    }
}
