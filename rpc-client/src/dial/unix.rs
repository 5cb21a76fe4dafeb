//! Unix sockets.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::time::sleep;

/// Where TCP waits, a Unix socket whose server has yet to accept others says at once that it is busy.
const AGAIN: Duration = Duration::from_millis(10);

/// Connects to the socket of that file, however long it is busy.
pub(super) async fn connect(file: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(file).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(AGAIN).await,
            connected => return connected,
        }
    }
}
