//! Closing so that the last words arrive.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::timeout;

/// After the last byte is written, this much of what still comes is thrown away, so that the reset
/// for unread input does not overtake it.
const BYTES: usize = 256 * 1024;

/// And for so long.
const TIME: Duration = Duration::from_secs(1);

/// Waits until the peer closes too, for 1 s at most, and throws away what it still sends, up to 256 KiB.
/// The write side is closed already.
pub async fn linger<IO: AsyncRead + Unpin>(io: &mut IO) {
    let mut left = BYTES;
    let drained = poll_fn(|cx| {
        while left > 0 {
            let mut chunk = [0; 2048];
            let mut room = ReadBuf::new(&mut chunk);
            let read = ready!(Pin::new(&mut *io).poll_read(cx, &mut room));
            if read.is_err() || room.filled().is_empty() {
                break;
            }
            left = left.saturating_sub(room.filled().len());
        }
        Poll::Ready(())
    });
    let _ = timeout(TIME, drained).await;
}
