//! What was measured, as it is kept in JSON: plan, machine and every run.

mod comparison;
mod growth;
mod idle;

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

pub use self::comparison::{Comparison, Run, Setting};
pub use self::growth::{Growth, Point};
pub use self::idle::{Held, Idle};

/// What one tool has measured.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "tool", rename_all = "lowercase")]
pub enum Record {
    /// Loads on subjects.
    Compare(Comparison),
    /// Memory of connections.
    Idle(Idle),
    /// Curves.
    Grow(Growth),
}

impl Record {
    /// From a file.
    ///
    /// # Errors
    /// When it is not there, or holds something else.
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        serde_json::from_str(&text).with_context(|| file.display().to_string())
    }

    /// To a file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, file: &Path) -> Result<()> {
        std::fs::write(file, serde_json::to_string(self)?).with_context(|| file.display().to_string())
    }
}

/// Each of them once, in the order in which they come first.
fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}
