//! The TLS handshake, between the dial and CONNECT.

use std::io;
use std::time::Duration;

use rpc_io::tls::TlsFailure;
use rpc_io::tls::tokio_rustls::TlsConnector;
use rpc_io::tls::tokio_rustls::client::TlsStream;
use rpc_io::tls::tokio_rustls::rustls::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, sink};
use tokio::time::timeout;

use super::{DialConfig, Target};
use crate::connect_error::ConnectError;

/// After a handshake that failed so much of what still comes is thrown away, so that the reset for unread
/// input does not overtake the alert that tells the server why.
const LINGER_BYTES: u64 = 64 * 1024;

/// And for so long, while the caller knows already.
const LINGER_TIME: Duration = Duration::from_secs(1);

impl DialConfig {
    /// Makes a stream of TLS of it, to the server that the target names.
    pub(super) async fn secure<IO>(&self, io: IO, target: &Target) -> Result<TlsStream<IO>, ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let settings = |source| ConnectError::TlsSettings { address: target.name.clone(), source };
        let failed = |source| ConnectError::TlsHandshake { address: target.name.clone(), source };
        let name = self.tls.name(target.authority.host()).map_err(settings)?;
        let (config, asked) = self.tls.config().await.map_err(settings)?;
        let handshake = TlsConnector::from(config).connect(name, io).into_fallible();
        let after = self.tls_handshake_timeout;
        match timeout(after, handshake).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err((error, io))) => {
                tokio::spawn(linger(io));
                Err(failed(TlsFailure::new(error, asked.in_vain())))
            }
            Err(_) => Err(failed(TlsFailure::Timeout { after })),
        }
    }
}

async fn linger<IO: AsyncRead + AsyncWrite + Unpin>(mut io: IO) {
    let _ = timeout(LINGER_TIME, async {
        io.shutdown().await?;
        copy(&mut io.take(LINGER_BYTES), &mut sink()).await
    })
    .await;
}

/// In TLS 1.3 a server looks at the client's certificate when the client is done with the handshake already: what it
/// says comes with the first read.
pub(super) fn is_alert(error: &io::Error) -> bool {
    let source = error.get_ref().and_then(|source| source.downcast_ref());
    matches!(source, Some(Error::AlertReceived(_)))
}
