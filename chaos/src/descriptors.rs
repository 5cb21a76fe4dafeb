//! Open file descriptors, as the kernel counts them.

use std::fs;
use std::io;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Between two looks, where nobody announces that a descriptor was closed.
const LOOK: Duration = Duration::from_millis(1);

/// Whose descriptors.
#[derive(Clone, Copy)]
pub enum Owner {
    /// This process.
    Client,
    /// Another one, of the same user.
    Process(u32),
}

impl Owner {
    /// How many are open.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn descriptors(self) -> io::Result<usize> {
        let (place, own) = match self {
            // The one that the directory is read through is open, too.
            Owner::Client => ("/proc/self/fd".to_owned(), 1),
            Owner::Process(pid) => (format!("/proc/{pid}/fd"), 0),
        };
        Ok(fs::read_dir(place)?.count() - own)
    }

    /// Waits until there are no more than `baseline`; how many there are at the end of the wait.
    ///
    /// # Errors
    /// When the process has ended.
    pub async fn come_back_to(self, baseline: usize, limit: Duration) -> io::Result<usize> {
        let end = Instant::now() + limit;
        loop {
            let open = self.descriptors()?;
            if open <= baseline || Instant::now() >= end {
                return Ok(open);
            }
            sleep(LOOK).await;
        }
    }
}
