//! A byte stream through the binary messages of a WebSocket.

mod paced;

#[cfg(test)]
mod tests;

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig};

pub use tokio_tungstenite::tungstenite::handshake::client::generate_key;
pub use tokio_tungstenite::tungstenite::handshake::derive_accept_key as accept_key;

use paced::Paced;

/// The largest message that is taken, in bytes. Where messages end means nothing, so whoever sends more cuts it.
pub const MAX_MESSAGE: usize = 1024 * 1024;

/// The largest message that is sent. A connection keeps a buffer of this size once it has sent one.
const SENT: usize = 32 * 1024;

/// Bytes that one read takes; a connection keeps as many.
const READ: usize = 16 * 1024;

/// The bytes in the binary messages of a WebSocket (RFC 6455), after its handshake.
///
/// Both directions are one sequence of bytes each: where a message ends means nothing. What is written goes out in
/// messages of 32 KiB at most; those that come may have 1 MiB ([`MAX_MESSAGE`]). The peer's pings are answered
/// whenever this is read, written or flushed.
///
/// A WebSocket cannot be closed in one direction alone. The peer's Close is the end of what is read, it is answered, and
/// what is written after it fails with [`io::ErrorKind::BrokenPipe`]. Shutting this down sends a Close; what the
/// peer had sent before it saw that can still be read. The transport is shut down when both have said Close.
///
/// # Errors
/// Reading fails with [`io::ErrorKind::InvalidData`], and the peer gets a Close that says why, on text (1003), a message
/// over 1 MiB (1009) and whatever breaks RFC 6455 (1002). [`io::ErrorKind::UnexpectedEof`]: the transport ended without
/// a Close.
///
/// # Cancel safety
/// As any `AsyncRead` and `AsyncWrite`: nothing is lost between polls. Reading and writing may be in different tasks.
#[derive(Debug)]
pub struct WebSocket<IO> {
    inner: WebSocketStream<Paced<IO>>,
    /// What is left of the last message.
    message: Bytes,
    /// Nothing more will be read.
    is_over: bool,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> WebSocket<IO> {
    /// The server's side, of which these bytes were read already, behind the handshake's request.
    pub async fn server(io: IO, read: impl Into<Vec<u8>>) -> Self {
        Self::new(io, read.into(), Role::Server).await
    }

    /// The client's side, of which these bytes were read already, behind the handshake's answer.
    pub async fn client(io: IO, read: impl Into<Vec<u8>>) -> Self {
        Self::new(io, read.into(), Role::Client).await
    }

    async fn new(io: IO, read: Vec<u8>, role: Role) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ)
            .write_buffer_size(0)
            // Pongs wait beside a message; when there is no room for one more, the last ping alone is answered.
            .max_write_buffer_size(2 * SENT)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let io = Paced::new(io);
        let inner = WebSocketStream::from_partially_read(io, read, role, Some(config)).await;
        Self { inner, message: Bytes::new(), is_over: false }
    }

    /// Waits for bytes; none: there will be no more.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.get_mut().begin_turn();
        while self.message.is_empty() && !self.is_over {
            match ready!(Pin::new(&mut self.inner).poll_next(cx)) {
                Some(Ok(Message::Binary(message))) => self.message = message,
                Some(Ok(Message::Text(_))) => {
                    let text = "text came in a WebSocket, where only binary messages are taken";
                    return Poll::Ready(Err(self.give_up(CloseCode::Unsupported, text)));
                }
                Some(Ok(Message::Close(_))) | None => {
                    self.is_over = true;
                    // The answer. When the transport does not take it now, it goes out with the shutdown.
                    let _ = Pin::new(&mut self.inner).poll_flush(cx);
                }
                // Pings are answered further in.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(self.received(error))),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Why nothing more can be read.
    fn received(&mut self, error: Error) -> io::Error {
        self.is_over = true;
        match error {
            Error::Io(error) => error,
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                io::Error::new(io::ErrorKind::UnexpectedEof, "the WebSocket ended without a Close")
            }
            Error::Capacity(_) => {
                self.give_up(CloseCode::Size, "a WebSocket message is over 1 MiB, and must be cut")
            }
            error => self.give_up(CloseCode::Protocol, &error.to_string()),
        }
    }

    /// Tells the peer why, if the transport takes it.
    fn give_up(&mut self, code: CloseCode, why: &str) -> io::Error {
        self.is_over = true;
        let close = CloseFrame { code, reason: why.into() };
        let _ = Pin::new(&mut self.inner).start_send(Message::Close(Some(close)));
        io::Error::new(io::ErrorKind::InvalidData, why)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocket<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_message(cx))?;
        let count = self.message.len().min(buffer.remaining());
        buffer.put_slice(&self.message.split_to(count));
        // An emptied `Bytes` still holds on to its memory.
        if self.message.is_empty() {
            self.message = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocket<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // One message waits at the most.
        ready!(Pin::new(&mut self.inner).poll_flush(cx)).map_err(sending)?;
        let len = slices.iter().fold(0_usize, |len, slice| len.saturating_add(slice.len())).min(SENT);
        if len == 0 {
            return Poll::Ready(Ok(0));
        }
        let mut message = BytesMut::with_capacity(len);
        for slice in slices {
            message.extend_from_slice(&slice[..slice.len().min(len - message.len())]);
        }
        Pin::new(&mut self.inner).start_send(Message::Binary(message.freeze())).map_err(sending)?;
        Poll::Ready(Ok(len))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx).map_err(sending)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.inner).poll_close(cx)) {
            Ok(()) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => {}
            Err(error) => return Poll::Ready(Err(sending(error))),
        }
        if self.is_over {
            return Pin::new(self.inner.get_mut()).poll_shutdown(cx);
        }
        Poll::Ready(Ok(()))
    }
}

/// Why nothing more can be written.
fn sending(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        _ => io::Error::new(io::ErrorKind::BrokenPipe, "the WebSocket is closed"),
    }
}
