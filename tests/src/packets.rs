//! A peer that says what it has to say in packets of a test's choice, and then no more.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The server's end of a connection with such a peer: each read gets one packet, or a part of it. What is
/// written is thrown away.
#[derive(Debug)]
pub struct Packets(VecDeque<Vec<u8>>);

impl Packets {
    /// `bytes`, cut before each of these positions.
    ///
    /// # Panics
    /// When the positions are not in order, or beyond the end.
    #[must_use]
    pub fn cut(bytes: &[u8], positions: &[usize]) -> Self {
        let ends = positions.iter().copied().chain([bytes.len()]);
        let mut begin = 0;
        let packets = ends.map(|end| {
            let packet = bytes[begin..end].to_vec();
            begin = end;
            packet
        });
        // An empty one would be the end.
        Self(packets.filter(|packet| !packet.is_empty()).collect())
    }
}

impl AsyncRead for Packets {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(mut packet) = self.0.pop_front() {
            let rest = packet.split_off(packet.len().min(buffer.remaining()));
            buffer.put_slice(&packet);
            if !rest.is_empty() {
                self.0.push_front(rest);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Packets {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
