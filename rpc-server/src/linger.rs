//! Closing so that the last words arrive.

use std::future::poll_fn;
use std::time::Duration;

use rpc_core::output::Output;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, sink};
use tokio::time::timeout;

/// After the last byte is written, this much of what still comes is thrown away, so that the reset
/// for unread input does not overtake the answer.
const LINGER_BYTES: u64 = 256 * 1024;

/// And for so long.
const LINGER_TIME: Duration = Duration::from_secs(1);

/// Says the last words within `write_timeout`, and sees to it that they arrive.
pub(crate) async fn linger<IO>(io: &mut IO, out: &mut Output, write_timeout: Duration)
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let said = timeout(write_timeout, async {
        poll_fn(|cx| rpc_io::poll_send(io, cx, out)).await?;
        io.shutdown().await
    });
    if matches!(said.await, Ok(Ok(()))) {
        let _ = timeout(LINGER_TIME, copy(&mut io.take(LINGER_BYTES), &mut sink())).await;
    }
}
