//! Work for a client, as long as it is there.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;

use tokio::io::{AsyncRead, ReadBuf};

/// What may come behind a head while its handler works. With more, nobody notices any longer that
/// the client goes.
const MOST: usize = 64 * 1024;

/// Runs `work`, and gives it up when the client goes away or closes its side. What comes meanwhile is left in
/// `rest`.
pub(super) async fn while_there<IO, T>(
    io: &mut IO,
    rest: &mut Vec<u8>,
    work: impl Future<Output = T>,
) -> io::Result<T>
where
    IO: AsyncRead + Unpin,
{
    let mut work = pin!(work);
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Ok(done));
        }
        while rest.len() < MOST {
            let mut chunk = [0; 2048];
            let mut room = ReadBuf::new(&mut chunk);
            match Pin::new(&mut *io).poll_read(cx, &mut room) {
                Poll::Pending => break,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) if room.filled().is_empty() => {
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                Poll::Ready(Ok(())) => rest.extend_from_slice(room.filled()),
            }
        }
        Poll::Pending
    })
    .await
}
