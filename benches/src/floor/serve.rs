//! Answers: all whole frames of a read with one write.

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{CHUNK, Frames, HEADER, NUMBERS, header, number};

/// See [`Subject::listen`](crate::subject::Subject::listen).
///
/// # Errors
/// As the listener's.
pub async fn serve(listener: TcpListener) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(answer(stream));
    }
}

async fn answer(mut stream: TcpStream) -> Result<()> {
    let (mut frames, mut out) = (Frames::new(), Vec::new());
    loop {
        let count = stream.read(frames.room()).await?;
        if count == 0 {
            return Ok(());
        }
        frames.end += count;
        while let Some(frame) = frames.next() {
            let Some((head, payload)) = frame.split_at_checked(HEADER) else { return Ok(()) };
            if let Some(size) = payload.first_chunk().filter(|_| payload.len() == 4) {
                return repeat(stream, u32::from_be_bytes(*size) as usize).await;
            }
            if payload.len() == NUMBERS {
                let product = number(payload).wrapping_mul(number(&payload[8..]));
                let id = u64::from_be_bytes(head[4..].try_into()?);
                out.extend_from_slice(&header(id, 8));
                out.extend_from_slice(&product.to_le_bytes());
            } else if frame.len() <= CHUNK {
                out.extend_from_slice(frame);
            } else {
                // Straight from where it was read.
                stream.write_all(&out).await?;
                out.clear();
                stream.write_all(frame).await?;
            }
        }
        stream.write_all(&out).await?;
        out.clear();
    }
}

/// Sends items of that size for ever, as many with each write as a read takes.
pub(super) async fn repeat(mut stream: impl AsyncWrite + Unpin, size: usize) -> Result<()> {
    let mut items = Vec::new();
    while items.len() < CHUNK {
        items.extend_from_slice(&header(1, size));
        items.resize(items.len() + size, 7);
    }
    loop {
        stream.write_all(&items).await?;
    }
}
