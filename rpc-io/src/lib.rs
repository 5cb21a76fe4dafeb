//! Reading frames from, and writing output to, any [`AsyncRead`] + [`AsyncWrite`].
//!
//! The two shells, rpc-client and rpc-server, do the same three things with a socket: read a head,
//! then read frames, then write what waits. Large read buffers belong to the thread, not to the
//! connection, so that an idle connection holds almost nothing.

#![forbid(unsafe_code)]

mod linger;
mod narrow;
mod stream;
mod tcp;
mod timer;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(feature = "websocket")]
pub mod websocket;

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use rpc_core::handshake::{HeadBuffer, HeadTooLarge, WholeHead};
use rpc_core::input::Input;
use rpc_core::output::Output;
use rpc_core::spare::Spare;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A read of so many bytes is a full one: as much again may be there. With 8 KiB the system calls, not the frames,
/// would set the pace.
pub const FULL: usize = 64 * 1024;

/// Bytes that one read takes. Bodies of round sizes have headers before them: the last one of a full read would come
/// alone.
pub const CHUNK: usize = FULL + 4 * 1024;

/// Slices of one vectored write.
const SLICES: usize = 32;

pub use linger::linger;
pub use narrow::Narrow;
pub use stream::Stream;
pub use tcp::TcpOptions;
pub use timer::{Timer, now};

thread_local! {
    static READ: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static OUTPUT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Larger buffers are given back to the allocator. A batch of 32 answers of 4 KiB has to fit: memory that is
/// new for each batch costs more, in page faults, than all else about it.
const KEPT: usize = 256 * 1024;

/// Runs `f` with this thread's empty buffer. Code that comes back here while it is in use finds
/// another one.
pub fn with_scratch<T>(f: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let mut buffer = SCRATCH.take();
    buffer.clear();
    let result = f(&mut buffer);
    if buffer.capacity() <= KEPT {
        SCRATCH.set(buffer);
    }
    result
}

/// Lends this thread's output buffer to a connection that has none.
pub fn lend_buffer(out: &mut Output) {
    if out.capacity() == 0 {
        out.take_buffer(OUTPUT.take());
    }
}

/// Takes the buffer back from a connection that has nothing to write, so that it holds no memory
/// while it is idle, and allocates none when it is not.
pub fn reclaim_buffer(out: &mut Output) {
    let buffer = out.give_buffer();
    if (1..=KEPT).contains(&buffer.capacity()) {
        OUTPUT.set(buffer);
    }
}

/// Reads once and hands the bytes to `take` together with `input`: whole frames lie in the slice,
/// or in `input` when they were large. `None`: the peer has sent all that it will.
///
/// # Errors
/// As the transport's.
pub fn poll_receive<IO, T>(
    io: &mut IO,
    cx: &mut Context<'_>,
    input: &mut Input,
    take: impl FnOnce(&mut Input, &[u8]) -> T,
) -> Poll<io::Result<Option<T>>>
where
    IO: AsyncRead + Unpin,
{
    if let Some((tail, most)) = input.direct() {
        let mut room = tail.limit(most);
        let count = ready!(tokio_util::io::poll_read_buf(Pin::new(io), cx, &mut room))?;
        return Poll::Ready(Ok((count > 0).then(|| take(input, &[]))));
    }
    let mut chunk = READ.take().unwrap_or_else(|| vec![0; CHUNK].into_boxed_slice());
    let mut room = ReadBuf::new(&mut chunk);
    let polled = Pin::new(io).poll_read(cx, &mut room);
    let count = room.filled().len();
    let result = match polled {
        Poll::Pending => Poll::Pending,
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        Poll::Ready(Ok(())) => Poll::Ready(Ok((count > 0).then(|| take(input, &chunk[..count])))),
    };
    READ.set(Some(chunk));
    result
}

/// Writes all that waits.
///
/// # Errors
/// As the transport's; a transport that takes nothing is [`io::ErrorKind::WriteZero`].
pub fn poll_send<IO: AsyncWrite + Unpin>(
    io: &mut IO,
    cx: &mut Context<'_>,
    out: &mut Output,
) -> Poll<io::Result<()>> {
    while !out.is_empty() {
        let count = match out.single() {
            Some(bytes) => ready!(Pin::new(&mut *io).poll_write(cx, bytes))?,
            None => {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let filled = out.slices(&mut slices);
                ready!(Pin::new(&mut *io).poll_write_vectored(cx, &slices[..filled]))?
            }
        };
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        out.advance(count);
    }
    Pin::new(io).poll_flush(cx)
}

/// Memory of large bodies, for all connections of this process.
pub static SPARE: Spare = Spare::new(16 * 1024 * 1024);

/// A head, and the bytes that came behind it.
#[derive(Debug)]
pub struct Head {
    /// The head, with its blank line.
    pub head: Vec<u8>,
    /// The first input of what follows.
    pub rest: Vec<u8>,
}

/// What reading a head came to.
#[derive(Debug)]
pub enum HeadError<E> {
    /// The transport failed; the peer going away is [`io::ErrorKind::UnexpectedEof`].
    Io(io::Error),
    /// The head is over the limit.
    TooLarge(HeadTooLarge),
    /// `check` refused what has come so far.
    Refused(E),
}

/// Reads a head into `buffer`. `check` sees what has come so far after every read.
///
/// # Errors
/// See [`HeadError`].
///
/// # Cancel safety
/// Bytes that were read stay in `buffer`; they are lost only once the head is whole.
pub async fn read_head<IO, E>(
    io: &mut IO,
    buffer: &mut HeadBuffer,
    check: impl Fn(&[u8]) -> Result<(), E>,
) -> Result<Head, HeadError<E>>
where
    IO: AsyncRead + Unpin,
{
    loop {
        let (count, head) = poll_fn(|cx| {
            // In the poll and not in the future, which lives on in the task.
            let mut chunk = [0; 2048];
            let mut room = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut *io).poll_read(cx, &mut room))?;
            let read = room.filled();
            let head = buffer
                .push(read)
                .map(|whole| whole.map(|WholeHead { head, rest }| Head { head, rest: rest.to_vec() }));
            Poll::Ready(io::Result::Ok((read.len(), head)))
        })
        .await
        .map_err(HeadError::Io)?;
        if count == 0 {
            return Err(HeadError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        check(buffer.bytes()).map_err(HeadError::Refused)?;
        if let Some(head) = head.map_err(HeadError::TooLarge)? {
            return Ok(head);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn bytes_behind_a_head_are_handed_on_exactly() {
        let (mut near, mut far) = tokio::io::duplex(5000);
        let mut sent = b"CONNECT / HTTP/1.0\n\n".to_vec();
        sent.extend((0..=255).cycle().take(3000));
        far.write_all(&sent).await.unwrap();
        let mut buffer = HeadBuffer::default();
        let head = read_head(&mut near, &mut buffer, |_| Ok::<_, ()>(())).await.unwrap();
        let mut seen = head.head;
        seen.extend(head.rest);
        let count = seen.len();
        assert_eq!(seen, sent[..count]);
    }

    #[test]
    fn scratch_can_be_asked_for_while_it_is_in_use() {
        with_scratch(|outer| {
            outer.push(1);
            with_scratch(|inner| assert!(inner.is_empty()));
            assert_eq!(outer.len(), 1);
        });
    }
}
