//! One connection, as its callers hold it.

use std::sync::Arc;

use rpc_core::Format;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use crate::connection::{Connection, PingTimes};
use crate::dial::Dialled;
use crate::shared::Shared;

/// A connection whose task runs. It closes with the last handle: the endpoint's, or that of a call
/// that is in flight when the endpoint has gone on to another connection.
pub(crate) struct Link {
    pub(crate) shared: Arc<Shared>,
    pub(crate) format: Format,
    /// Cancelled when it takes no new calls: the server said so, or it is over.
    pub(crate) leaving: CancellationToken,
    /// Cancelled when the connection's task has ended.
    pub(crate) over: CancellationToken,
}

impl Link {
    pub(crate) fn spawn<IO>(dialled: Dialled<IO>, ping: PingTimes) -> Arc<Self>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Dialled { io, input, terms, own } = dialled;
        let shared = Arc::new(Shared::new(terms.limits, own));
        let (leaving, over) = (CancellationToken::new(), CancellationToken::new());
        let connection = Connection::new((io, input), shared.clone(), ping, &leaving, &over);
        // Boxed, because its future would hold it twice.
        tokio::spawn(Box::new(connection).run());
        Arc::new(Self { shared, format: terms.format, leaving, over })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.close();
    }
}
