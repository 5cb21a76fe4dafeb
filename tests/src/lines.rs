//! Connections that a test lays out before they are dialled.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rpc_client::Connector;
use rpc_server::Server;
use tokio::io::DuplexStream;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Hands out the next line at each dial, and refuses when none is laid.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    laid: Arc<Mutex<VecDeque<DuplexStream>>>,
    dials: Arc<Mutex<Vec<Instant>>>,
}

impl Lines {
    /// Lays one more; its other end.
    #[must_use]
    pub fn lay(&self) -> DuplexStream {
        let (near, far) = tokio::io::duplex(64 * 1024);
        self.laid.lock().unwrap_or_else(PoisonError::into_inner).push_back(near);
        far
    }

    /// Lays one more, whose other end is served. Aborting that cuts it.
    pub fn serve(&self, server: &Server) -> AbortHandle {
        let (far, server) = (self.lay(), server.clone());
        tokio::spawn(async move { server.serve_connection(far).await }).abort_handle()
    }

    /// When it was dialled.
    #[must_use]
    pub fn dials(&self) -> Vec<Instant> {
        self.dials.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Connector for Lines {
    type Io = DuplexStream;

    async fn connect(&self) -> io::Result<DuplexStream> {
        self.dials.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
        let next = self.laid.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        next.ok_or_else(|| io::ErrorKind::ConnectionRefused.into())
    }
}
