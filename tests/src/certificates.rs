//! Certificates, made at run time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rpc_client::rustls::crypto::ring;
use rpc_client::rustls::sign::SingleCertAndKey;
use rpc_client::rustls::{ClientConfig, ServerConfig, SupportedProtocolVersion};
use rpc_client::{ClientTls, Identity, Roots};
use rpc_server::ServerTls;

/// An authority that issues certificates.
#[derive(Debug)]
pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

impl Authority {
    /// A new one, with a name of its own.
    #[must_use]
    pub fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        Self::named(&format!("authority {}", NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    /// A new one of that name.
    ///
    /// # Panics
    /// When no certificate can be made.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// Its own certificate, in PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// It alone.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn roots(&self) -> Roots {
        Roots::from_pem(self.pem.as_bytes()).expect("a certificate")
    }

    /// A certificate for these names, valid now.
    #[must_use]
    pub fn issue(&self, names: &[&str]) -> Issued {
        self.issue_with(names, |_| ())
    }

    /// A certificate that has been valid, and is no longer since so long ago.
    #[must_use]
    pub fn issue_expired(&self, names: &[&str], ago: Duration) -> Issued {
        let end = since_1970() - ago;
        self.issue_with(names, |params| params.not_after = date_time_ymd(1970, 1, 1) + end)
    }

    /// A certificate that will be valid after so long.
    #[must_use]
    pub fn issue_early(&self, names: &[&str], ahead: Duration) -> Issued {
        let begin = since_1970() + ahead;
        self.issue_with(names, |params| params.not_before = date_time_ymd(1970, 1, 1) + begin)
    }

    fn issue_with(&self, names: &[&str], set: impl FnOnce(&mut CertificateParams)) -> Issued {
        let names = names.iter().copied().map(str::to_owned).collect::<Vec<_>>();
        let mut params = CertificateParams::new(names).expect("names");
        set(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Issued { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// A server's TLS, with a certificate for `localhost` and 127.0.0.1.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn server(&self) -> ServerTls {
        ServerTls::new(self.issue(&["localhost", "127.0.0.1"]).identity()).expect("a sound configuration")
    }

    /// The same, for clients with a certificate of this authority's.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn mutual_server(&self) -> ServerTls {
        self.server().client_roots(self.roots()).expect("a sound configuration")
    }

    /// For settings that ours have not, or for other clients: of these versions, with no ALPN.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn client_config(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        identity: Option<Identity>,
    ) -> ClientConfig {
        let config = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_protocol_versions(versions)
            .expect("sound versions")
            .with_root_certificates(self.roots().store().clone());
        match identity {
            None => config.with_no_client_auth(),
            Some(identity) => {
                let key = identity.certified_key().clone();
                config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)))
            }
        }
    }

    /// The TLS of a client that trusts this authority.
    #[must_use]
    pub fn client(&self) -> ClientTls {
        ClientTls::new().roots(self.roots())
    }

    /// The same, with a certificate for that name.
    #[must_use]
    pub fn client_named(&self, name: &str) -> ClientTls {
        self.client().identity(self.issue(&[name]).identity())
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Issued {
    /// For settings that ours have not, or for other servers: of these versions, with no ALPN.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn server_config(&self, versions: &[&'static SupportedProtocolVersion]) -> ServerConfig {
        let key = self.identity().certified_key().clone();
        ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_protocol_versions(versions)
            .expect("sound versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)))
    }

    /// As settings take it.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity::from_pem(self.certificate.as_bytes(), self.key.as_bytes()).expect("certificate and key")
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock that is set")
}
