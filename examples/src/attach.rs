//! What `attach-server` says to `attach`: both outputs of a command on one connection, and how it ended.
//!
//! In frames, as Docker's attach has them: a byte for the kind, three zeros, the length as four bytes in big endian,
//! then so many bytes. The last frame tells the exit status, so that a connection which is lost is no end. What the
//! command reads goes the other way as it is, and ends when the client closes its side.

use std::io;

use bytes::Buf;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The most bytes in a frame.
pub const CHUNK: usize = 64 * 1024;

const HEADER: usize = 8;

/// What the bytes of a frame are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Standard output. Without bytes it asks whether the client is still there.
    Stdout = 1,
    /// Standard error.
    Stderr = 2,
    /// A text of the server's own.
    Server = 3,
    /// One byte, the last: the exit status, or 128 and the number of the signal, as shells have it.
    Exit = 4,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Stdout, Self::Stderr, Self::Server, Self::Exit].into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// Writes a frame of [`CHUNK`] bytes at the most.
///
/// # Errors
/// The transport's, and `InvalidInput` for more bytes.
///
/// # Cancel safety
/// None: part of a frame may be written.
pub async fn write_frame<W: AsyncWrite + Unpin>(to: &mut W, kind: Kind, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= CHUNK);
    let [a, b, c, d] = length.ok_or(io::ErrorKind::InvalidInput)?.to_be_bytes();
    to.write_all_buf(&mut Buf::chain(&[kind as u8, 0, 0, 0, a, b, c, d][..], bytes)).await
}

/// Reads a frame, and leaves its bytes in `bytes`.
///
/// # Errors
/// The transport's, `UnexpectedEof` wherever it ends, and `InvalidData` for what is no frame.
///
/// # Cancel safety
/// None: part of a frame may be read.
pub async fn read_frame<R: AsyncRead + Unpin>(from: &mut R, bytes: &mut Vec<u8>) -> io::Result<Kind> {
    let mut header = [0; HEADER];
    from.read_exact(&mut header).await?;
    let [kind, _, _, _, a, b, c, d] = header;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    let kind = Kind::from_byte(kind).filter(|_| length <= CHUNK);
    let kind = kind.ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, format!("no frame begins with {header:02x?}"))
    })?;
    bytes.resize(length, 0);
    from.read_exact(bytes).await?;
    Ok(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_come_as_they_were_written() {
        let (mut near, mut far) = tokio::io::duplex(3);
        let frames =
            [(Kind::Stdout, &b"one"[..]), (Kind::Stderr, b""), (Kind::Server, b"3"), (Kind::Exit, &[7])];
        let write = async {
            for (kind, bytes) in frames {
                write_frame(&mut near, kind, bytes).await.unwrap();
            }
            drop(near);
        };
        let read = async {
            let mut bytes = Vec::new();
            for frame in frames {
                let kind = read_frame(&mut far, &mut bytes).await.unwrap();
                assert_eq!((kind, &bytes[..]), frame);
            }
            read_frame(&mut far, &mut bytes).await.unwrap_err().kind()
        };
        let ((), end) = tokio::join!(write, read);
        assert_eq!(end, io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn what_is_no_frame_is_told_before_memory_is_taken() {
        for header in [[0, 0, 0, 0, 0, 0, 0, 1], [9, 0, 0, 0, 0, 0, 0, 1], [1, 0, 0, 0, 0, 1, 0, 1]] {
            let mut bytes = Vec::new();
            let error = read_frame(&mut &header[..], &mut bytes).await.unwrap_err();
            assert_eq!((error.kind(), bytes.capacity()), (io::ErrorKind::InvalidData, 0), "{header:?}");
        }
        let much = [0; CHUNK + 1];
        let error = write_frame(&mut Vec::new(), Kind::Stdout, &much).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
