//! One end of a connection that does only what it is told, byte by byte.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use chaos::within;
use tests::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    /// A connection on which nothing was said.
    pub(crate) async fn dial(address: SocketAddr) -> Result<Self> {
        let stream = within(20, "a server is there", TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// One that was let in; `headers` as they stand in the head, each with its line end.
    pub(crate) async fn enter(address: SocketAddr, headers: &str) -> Result<Self> {
        Self::dial(address).await?.let_in(headers).await
    }

    /// The same, on a connection that is there.
    pub(crate) async fn let_in(mut self, headers: &str) -> Result<Self> {
        self.say(format!("CONNECT /_rpc_ HTTP/1.0\r\n{headers}\r\n").as_bytes()).await?;
        let head = self.head().await?;
        ensure!(head.starts_with("HTTP/1.0 200 "), "refused: {head}");
        Ok(self)
    }

    pub(crate) async fn say(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(within(20, "a peer reads", self.0.write_all(bytes)).await??)
    }

    pub(crate) async fn send(&mut self, frame: &Frame) -> Result<()> {
        self.say(&frame.to_bytes()).await
    }

    /// The head that comes, and not a byte more.
    pub(crate) async fn head(&mut self) -> Result<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within(20, "a head comes", self.0.read_u8()).await??);
        }
        Ok(String::from_utf8_lossy(&head).into_owned())
    }

    /// The next frame; `None` at the end of the connection, however it ends.
    pub(crate) async fn frame(&mut self) -> Result<Option<Frame>> {
        let Ok(length) = within(20, "a frame comes", self.0.read_u32()).await? else { return Ok(None) };
        ensure!(length <= 8 << 20, "a frame of {length} bytes");
        let mut frame = vec![0; length as usize];
        let Ok(_) = within(20, "a frame comes whole", self.0.read_exact(&mut frame)).await? else {
            return Ok(None);
        };
        ensure!(frame.len() >= 10, "a frame of {length} bytes");
        let body = frame.split_off(10);
        let id = u64::from_be_bytes(frame[2..10].try_into()?);
        Ok(Some(Frame { kind: frame[0], flags: frame[1], id, body }))
    }

    /// The next frame that is about a call or is a GoAway: no Ping, no Pong.
    pub(crate) async fn answer(&mut self) -> Result<Option<Frame>> {
        loop {
            match self.frame().await? {
                Some(Frame { kind: Frame::PING | Frame::PONG, .. }) => {}
                next => return Ok(next),
            }
        }
    }

    /// Whether the peer closes within that time. What it says until then is thrown away, and its length is told.
    pub(crate) async fn closes(&mut self, limit: Duration) -> (bool, usize) {
        let (mut scrap, mut said) = (vec![0; 64 * 1024], 0);
        let closed = timeout(limit, async {
            while let Ok(count @ 1..) = self.0.read(&mut scrap).await {
                said += count;
            }
        });
        (closed.await.is_ok(), said)
    }
}
