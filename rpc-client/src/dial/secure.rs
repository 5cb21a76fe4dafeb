//! The TLS handshake, between the dial and CONNECT.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use rpc_io::Stream;
use rpc_io::tls::tokio_rustls::TlsConnector;
use rpc_io::tls::tokio_rustls::client::TlsStream;
use rpc_io::tls::tokio_rustls::rustls::pki_types::ServerName;
use rpc_io::tls::tokio_rustls::rustls::{ClientConfig, Error};
use rpc_io::tls::{TlsError, TlsFailure};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::{DialConfig, Target};
use crate::connect_error::ConnectError;
use crate::tls::Asked;

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
        #[cfg(feature = "http2")]
        let config = if self.http2 {
            let mut config = (*config).clone();
            config.alpn_protocols = vec![b"h2".to_vec()];
            Arc::new(config)
        } else {
            config
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
                // There is an alert on its way, unless there is no way any more. The caller knows already.
                if !matches!(failure, TlsFailure::Closed { .. } | TlsFailure::Io { .. }) {
                    tokio::spawn(Stream::new(io, Bytes::new()).finish());
                }
                Err(failed(failure))
            }
            Err(_) => Err(failed(TlsFailure::Timeout { after })),
        }
    }
}

/// In TLS 1.3 a server looks at the client's certificate when the client is done with the handshake already: what it
/// says comes with the first read.
pub(super) fn is_alert(error: &io::Error) -> bool {
    let source = error.get_ref().and_then(|source| source.downcast_ref());
    matches!(source, Some(Error::AlertReceived(_)))
}
