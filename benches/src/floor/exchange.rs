//! Large calls, written and read at once.

use std::future::poll_fn;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use anyhow::{Result, ensure};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::{Frames, HEADER, header};
use crate::measure::Tally;

/// Keeps a few large calls going; more than the socket's buffers hold, so that it has to read
/// while it writes.
pub(super) struct Exchange {
    stream: TcpStream,
    payload: Vec<u8>,
    /// Requests that are not written whole yet.
    to_write: usize,
    /// Bytes of the first of them that are.
    written: usize,
    frames: Frames,
    tally: Tally,
}

impl Exchange {
    pub(super) fn new(stream: TcpStream, in_flight: usize, size: usize, tally: Tally) -> Self {
        let (payload, frames) = (vec![7; size], Frames::new());
        Self { stream, payload, to_write: in_flight, written: 0, frames, tally }
    }

    pub(super) async fn run(mut self) -> Result<()> {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            let read = self.poll_read(cx)?.is_ready();
            let wrote = self.to_write > 0 && self.poll_write(cx)?.is_ready();
            if !read && !wrote {
                return Poll::Pending;
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let mut room = ReadBuf::new(self.frames.room());
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut room))?;
        let count = room.filled().len();
        ensure_open(count)?;
        self.frames.end += count;
        while let Some(frame) = self.frames.next() {
            ensure_echo(frame, self.payload.len())?;
            self.to_write += 1;
            self.tally.add(1);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let header = header(1, self.payload.len());
        let head = &header[self.written.min(HEADER)..];
        let body = &self.payload[self.written.saturating_sub(HEADER)..];
        let slices = [IoSlice::new(head), IoSlice::new(body)];
        self.written += ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, &slices))?;
        if self.written == HEADER + self.payload.len() {
            self.written = 0;
            self.to_write -= 1;
        }
        Poll::Ready(Ok(()))
    }
}

fn ensure_open(count: usize) -> Result<()> {
    ensure!(count > 0, "the server has gone");
    Ok(())
}

fn ensure_echo(frame: &[u8], size: usize) -> Result<()> {
    ensure!(frame.len() == HEADER + size, "the answer is no echo");
    Ok(())
}
