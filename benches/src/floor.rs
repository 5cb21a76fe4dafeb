//! The least that calls can cost on the same runtime: frames of a 4-byte length, an 8-byte id and
//! a payload, read and written in batches, with nothing of an RPC framework around them.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use anyhow::{Result, bail, ensure};
use std::future::poll_fn;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::case::{Body, Load};
use crate::measure::{Meter, Tally};

/// Bytes of one read, unless a frame is known to be longer.
const CHUNK: usize = 64 * 1024;

/// Length and id.
const HEADER: usize = 12;

/// Two numbers: a payload of this length is multiplied, any other is echoed.
const NUMBERS: usize = 16;

/// Bytes that were read; whole frames are taken off the front.
struct Frames {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Frames {
    fn new() -> Self {
        Self { bytes: vec![0; CHUNK], start: 0, end: 0 }
    }

    /// Where to read: all of the buffer, which is made to hold the frame at its front.
    fn room(&mut self) -> &mut [u8] {
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if let Some(total) = self.total()
            && total > self.bytes.len()
        {
            self.bytes.resize(total, 0);
        }
        &mut self.bytes[self.end..]
    }

    fn total(&self) -> Option<usize> {
        let length = self.bytes[self.start..self.end].first_chunk::<4>()?;
        Some(4 + u32::from_be_bytes(*length) as usize)
    }

    fn next(&mut self) -> Option<&[u8]> {
        let total = self.total().filter(|total| self.end - self.start >= *total)?;
        let frame = &self.bytes[self.start..self.start + total];
        self.start += total;
        Some(frame)
    }
}

fn header(id: u64, payload: usize) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(&(payload as u32 + 8).to_be_bytes());
    header[4..].copy_from_slice(&id.to_be_bytes());
    header
}

fn number(bytes: &[u8]) -> i64 {
    bytes.first_chunk().map_or(0, |bytes| i64::from_le_bytes(*bytes))
}

/// See [`Subject::serve`](crate::subject::Subject::serve).
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
async fn repeat(mut stream: TcpStream, size: usize) -> Result<()> {
    let mut items = Vec::new();
    while items.len() < CHUNK {
        items.extend_from_slice(&header(1, size));
        items.resize(items.len() + size, 7);
    }
    loop {
        stream.write_all(&items).await?;
    }
}

/// Asks for items of that size, and takes them for ever.
async fn take(mut stream: TcpStream, size: usize, mut tally: Tally) -> Result<()> {
    stream.write_all(&header(1, 4)).await?;
    stream.write_all(&(size as u32).to_be_bytes()).await?;
    let mut frames = Frames::new();
    loop {
        let count = stream.read(frames.room()).await?;
        ensure!(count > 0, "the server has gone");
        frames.end += count;
        let mut taken = 0;
        while let Some(frame) = frames.next() {
            ensure!(frame.len() == HEADER + size, "the item has another size");
            taken += 1;
        }
        tally.add(taken);
    }
}

/// See [`Subject::drive`](crate::subject::Subject::drive).
///
/// # Errors
/// When a connection cannot be opened.
pub async fn drive(address: SocketAddr, load: Load, meter: &mut Meter) -> Result<JoinSet<Result<()>>> {
    let (mut tasks, mut streams) = (JoinSet::new(), Vec::new());
    for _ in 0..load.connections {
        streams.push(TcpStream::connect(address).await?);
    }
    for stream in streams {
        stream.set_nodelay(true)?;
        let tally = meter.tally(load.timed);
        match load.body {
            Body::Small => tasks.spawn(call(stream, load.in_flight, NUMBERS, tally)),
            Body::Echo(size @ ..=CHUNK) => tasks.spawn(call(stream, load.in_flight, size, tally)),
            Body::Echo(size) => tasks.spawn(Exchange::new(stream, load.in_flight, size, tally).run()),
            Body::Wait => bail!("the floor waits for nothing"),
            Body::Items(size) => tasks.spawn(take(stream, size, tally)),
            Body::Quotes => tasks.spawn(take(stream, 64, tally)),
            Body::Beside(_) => bail!("the floor has one kind of call on a connection"),
        };
    }
    Ok(tasks)
}

/// Keeps `in_flight` calls with short payloads going: every batch of answers makes a batch of requests. It
/// all fits into the socket's buffers, so that reads and writes can take turns.
async fn call(mut stream: TcpStream, in_flight: usize, payload: usize, mut tally: Tally) -> Result<()> {
    let (mut frames, mut out, mut id) = (Frames::new(), Vec::new(), 0_u64);
    let request = |out: &mut Vec<u8>, id: u64| {
        out.extend_from_slice(&header(id, payload));
        out.extend_from_slice(&7_i64.to_le_bytes());
        out.extend_from_slice(&(id as i64).to_le_bytes());
        out.resize(out.len() + payload - NUMBERS, 7);
    };
    let answered_with = if payload == NUMBERS { 8 } else { payload };
    for _ in 0..in_flight {
        id += 1;
        request(&mut out, id);
    }
    loop {
        let began = tally.begin();
        stream.write_all(&out).await?;
        out.clear();
        let mut answered = 0;
        while answered == 0 {
            let count = stream.read(frames.room()).await?;
            ensure!(count > 0, "the server has gone");
            frames.end += count;
            while let Some(frame) = frames.next() {
                let answer = frame.split_at_checked(HEADER).map_or(&[][..], |(_, answer)| answer);
                ensure!(answer.len() == answered_with && number(answer) % 7 == 0, "the answer is another");
                answered += 1;
                id += 1;
                request(&mut out, id);
            }
        }
        match began {
            Some(_) => tally.end(began),
            None => tally.add(answered),
        }
    }
}

/// Keeps a few large calls going; more than the socket's buffers hold, so that it has to read
/// while it writes.
struct Exchange {
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
    fn new(stream: TcpStream, in_flight: usize, size: usize, tally: Tally) -> Self {
        let (payload, frames) = (vec![7; size], Frames::new());
        Self { stream, payload, to_write: in_flight, written: 0, frames, tally }
    }

    async fn run(mut self) -> Result<()> {
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
