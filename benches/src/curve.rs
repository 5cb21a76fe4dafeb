//! What grows, and how far.

use std::str::FromStr;

use anyhow::{Error, anyhow};
use serde::{Deserialize, Serialize};

use crate::case::{Body, Calls};
use crate::runtime::Flavour;

/// What grows while all else stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Curve {
    /// Calls in flight on one connection.
    Calls,
    /// Connections with one call in flight each.
    Connections,
    /// Bytes that are echoed, 4 calls in flight.
    Body,
    /// Methods that are called in turn, 64 calls in flight.
    Methods,
    /// Tasks that share one client, with one call in flight each.
    Callers,
}

/// One line of a curve.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// The name in the table.
    pub name: &'static str,
    /// The subject: `ours` or `floor`.
    pub subject: &'static str,
    /// The runtime of each side.
    pub runtime: Flavour,
    /// Whether the server has CPU 0 and the client CPU 1.
    pub pin: bool,
}

const OURS: Line = Line { name: "ours", subject: "ours", runtime: Flavour::Current, pin: true };
const FLOOR: Line = Line { name: "floor", subject: "floor", ..OURS };
const SPREAD_OUT: Line =
    Line { name: Curve::SPREAD_OUT, subject: "ours", runtime: Flavour::Multi, pin: false };

impl Curve {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 5] = [Self::Calls, Self::Connections, Self::Body, Self::Methods, Self::Callers];

    /// The line of callers that may run in parallel.
    pub const SPREAD_OUT: &'static str = "ours, multi_thread, not pinned";

    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Connections => "connections",
            Self::Body => "body",
            Self::Methods => "methods",
            Self::Callers => "callers",
        }
    }

    /// The name in the report.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Calls => "calls in flight on one connection",
            Self::Connections => "connections, one call in flight each",
            Self::Body => "bytes echoed, 4 calls in flight",
            Self::Methods => "methods called in turn, 64 calls in flight",
            Self::Callers => "caller tasks that share a client",
        }
    }

    /// Where it is measured.
    #[must_use]
    pub fn places(self) -> &'static [usize] {
        const KIB: usize = 1024;
        match self {
            Self::Calls => &[1, 4, 16, 64, 256, 1024, 4096, 10_000],
            Self::Connections => &[1, 8, 64, 512, 2048, 4500, 9000],
            Self::Body => &[0, 64, KIB, 16 * KIB, 256 * KIB, KIB * KIB, 4 * KIB * KIB, 16 * KIB * KIB],
            Self::Methods => &[1, 10, 100, 1000],
            Self::Callers => &[1, 2, 4, 8, 16, 32, 64],
        }
    }

    /// Who is measured.
    #[must_use]
    pub fn lines(self) -> &'static [Line] {
        match self {
            Self::Calls | Self::Connections | Self::Body => &[FLOOR, OURS],
            Self::Methods => &[OURS],
            Self::Callers => &[OURS, SPREAD_OUT],
        }
    }

    /// What is put on at that place. With [`Methods`](Self::Methods), what is called is not said by it.
    #[must_use]
    pub fn calls(self, at: usize) -> Calls {
        let calls = Calls { connections: 1, in_flight: 1, body: Body::Small, timed: false };
        match self {
            Self::Calls | Self::Callers => Calls { in_flight: at, ..calls },
            Self::Connections => Calls { connections: at, ..calls },
            Self::Body => Calls { in_flight: 4, body: Body::Echo(at), ..calls },
            Self::Methods => Calls { in_flight: 64, ..calls },
        }
    }
}

impl FromStr for Curve {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let known = Self::ALL.into_iter().find(|curve| curve.name() == name);
        known.ok_or_else(|| anyhow!("no curve {name}; there are {}", Self::ALL.map(Self::name).join(", ")))
    }
}
