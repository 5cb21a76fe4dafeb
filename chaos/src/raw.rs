//! A client that does only what it is told, byte by byte.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::within;

/// Small, so that a peer that takes nothing is soon one to which nothing can be sent.
const RECEIVE_BUFFER: u32 = 4096;

/// Kinds of frames.
pub(crate) const GO_AWAY: u8 = 10;

pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    pub(crate) async fn dial(address: SocketAddr) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        let stream = within(5, "a server is there", socket.connect(address)).await??;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// One that was let in.
    pub(crate) async fn enter(address: SocketAddr) -> Result<Self> {
        let mut raw = Self::dial(address).await?;
        raw.0.write_all(b"CONNECT /_rpc_ HTTP/1.0\r\n\r\n").await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within(5, "a head comes", raw.0.read_u8()).await??);
        }
        ensure!(head.starts_with(b"HTTP/1.0 200 "), "refused: {}", String::from_utf8_lossy(&head));
        Ok(raw)
    }

    /// Calls a method with a small number.
    pub(crate) async fn request(&mut self, counter: u64, method: &str, number: u8) -> Result<()> {
        let mut frame = vec![1, 0x08];
        frame.extend((counter << 16).to_be_bytes());
        frame.extend([0; 10]);
        frame.push(u8::try_from(method.len())?);
        frame.extend(method.as_bytes());
        frame.push(number);
        self.0.write_all(&u32::try_from(frame.len())?.to_be_bytes()).await?;
        Ok(self.0.write_all(&frame).await?)
    }

    /// The kind and the body of the next frame.
    pub(crate) async fn frame(&mut self) -> Result<(u8, Vec<u8>)> {
        let length = within(10, "a frame comes", self.0.read_u32()).await??;
        let mut frame = vec![0; length as usize];
        within(5, "a frame comes whole", self.0.read_exact(&mut frame)).await??;
        let body = frame.split_off(10);
        Ok((frame[0], body))
    }
}
