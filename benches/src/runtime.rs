//! Which of tokio's runtimes a process has.

use std::fmt;
use std::str::FromStr;

use anyhow::{Error, Result, bail};
use serde::{Deserialize, Serialize};

/// The flavour of tokio's runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flavour {
    /// One thread.
    Current,
    /// As many worker threads as the process has CPUs: one when it is pinned to one.
    Multi,
}

impl Flavour {
    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Multi => "multi",
        }
    }

    /// A runtime.
    ///
    /// # Errors
    /// As the system's.
    pub fn build(self) -> Result<tokio::runtime::Runtime> {
        Ok(match self {
            Self::Current => tokio::runtime::Builder::new_current_thread(),
            Self::Multi => tokio::runtime::Builder::new_multi_thread(),
        }
        .enable_all()
        .build()?)
    }
}

impl FromStr for Flavour {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "current" => Ok(Self::Current),
            "multi" => Ok(Self::Multi),
            _ => bail!("no runtime {name}; there are current and multi"),
        }
    }
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_thread", self.name())
    }
}
