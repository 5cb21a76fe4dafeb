//! TLS before axum: a listener whose connections have made their handshake.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use rpc_core::Peer;
use rpc_server::rustls::{ServerConfig, crypto::ring, sign::SingleCertAndKey};
use rpc_server::tokio_rustls::{TlsAcceptor, server::TlsStream};
use rpc_server::{Identity, TcpOptions};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// The time for a handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Handshakes in progress at a time.
const HANDSHAKES: usize = 1024;

/// Accepting failed, out of descriptors perhaps: it is tried again after this.
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
    /// In tasks of their own, so that nobody waits for the handshake of somebody else.
    handshakes: JoinSet<io::Result<(TlsStream<TcpStream>, SocketAddr)>>,
}

impl TlsListener {
    pub(crate) fn new(tcp: TcpListener, identity: Identity) -> anyhow::Result<Self> {
        let certificate = SingleCertAndKey::from(identity.certified_key().clone());
        let mut config = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(certificate));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { tcp, acceptor: Arc::new(config).into(), handshakes: JoinSet::new() })
    }

    fn begin(&mut self, stream: TcpStream, address: SocketAddr) {
        let handshake = self.acceptor.accept(stream);
        self.handshakes.spawn(async move { Ok((timeout(HANDSHAKE, handshake).await??, address)) });
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            tokio::select! {
                accepted = self.tcp.accept(), if self.handshakes.len() < HANDSHAKES => match accepted {
                    Ok((stream, address)) => {
                        // Without them it is served all the same.
                        let _ = TcpOptions::default().apply(&stream);
                        self.begin(stream, address);
                    }
                    Err(_) => tokio::time::sleep(PAUSE).await,
                },
                Some(ended) = self.handshakes.join_next() => if let Ok(Ok(secured)) = ended {
                    return secured;
                },
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// Who is at the other end of a connection, for `ConnectInfo`.
#[derive(Clone, Debug)]
pub(crate) struct Caller(pub(crate) Peer);

impl Connected<IncomingStream<'_, TlsListener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        Self((*stream.remote_addr()).into())
    }
}

/// A certificate for this machine, which clients trust that are given what is left at `roots`.
pub(crate) fn self_signed(roots: &Path) -> anyhow::Result<Identity> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    let certificate = made.cert.pem();
    std::fs::write(roots, &certificate).with_context(|| format!("cannot write {}", roots.display()))?;
    Ok(Identity::from_pem(certificate.as_bytes(), made.signing_key.serialize_pem().as_bytes())?)
}
