//! The TLS handshake, between the dial and CONNECT.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rpc_io::tls::tokio_rustls::TlsConnector;
use rpc_io::tls::tokio_rustls::client::TlsStream;
use rpc_io::tls::tokio_rustls::rustls::pki_types::ServerName;
use rpc_io::tls::tokio_rustls::rustls::{ClientConfig, Error};
use rpc_io::tls::{TlsError, TlsFailure};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, sink};
use tokio::time::timeout;

use super::{DialConfig, Target};
use crate::connect_error::ConnectError;
use crate::tls::Asked;

/// After a handshake that failed so much of what still comes is thrown away, so that the reset for unread
/// input does not overtake the alert that tells the server why.
const LINGER_BYTES: u64 = 64 * 1024;

/// And for so long, while the caller knows already.
const LINGER_TIME: Duration = Duration::from_secs(1);

/// What a handshake is made with.
pub(super) struct Handshake {
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
    asked: Arc<Asked>,
}

impl Handshake {
    /// The server asked for a certificate, and got none.
    pub(super) fn asked_in_vain(&self) -> bool {
        self.asked.in_vain()
    }
}

impl DialConfig {
    /// Made before anything is dialled; the roots of the platform take their time when they are first read.
    pub(super) async fn handshake(&self, target: &Target) -> Result<Handshake, ConnectError> {
        let settings = |source| ConnectError::TlsSettings { address: target.name.clone(), source };
        let name = self.tls.name(target.authority.host()).map_err(settings)?;
        let after = self.tls_handshake_timeout;
        let (config, asked) = match timeout(after, self.tls.config()).await {
            Ok(made) => made.map_err(settings)?,
            Err(_) => return Err(settings(TlsError::SlowRoots { after })),
        };
        Ok(Handshake { name, config, asked })
    }

    /// Makes a stream of TLS of it.
    pub(super) async fn secure<IO>(
        &self,
        io: IO,
        address: &str,
        handshake: &Handshake,
    ) -> Result<TlsStream<IO>, ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let failed = |source| ConnectError::TlsHandshake { address: address.to_owned(), source };
        let Handshake { name, config, asked } = handshake;
        let connecting = TlsConnector::from(config.clone()).connect(name.clone(), io).into_fallible();
        let after = self.tls_handshake_timeout;
        match timeout(after, connecting).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err((error, io))) => {
                let failure = TlsFailure::new(error, asked.in_vain());
                // There is an alert on its way, unless there is no way any more.
                if !matches!(failure, TlsFailure::Closed { .. } | TlsFailure::Io { .. }) {
                    tokio::spawn(linger(io));
                }
                Err(failed(failure))
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
