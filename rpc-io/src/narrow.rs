//! A stream that takes little at a time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that one write takes at the most.
const MOST: usize = 16 * 1024;

/// Passes on 16 KiB of each write at the most: to streams that take in whatever they are given, as hyper's by HTTP/2 do.
/// What has not got on its way stays with the writer, whose limits and times are about it.
#[derive(Debug)]
pub struct Narrow<IO>(IO);

impl<IO> Narrow<IO> {
    /// A stream that takes so much at a time.
    pub const fn new(io: IO) -> Self {
        Self(io)
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Narrow<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Narrow<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, &bytes[..bytes.len().min(MOST)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn a_write_takes_no_more_than_its_part() {
        let (near, _far) = tokio::io::duplex(1 << 20);
        let mut narrow = Narrow::new(near);
        assert_eq!(narrow.write(&vec![7; 1 << 19]).await.unwrap(), MOST);
        assert_eq!(narrow.write(&[7; 5]).await.unwrap(), 5);
    }
}
