//! TLS on a server's listeners.

mod accept;

use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rpc_io::tls::tokio_rustls::rustls::ServerConfig;
use rpc_io::tls::tokio_rustls::rustls::server::{
    NoServerSessionStorage, ResolvesServerCert, ServerSessionMemoryCache, WebPkiClientVerifier,
};
use rpc_io::tls::tokio_rustls::rustls::sign::SingleCertAndKey;
use rpc_io::tls::{ALPN, Identity, Roots, TlsError, provider};

use crate::error::BuildError;

/// As many as rustls keeps by default.
const SESSIONS: usize = 256;

/// TLS for a listener; see [`Serve::tls`](crate::Serve::tls). TLS 1.3 and 1.2, and `http/1.1` by ALPN.
///
/// ```no_run
/// # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
/// use rpc_server::{Identity, Roots, Server, ServerTls};
///
/// let tls = ServerTls::new(Identity::from_files("server.pem", "server.key")?)?
///     .client_roots(Roots::from_file("clients.pem")?)?;
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:1234").await?;
/// let serve = Server::builder().serve(listener).tls(tls.clone());
/// // Whenever there is a new certificate:
/// tls.replace(Identity::from_files("server.pem", "server.key")?)?;
/// # drop(serve); Ok(()) }
/// ```
///
/// Clones are the same: a [replaced](Self::replace) certificate is that of all of them, and their
/// handshakes are counted together. [`client_roots`](Self::client_roots) makes one that has no more
/// to do with its clones, so it comes before cloning.
#[derive(Clone)]
pub struct ServerTls {
    shared: Arc<Shared>,
    handshake_timeout: Duration,
    max_handshakes: usize,
}

struct Shared {
    config: RwLock<Arc<ServerConfig>>,
    /// It decides itself about the certificates of clients.
    given: bool,
    /// In progress.
    handshakes: AtomicUsize,
}

impl ServerTls {
    /// Shows this certificate to clients, and asks them for none.
    ///
    /// Sessions are resumed as rustls does by default: the last 256 are remembered, by this and its
    /// clones alone.
    ///
    /// # Errors
    /// What rustls does not take.
    pub fn new(identity: Identity) -> Result<Self, TlsError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(resolver(&identity));
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self::with(config.into(), false))
    }

    /// Takes a configuration of rustls' as it is, for needs of its own: several certificates,
    /// chosen by the name that is asked for, revocation lists, other verifiers. ALPN is its own
    /// affair; where it has any, `http/1.1` has to be among it. Where it asks clients for certificates, it
    /// had better not resume sessions: their certificates are not verified again.
    pub fn from_config(config: Arc<ServerConfig>) -> Self {
        Self::with(config, true)
    }

    fn with(config: Arc<ServerConfig>, given: bool) -> Self {
        let shared = Shared { config: RwLock::new(config), given, handshakes: AtomicUsize::new(0) };
        Self { shared: shared.into(), handshake_timeout: Duration::from_secs(5), max_handshakes: 2048 }
    }

    /// Takes only clients that show a certificate which one of these authorities has issued (mTLS).
    /// Who they are is in [`Peer::tls`](rpc_core::Peer::tls), for
    /// [`authorize`](crate::Builder::authorize), routes and handlers.
    ///
    /// Sessions are not resumed then: every connection shows its certificate, and it is verified as
    /// of that time.
    ///
    /// # Errors
    /// [`TlsError::Decided`] after [`from_config`](Self::from_config), and what rustls does not take.
    pub fn client_roots(self, roots: Roots) -> Result<Self, TlsError> {
        if self.shared.given {
            return Err(TlsError::Decided);
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.store().clone(), provider()).build();
        let verifier = verifier.map_err(|error| TlsError::Verifier { reason: error.to_string() })?;
        let before = self.config();
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(before.cert_resolver.clone());
        config.alpn_protocols.clone_from(&before.alpn_protocols);
        // A session holds the chain that its client showed once, which rustls does not look at again.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        let shared =
            Shared { config: RwLock::new(config.into()), given: false, handshakes: AtomicUsize::new(0) };
        Ok(Self { shared: shared.into(), ..self })
    }

    /// The time for a handshake. Default 5 s; then the connection is closed. (Go has no such
    /// default: its handshakes end with the timeouts that a program sets on its connections, if it
    /// does.)
    ///
    /// The time for the request's [head](crate::Builder::head_timeout) begins after it.
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// Handshakes in progress at a time, over all listeners with this or its clones. Default 2,048;
    /// the connection of one more is closed without a word. Connections in their handshake count
    /// among those that are open, too ([`max_connections`](crate::Builder::max_connections)).
    ///
    /// Whoever can open many connections can thus keep others out for the time of a handshake: set
    /// [`max_connections_per_address`](crate::Builder::max_connections_per_address) where strangers connect.
    #[must_use]
    pub fn max_handshakes(mut self, handshakes: usize) -> Self {
        self.max_handshakes = handshakes;
        self
    }

    /// Shows this certificate on connections that begin from now on. Those that are open go on with
    /// the one that they have seen; whose certificates of clients are trusted stays as it was.
    ///
    /// Sessions from before are forgotten, so that no client resumes one and takes the old
    /// certificate for the one in use. After [`from_config`](Self::from_config) this certificate
    /// takes the place of all that there were, and a ticketer of the configuration's own goes on.
    ///
    /// # Errors
    /// What rustls does not take. The certificate is the one it was then.
    pub fn replace(&self, identity: Identity) -> Result<(), TlsError> {
        let mut current = self.shared.config.write().unwrap_or_else(PoisonError::into_inner);
        let mut config = ServerConfig::clone(&current);
        config.cert_resolver = resolver(&identity);
        if config.session_storage.can_cache() {
            config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
        }
        *current = config.into();
        Ok(())
    }

    /// What would serve nobody.
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        match (self.handshake_timeout.is_zero(), self.max_handshakes) {
            (true, _) => Err(BuildError::Zero { setting: "handshake_timeout" }),
            (false, 0) => Err(BuildError::Zero { setting: "max_handshakes" }),
            (false, _) => Ok(()),
        }
    }

    /// What the next handshake is made with.
    fn config(&self) -> Arc<ServerConfig> {
        self.shared.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn resolver(identity: &Identity) -> Arc<dyn ResolvesServerCert> {
    Arc::new(SingleCertAndKey::from(identity.certified_key().clone()))
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls")
            .field("handshake_timeout", &self.handshake_timeout)
            .field("max_handshakes", &self.max_handshakes)
            .finish_non_exhaustive()
    }
}
