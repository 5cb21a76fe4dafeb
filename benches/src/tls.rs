//! This project over TLS, and the certificate for it.

use anyhow::{Context, Result};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rpc_client::{Client, ClientTls, Roots};
use rpc_server::{Identity, ServerTls};
use tokio::net::TcpListener;

use crate::ours::{self, Ours};
use crate::subject::{Serving, bind};

/// A certificate for this machine's own address with its key, both as PEM.
#[derive(Clone, Debug)]
pub struct Certified {
    /// The certificate, which clients have to trust.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl Certified {
    /// A new one.
    ///
    /// # Errors
    /// As the generator's.
    pub fn new() -> Result<Self> {
        // The address and no name: nothing is to be resolved.
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()])?;
        Ok(Self { certificate: cert.pem(), key: signing_key.serialize_pem() })
    }

    /// What clients are told in one line: the address, and the certificate with its lines divided by bars.
    #[must_use]
    pub fn told(&self, address: &str) -> String {
        format!("https://{address} {}", self.certificate.replace(['\r', '\n'], "|"))
    }
}

/// The address and the certificate that were [told](Certified::told).
///
/// # Errors
/// When there is no certificate.
pub fn heard(told: &str) -> Result<(String, String)> {
    let (address, certificate) = told.split_once(' ').context("no certificate was told")?;
    Ok((address.to_owned(), certificate.replace('|', "\n")))
}

/// See [`Subject::listen`](crate::subject::Subject::listen).
///
/// # Errors
/// When it cannot.
pub async fn listen(address: &str) -> Result<Serving> {
    let certified = Certified::new()?;
    let identity = Identity::from_pem(certified.certificate.as_bytes(), certified.key.as_bytes())?;
    let tls = ServerTls::new(identity)?;
    let (listener, address) = bind(address).await?;
    Ok(Serving { told: certified.told(&address), serve: Box::pin(serve(listener, tls)) })
}

async fn serve(listener: TcpListener, tls: ServerTls) -> Result<()> {
    ours::builder().serve(listener).tls(tls).await?;
    Ok(())
}

/// The address that [`listen`] told, and what trusts it.
///
/// # Errors
/// When there is no certificate.
pub fn trusting(told: &str) -> Result<(String, ClientTls)> {
    let (address, certificate) = heard(told)?;
    Ok((address, ClientTls::new().roots(Roots::from_pem(certificate.as_bytes())?)))
}

/// A client of what [`listen`] told.
///
/// # Errors
/// When it cannot connect.
pub async fn connect(address: String, tls: ClientTls) -> Result<Ours> {
    Ok(Client::builder().tls(tls).connect(address).await?.into())
}
