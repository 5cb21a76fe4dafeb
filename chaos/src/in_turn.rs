//! A client of several servers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rpc_client::Connector;
use tokio::net::TcpStream;

/// Dials servers in turn.
#[derive(Clone)]
pub(crate) struct InTurn {
    addresses: Arc<[SocketAddr]>,
    next: Arc<AtomicUsize>,
    opened: Arc<AtomicUsize>,
}

impl InTurn {
    pub(crate) fn new(addresses: impl Into<Arc<[SocketAddr]>>) -> Self {
        Self { addresses: addresses.into(), next: Arc::default(), opened: Arc::default() }
    }

    /// The one that was dialled last.
    pub(crate) fn in_use(&self) -> usize {
        (self.next.load(Ordering::Relaxed) + self.addresses.len() - 1) % self.addresses.len()
    }

    /// Connections that were made.
    pub(crate) fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }
}

impl Connector for InTurn {
    type Io = TcpStream;

    async fn connect(&self) -> io::Result<TcpStream> {
        let mut last = None;
        for _ in self.addresses.iter() {
            let at = self.next.fetch_add(1, Ordering::Relaxed) % self.addresses.len();
            match TcpStream::connect(self.addresses[at]).await {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    self.opened.fetch_add(1, Ordering::Relaxed);
                    return Ok(stream);
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
    }
}
