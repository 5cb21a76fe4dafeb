//! Closing so that the last words arrive.

use std::future::poll_fn;
use std::time::Duration;

use rpc_core::output::Output;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

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
        rpc_io::linger(io).await;
    }
}
