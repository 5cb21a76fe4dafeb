//! Whose connections are measured.

use std::str::FromStr;

use anyhow::{Error, anyhow};

/// A framework.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Ours,
    Tarpc,
    Tonic,
}

impl Subject {
    /// All of them, in the order of the table.
    pub(crate) const ALL: [Self; 3] = [Self::Ours, Self::Tarpc, Self::Tonic];

    /// The name on the command line and in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Tarpc => "tarpc",
            Self::Tonic => "tonic",
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
