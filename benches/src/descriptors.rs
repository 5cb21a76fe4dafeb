//! Every connection is an open file on either side.

use anyhow::{Result, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Open files beside the connections: pipes, the runtime's, the listener, and some to spare.
const OTHERS: u64 = 64;

/// Raises the soft limit of open files as far as it goes.
///
/// # Errors
/// When the hard limit leaves no room for so many connections.
pub fn raise(connections: usize) -> Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let needed = connections as u64 + OTHERS;
    ensure!(
        needed <= hard,
        "{connections} connections take {needed} open files in a process; the hard limit here is {hard}"
    );
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(())
}
