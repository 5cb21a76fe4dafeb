//! Closing so that the last words arrive.

use std::future::poll_fn;
use std::time::Duration;

use rpc_core::output::Output;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// After the last byte is written, this much of what still comes is thrown away, so that the reset
/// for unread input does not overtake the answer.
const LINGER_BYTES: u64 = 256 * 1024;

/// And for so long.
const LINGER_TIME: Duration = Duration::from_secs(1);

/// Says the last words, and sees to it that they arrive.
pub(crate) async fn linger<IO: AsyncRead + AsyncWrite + Unpin>(io: &mut IO, out: &mut Output) {
    let last_words = async {
        poll_fn(|cx| rpc_io::poll_send(io, cx, out)).await?;
        io.shutdown().await?;
        tokio::io::copy(&mut io.take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    let _ = timeout(LINGER_TIME, last_words).await;
}
