//! Where a client's calls go: the server it was told of, and the connection to it.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rpc_core::Format;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::connection::Connection;
use crate::dial::Dialled;
use crate::error::{CallInfo, ConnectError};
use crate::interceptor::Interceptor;
use crate::shared::Shared;

/// What all clones of a client share.
pub(crate) struct Endpoint {
    pub(crate) peer: Arc<str>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) interceptors: Vec<Box<dyn Interceptor>>,
    /// What was asked for in the handshake, in this order.
    pub(crate) formats: Vec<Format>,
    pub(crate) link: OnceCell<Arc<Link>>,
    pub(crate) dial: Option<Dialler>,
    pub(crate) closed: AtomicBool,
}

/// Makes the connection of a lazy client.
pub(crate) type Dialler = Box<dyn Fn() -> Dialling + Send + Sync>;
pub(crate) type Dialling = Pin<Box<dyn Future<Output = Result<Link, ConnectError>> + Send>>;

/// A connection whose task runs.
pub(crate) struct Link {
    pub(crate) shared: Arc<Shared>,
    pub(crate) format: Format,
    /// Cancelled when the connection's task has ended.
    pub(crate) over: CancellationToken,
}

impl Link {
    pub(crate) fn spawn<IO>(dialled: Dialled<IO>) -> Self
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Dialled { io, input, terms } = dialled;
        let shared = Arc::new(Shared::new(terms.limits));
        let over = CancellationToken::new();
        tokio::spawn(Connection::new(io, input, shared.clone()).run(over.clone()));
        Self { shared, format: terms.format, over }
    }
}

impl Endpoint {
    pub(crate) fn call_info(&self, method: Cow<'static, str>) -> Box<CallInfo> {
        Box::new(CallInfo { method, peer: self.peer.clone() })
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) async fn connected(&self) -> Result<(), ConnectError> {
        let link = self
            .link
            .get_or_try_init(|| async {
                match &self.dial {
                    Some(dial) => dial().await.map(Arc::new),
                    None => unreachable!("a client that is not lazy has its link from the start"),
                }
            })
            .await?;
        // Closed while it was dialling.
        if self.is_closed() {
            link.shared.close();
        }
        Ok(())
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if let Some(link) = self.link.get() {
            link.shared.close();
        }
    }
}
