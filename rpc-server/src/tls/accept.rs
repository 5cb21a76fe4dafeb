//! The handshake of one connection.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rpc_core::TlsPeer;
use rpc_core::handshake::Refusal;
use rpc_core::output::Output;
use rpc_io::tls::TlsFailure;
use rpc_io::tls::tokio_rustls::TlsAcceptor;
use rpc_io::tls::tokio_rustls::rustls::ServerConnection;
use rpc_io::tls::tokio_rustls::server::TlsStream;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use webpki::EndEntityCert;

use super::{ServerTls, Shared};
use crate::error::ConnectionError;
use crate::linger::linger;
use crate::room::count_up_to;
use crate::state::State;

/// A handshake that counts among those in progress.
struct Counted(Arc<Shared>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.handshakes.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ServerTls {
    /// Makes a stream of TLS of it, and finds out who the client is. A shutdown ends it at once.
    pub(crate) async fn accept<IO>(
        &self,
        io: IO,
        server: &State,
    ) -> Result<(TlsStream<IO>, TlsPeer), ConnectionError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let most = self.max_handshakes;
        if !count_up_to(&self.shared.handshakes, most) {
            return Err(ConnectionError::Tls(TlsFailure::TooMany { most }));
        }
        let counted = Counted(self.shared.clone());
        let handshake = TlsAcceptor::from(self.config()).accept(io).into_fallible();
        let done = timeout(self.handshake_timeout, handshake);
        let done = server.shutdown.drain.run_until_cancelled(done).await;
        drop(counted);
        let ending = || Refusal::service_unavailable("the server is shutting down");
        let late = |_| ConnectionError::Tls(TlsFailure::Timeout { after: self.handshake_timeout });
        match done.ok_or_else(|| ConnectionError::Refused(ending()))?.map_err(late)? {
            Ok(stream) => {
                let peer = peer(stream.get_ref().1);
                Ok((stream, peer))
            }
            Err((error, io)) => Err(ConnectionError::Tls(failed(error, io, server).await)),
        }
    }
}

/// The alert has been written; a reset for what the client still sends must not overtake it.
async fn failed<IO>(error: io::Error, mut io: IO, server: &State) -> TlsFailure
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let failure = TlsFailure::new(error, false);
    if !matches!(failure, TlsFailure::Closed { .. } | TlsFailure::Io { .. }) {
        linger(&mut io, &mut Output::default(), server.config.write_timeout).await;
    }
    failure
}

fn peer(connection: &ServerConnection) -> TlsPeer {
    let mut peer = TlsPeer::default();
    peer.server_name = connection.server_name().map(str::to_owned);
    // The others are what the client says leads from there to a root.
    let own = connection.peer_certificates().and_then(|chain| chain.first());
    if let Some(own) = own {
        peer.certificate = Some(own.to_vec());
        if let Ok(names) = EndEntityCert::try_from(own) {
            peer.dns_names = names.valid_dns_names().map(str::to_owned).collect();
            peer.uris = names.valid_uri_names().map(str::to_owned).collect();
        }
    }
    peer
}
