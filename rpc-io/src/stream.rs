//! A byte stream of whatever transport, with what was read of it already.

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use crate::linger::linger;

/// TLS has perhaps not sent yet what was written; Go waits as long for it (`tls.Conn.Close`).
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A connection that was taken over from HTTP.
///
/// Reading it yields first the bytes that came behind the head, then what comes after them: nothing
/// is lost, and nothing comes twice. Shutting it down (`AsyncWriteExt::shutdown`) closes the write
/// side alone, whatever the transport: TCP and Unix sockets are half-closed, TLS says so to its peer
/// first. The other direction stays open until the peer closes it too.
pub struct Stream {
    leftover: Bytes,
    io: Box<dyn Transport>,
}

trait Transport: AsyncRead + AsyncWrite + Send + Unpin + Any {}

impl<IO: AsyncRead + AsyncWrite + Send + Unpin + Any> Transport for IO {}

impl Stream {
    /// `io`, of which these bytes were read already.
    pub fn new<IO>(io: IO, leftover: impl Into<Bytes>) -> Self
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Self { leftover: leftover.into(), io: Box::new(io) }
    }

    /// The bytes that came behind the head, as far as they are not read yet. They are read first.
    #[must_use]
    pub fn leftover(&self) -> &[u8] {
        &self.leftover
    }

    /// Closes it so that what was written arrives: shuts it down, in 5 s at most, then waits until
    /// the peer closes too, for 1 s at most, and throws away what it still sends, up to 256 KiB.
    /// Dropped with bytes unread, TCP resets the connection, which may erase the last words on
    /// their way.
    ///
    /// # Errors
    /// The transport's, when what was written does not get on its way.
    ///
    /// # Cancel safety
    /// Dropping the future drops the connection.
    pub async fn finish(mut self) -> io::Result<()> {
        let said = poll_fn(|cx| Pin::new(&mut self).poll_shutdown(cx));
        timeout(LAST_WORDS, said).await.map_err(|_| io::ErrorKind::TimedOut)??;
        linger(&mut self).await;
        Ok(())
    }

    /// The transport itself, a `TcpStream` say, and the bytes that were read of it already; see
    /// [`leftover`](Self::leftover).
    ///
    /// # Errors
    /// The stream as it was, when its transport is of another type.
    pub fn downcast<IO: 'static>(self) -> Result<(IO, Bytes), Self> {
        let transport: &dyn Any = &*self.io;
        if !transport.is::<IO>() {
            return Err(self);
        }
        let Self { leftover, io } = self;
        let transport: Box<dyn Any> = io;
        match transport.downcast::<IO>() {
            Ok(io) => Ok((*io, leftover)),
            Err(_) => unreachable!("its type was looked at"),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.leftover.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buffer);
        }
        let count = self.leftover.len().min(buffer.remaining());
        buffer.put_slice(&self.leftover.split_to(count));
        // An emptied `Bytes` still holds on to its memory.
        if self.leftover.is_empty() {
            self.leftover = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("leftover", &self.leftover.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, Empty};

    use super::*;

    #[tokio::test]
    async fn what_was_read_already_comes_first_and_once() {
        let (near, mut far) = tokio::io::duplex(64);
        far.write_all(b" and more").await.unwrap();
        far.shutdown().await.unwrap();
        let mut stream = Stream::new(near, &b"leftover"[..]);
        assert_eq!(stream.leftover(), b"leftover");
        let mut first = [0; 4];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!((&first, stream.leftover()), (b"left", &b"over"[..]));
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "over and more");
    }

    #[tokio::test]
    async fn shutting_down_closes_the_write_side_alone() {
        let (near, mut far) = tokio::io::duplex(64);
        let mut stream = Stream::new(near, Bytes::new());
        stream.shutdown().await.unwrap();
        assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
        far.write_all(b"late").await.unwrap();
        drop(far);
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "late");
    }

    #[test]
    fn the_transport_comes_back_with_what_was_read_of_it() {
        let (near, _far) = tokio::io::duplex(64);
        let stream = Stream::new(near, &b"leftover"[..]);
        let stream = stream.downcast::<Empty>().unwrap_err();
        let (_near, leftover) = stream.downcast::<DuplexStream>().unwrap();
        assert_eq!(leftover, "leftover");
    }
}
