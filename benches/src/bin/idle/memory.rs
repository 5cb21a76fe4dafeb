//! What /proc knows about a process.

use std::fs::{read_dir, read_to_string};

use anyhow::{Context, Result};

/// Kibibytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// What `VmRSS` is about. This is counted page by page, where `VmRSS` may lag behind.
    pub(crate) resident: f64,
    /// The part of it that the process has written and shares with nobody: no program text.
    pub(crate) private_dirty: f64,
}

impl Memory {
    pub(crate) fn of(process: u32) -> Result<Self> {
        let text = read_to_string(format!("/proc/{process}/smaps_rollup"))
            .context("the kernel does not tell the memory of a process (/proc/PID/smaps_rollup)")?;
        let field = |name: &str| -> Result<f64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let amount = line.and_then(|line| line.trim().strip_suffix(" kB"));
            Ok(amount.with_context(|| format!("no {name} in smaps_rollup"))?.parse()?)
        };
        Ok(Self { resident: field("Rss:")?, private_dirty: field("Private_Dirty:")? })
    }

    /// What came on top since `before`, for each of `connections`.
    pub(crate) fn per_connection(self, before: Self, connections: usize) -> Self {
        let share = |now: f64, before: f64| (now - before) / connections as f64;
        Self {
            resident: share(self.resident, before.resident),
            private_dirty: share(self.private_dirty, before.private_dirty),
        }
    }
}

/// Open files of a process: its connections and a few others.
pub(crate) fn descriptors(process: u32) -> Result<usize> {
    Ok(read_dir(format!("/proc/{process}/fd"))?.count())
}
