//! tonic's own TLS, with ring as ours.

use ::tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity, Server, ServerTlsConfig};
use anyhow::Result;
use rpc_client::rustls::crypto::ring;

use super::server::serve_with;
use crate::subject::{Serving, bind};
use crate::tls::{Certified, heard};

/// See [`Subject::listen`](crate::subject::Subject::listen).
///
/// # Errors
/// When it cannot.
pub async fn listen_tls(address: &str) -> Result<Serving> {
    use_ring();
    let certified = Certified::new()?;
    let identity = Identity::from_pem(&certified.certificate, &certified.key);
    let settings = Server::builder().tls_config(ServerTlsConfig::new().identity(identity))?;
    let (listener, address) = bind(address).await?;
    Ok(Serving { told: certified.told(&address), serve: Box::pin(serve_with(settings, listener)) })
}

/// Where channels lead to that trust what [`listen_tls`] told.
///
/// # Errors
/// When there is no certificate.
pub fn trusting(told: &str) -> Result<Endpoint> {
    use_ring();
    let (address, certificate) = heard(told)?;
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(certificate));
    Ok(Endpoint::from_shared(address)?.tls_config(tls)?)
}

/// tonic takes rustls' default, and there is none: protosocket brings a second provider.
fn use_ring() {
    // It fails when it was done before.
    let _ = ring::default_provider().install_default();
}
