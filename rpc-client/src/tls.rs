//! TLS to a server.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use rpc_io::tls::tokio_rustls::rustls::client::danger::ServerCertVerifier;
use rpc_io::tls::tokio_rustls::rustls::client::{ResolvesClientCert, Resumption, WebPkiServerVerifier};
use rpc_io::tls::tokio_rustls::rustls::pki_types::ServerName;
use rpc_io::tls::tokio_rustls::rustls::sign::CertifiedKey;
use rpc_io::tls::tokio_rustls::rustls::{ClientConfig, Error, RootCertStore, SignatureScheme};
use rpc_io::tls::{ALPN, Identity, Roots, TlsError, provider};
use rustls_platform_verifier::Verifier;

/// TLS as a client speaks it, to addresses with `https://`, and, once it is given to
/// [`Builder::tls`](crate::Builder::tls), to those without a scheme. TLS 1.3 and 1.2, and
/// `http/1.1` by ALPN. Clones are the same.
///
/// Sessions are not resumed: connections are few and last long, and a server that was started again
/// knows none.
///
/// ```no_run
/// # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
/// use rpc_client::{Client, ClientTls, Identity, Roots};
///
/// let tls = ClientTls::new()
///     .roots(Roots::from_file("authority.pem")?)
///     .identity(Identity::from_files("client.pem", "client.key")?);
/// let client = Client::builder().tls(tls).connect("https://far.example:1234").await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct ClientTls {
    base: Option<Arc<ClientConfig>>,
    roots: Option<Roots>,
    identity: Option<Arc<Shown>>,
    server_name: Option<String>,
    /// Made when it is first needed.
    made: Arc<OnceLock<Arc<ClientConfig>>>,
}

impl ClientTls {
    /// Trusts what the platform trusts, and shows no certificate.
    ///
    /// The platform's roots are read when the first connection is made, and kept by this and its clones.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a configuration of rustls' for needs of its own; sessions are not resumed whatever it
    /// says. ALPN is its own affair; where it has any, `http/1.1` has to be among it.
    #[must_use]
    pub fn from_config(config: Arc<ClientConfig>) -> Self {
        Self { base: Some(config), ..Self::default() }
    }

    /// Trusts servers whose certificate these have issued, and no others. Default: those that the
    /// platform trusts.
    #[must_use]
    pub fn roots(self, roots: Roots) -> Self {
        Self { roots: Some(roots), made: Arc::default(), ..self }
    }

    /// Shows this certificate to servers that ask for one (mTLS). Default: none.
    #[must_use]
    pub fn identity(self, identity: Identity) -> Self {
        let shown = Shown(RwLock::new(identity.certified_key().clone()));
        Self { identity: Some(shown.into()), made: Arc::default(), ..self }
    }

    /// Shows this certificate on connections that are made from now on, also those of clients that were made
    /// with this or a clone. A server sees it when the client connects again; see
    /// `Builder::max_connection_age` of rpc-server.
    ///
    /// # Errors
    /// [`TlsError::NoIdentity`] when there is none to be replaced.
    pub fn replace(&self, identity: Identity) -> Result<(), TlsError> {
        let shown = self.identity.as_ref().ok_or(TlsError::NoIdentity)?;
        *shown.0.write().unwrap_or_else(PoisonError::into_inner) = identity.certified_key().clone();
        Ok(())
    }

    /// The name that the server's certificate has to be for, and that the server is asked for
    /// (SNI): a DNS name or an IP address. Default: the host of the address.
    #[must_use]
    pub fn server_name(self, name: impl Into<String>) -> Self {
        Self { server_name: Some(name.into()), ..self }
    }

    /// The name that the certificate has to be for, when the address names this host.
    pub(crate) fn name(&self, host: &str) -> Result<ServerName<'static>, TlsError> {
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name = self.server_name.as_deref().unwrap_or(host);
        let parsed = ServerName::try_from(name.to_owned());
        parsed.map_err(|_| TlsError::Name { name: name.to_owned() })
    }

    /// What a connection is made with, and who notices that the server asks for a certificate.
    pub(crate) async fn config(&self) -> Result<(Arc<ClientConfig>, Arc<Asked>), TlsError> {
        let reads_files = self.made.get().is_none() && self.roots.is_none() && self.base.is_none();
        let made = if reads_files {
            let tls = self.clone();
            let made = tokio::task::spawn_blocking(move || tls.made()).await;
            made.unwrap_or_else(|stopped| Err(TlsError::from(Error::General(stopped.to_string()))))?
        } else {
            self.made()?
        };
        let mut config = ClientConfig::clone(&made);
        let inner = config.client_auth_cert_resolver.clone();
        let asked = Arc::new(Asked { inner, in_vain: AtomicBool::new(false) });
        config.client_auth_cert_resolver = asked.clone();
        Ok((config.into(), asked))
    }

    /// Kept as soon as it is made: who has waited too long for it finds it there the next time.
    fn made(&self) -> Result<Arc<ClientConfig>, TlsError> {
        match self.made.get() {
            Some(made) => Ok(made.clone()),
            None => self.make().map(|made| self.made.get_or_init(|| made).clone()),
        }
    }

    fn make(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let verifier: Option<Arc<dyn ServerCertVerifier>> = match (&self.roots, &self.base) {
            (Some(roots), _) => {
                let made =
                    WebPkiServerVerifier::builder_with_provider(roots.store().clone(), provider()).build();
                Some(made.map_err(|error| TlsError::Verifier { reason: error.to_string() })?)
            }
            (None, Some(_)) => None,
            (None, None) => {
                let made = Verifier::new(provider())
                    .map_err(|error| TlsError::PlatformRoots { source: error.into() })?;
                Some(Arc::new(made))
            }
        };
        let mut config = match &self.base {
            Some(base) => ClientConfig::clone(base),
            None => {
                let mut config = ClientConfig::builder_with_provider(provider())
                    .with_safe_default_protocol_versions()?
                    .with_root_certificates(RootCertStore::empty())
                    .with_no_client_auth();
                config.alpn_protocols = vec![ALPN.to_vec()];
                config
            }
        };
        if let Some(verifier) = verifier {
            config.dangerous().set_certificate_verifier(verifier);
        }
        if let Some(identity) = &self.identity {
            config.client_auth_cert_resolver = identity.clone();
        }
        config.resumption = Resumption::disabled();
        Ok(config.into())
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls")
            .field("roots", &self.roots)
            .field("identity", &self.identity.is_some())
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

/// The certificate that is shown, until it is replaced.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Notices that a server asks for a certificate and gets none, on one connection.
#[derive(Debug)]
pub(crate) struct Asked {
    inner: Arc<dyn ResolvesClientCert>,
    in_vain: AtomicBool,
}

impl Asked {
    pub(crate) fn in_vain(&self) -> bool {
        self.in_vain.load(Ordering::Relaxed)
    }
}

impl ResolvesClientCert for Asked {
    fn resolve(&self, hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let resolved = self.inner.resolve(hints, schemes);
        self.in_vain.store(resolved.is_none(), Ordering::Relaxed);
        resolved
    }

    fn only_raw_public_keys(&self) -> bool {
        self.inner.only_raw_public_keys()
    }

    /// Otherwise rustls would not ask.
    fn has_certs(&self) -> bool {
        true
    }
}
