//! Where connections come from.

use std::future::Future;
use std::io;

use rpc_core::{Peer, UnixPeer};
use rpc_io::TcpOptions;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

/// A source of connections.
///
/// TCP is one; simulations and tests bring their own.
pub trait Listener: Send + 'static {
    /// The byte stream of a connection.
    type Io: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// The next connection, and who is at its other end, as far as the transport knows.
    ///
    /// Must be safe to drop: no connection may be lost.
    ///
    /// # Errors
    /// Whatever keeps it from accepting now: the server waits a little and tries again.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Io, Peer)>> + Send;

    /// Sets TCP options, if this is TCP.
    ///
    /// # Errors
    /// As the system's; the connection is served all the same.
    fn tune(&self, io: &Self::Io, tcp: &TcpOptions) -> io::Result<()> {
        let _ = (io, tcp);
        Ok(())
    }
}

impl Listener for TcpListener {
    type Io = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, Peer)> {
        let (stream, address) = TcpListener::accept(self).await?;
        Ok((stream, address.into()))
    }

    fn tune(&self, stream: &TcpStream, tcp: &TcpOptions) -> io::Result<()> {
        tcp.apply(stream)
    }
}

/// Who connected is known by user, group and process. The socket's file is its owner's to make, to
/// guard by its permissions, and to remove.
#[cfg(unix)]
impl Listener for UnixListener {
    type Io = UnixStream;

    async fn accept(&mut self) -> io::Result<(UnixStream, Peer)> {
        let (stream, _) = UnixListener::accept(self).await?;
        let peer = stream.peer_cred().map_or_else(
            |_| Peer::unknown(),
            |process| UnixPeer::new(process.uid(), process.gid(), process.pid()).into(),
        );
        Ok((stream, peer))
    }
}
