//! One end of a connection, driven byte by byte.

use std::future::Future;
use std::io;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::time::timeout;

/// What does not come within this does not come.
const LIMIT: Duration = Duration::from_secs(10);

/// So much of what is sent at once goes out byte by byte, if it is to; the rest in slices of an odd length.
const BYTE_BY_BYTE: usize = 2048;
const SLICE: usize = 4093;

/// How what is sent is cut into writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slices {
    /// As it stands in the vector.
    Whole,
    /// Into single bytes.
    Bytes,
}

/// A frame with its length.
#[derive(Clone, Debug)]
pub(crate) struct Frame(pub(crate) Vec<u8>);

impl Frame {
    pub(crate) const RESPONSE: u8 = 0x02;
    pub(crate) const STATUS: u8 = 0x03;
    pub(crate) const DATA: u8 = 0x05;
    pub(crate) const END: u8 = 0x06;
    pub(crate) const CREDIT: u8 = 0x07;
    pub(crate) const PING: u8 = 0x08;
    pub(crate) const GO_AWAY: u8 = 0x0a;

    pub(crate) const MORE: u8 = 0x04;

    /// The first one of these bytes, if it is whole.
    pub(crate) fn first(bytes: &[u8]) -> Result<Option<Self>> {
        let Some(length) = bytes.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        ensure!(length >= 10, "a frame of {length} bytes");
        Ok(bytes.get(..4 + length).map(|frame| Self(frame.to_vec())))
    }

    pub(crate) fn kind(&self) -> u8 {
        self.0[4]
    }

    pub(crate) fn flags(&self) -> u8 {
        self.0[5]
    }

    pub(crate) fn id(&self) -> u64 {
        self.0[6..14].iter().fold(0, |id, byte| id << 8 | u64::from(*byte))
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.0[14..]
    }
}

pub(crate) struct Wire<IO> {
    halves: Option<(ReadHalf<IO>, WriteHalf<IO>)>,
    slices: Slices,
    /// What has come and was not looked at.
    incoming: Vec<u8>,
    over: bool,
    /// The largest frame that the other side may send.
    pub(crate) max_frame: usize,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Wire<IO> {
    /// One that is not connected yet.
    pub(crate) fn new(slices: Slices) -> Self {
        Self { halves: None, slices, incoming: Vec::new(), over: true, max_frame: 4_194_304 }
    }

    pub(crate) async fn connect(&mut self, io: impl Future<Output = io::Result<IO>>) -> Result<()> {
        self.halves = Some(split(timeout(LIMIT, io).await.context("there is no connection")??));
        self.over = false;
        Ok(())
    }

    /// Writes all, and reads what comes meanwhile. A side that takes no more has its reasons, which it says.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let (slow, fast) = match self.slices {
            Slices::Whole => (&[][..], bytes),
            Slices::Bytes => bytes.split_at(bytes.len().min(BYTE_BY_BYTE)),
        };
        let size = if self.slices == Slices::Whole { fast.len().max(1) } else { SLICE };
        for slice in slow.chunks(1).chain(fast.chunks(size)) {
            if timeout(LIMIT, self.write(slice)).await.context("the other side does not read")?.is_err() {
                return Ok(());
            }
            if self.slices == Slices::Bytes {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    async fn write(&mut self, mut slice: &[u8]) -> io::Result<()> {
        let Self { halves, incoming, over, .. } = self;
        let (reader, writer) = halves.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        while !slice.is_empty() {
            tokio::select! {
                biased;
                written = writer.write(slice) => slice = &slice[written?..],
                read = reader.read_buf(incoming), if !*over => *over = !matches!(read, Ok(1..)),
            }
        }
        writer.flush().await
    }

    /// Shuts the writing side.
    pub(crate) async fn fin(&mut self) {
        if let Some((_, writer)) = &mut self.halves {
            // One that is gone needs none.
            let _ = writer.shutdown().await;
        }
    }

    /// Lets the connection go.
    pub(crate) fn hangup(&mut self) {
        self.halves = None;
        self.over = true;
    }

    /// Waits for more; false at the end.
    async fn more(&mut self) -> Result<bool> {
        let Self { halves, incoming, over, .. } = self;
        let Some((reader, _)) = halves.as_mut().filter(|_| !*over) else { return Ok(false) };
        let read = timeout(LIMIT, reader.read_buf(incoming)).await.context("nothing comes")?;
        *over = !matches!(read, Ok(1..));
        Ok(!*over)
    }

    /// The next frame; `None` at the end.
    pub(crate) async fn frame(&mut self) -> Result<Option<Frame>> {
        loop {
            if let Some(length) = self.incoming.first_chunk::<4>() {
                let length = u32::from_be_bytes(*length) as usize;
                ensure!(length <= self.max_frame, "a frame of {length} bytes is over what was announced");
            }
            if let Some(frame) = Frame::first(&self.incoming)? {
                self.incoming.drain(..frame.0.len());
                return Ok(Some(frame));
            }
            if !self.more().await? {
                ensure!(self.incoming.is_empty(), "the end comes inside a frame");
                return Ok(None);
            }
        }
    }

    /// A head, with the empty line that ends it.
    pub(crate) async fn head(&mut self) -> Result<String> {
        loop {
            let ends = ["\r\n\r\n", "\n\n"].map(|end| {
                let found = self.incoming.windows(end.len()).position(|bytes| bytes == end.as_bytes());
                found.map(|at| at + end.len())
            });
            if let Some(end) = ends.into_iter().flatten().min() {
                let head = self.incoming.drain(..end).collect::<Vec<_>>();
                return Ok(String::from_utf8_lossy(&head).into_owned());
            }
            if !self.more().await? {
                bail!("no head, but {:?} and the end", String::from_utf8_lossy(&self.incoming));
            }
        }
    }

    /// All that comes until the end.
    pub(crate) async fn rest(&mut self) -> Result<Vec<u8>> {
        while self.more().await? {}
        Ok(std::mem::take(&mut self.incoming))
    }
}
