//! This project over TLS.

use anyhow::{Context, Result};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rpc_client::{Client, ClientTls, Roots};
use rpc_server::{Identity, ServerTls};
use tokio::net::TcpListener;

use crate::ours;
use crate::subject::Serving;

/// See [`Subject::listen`](crate::subject::Subject::listen). Clients are told the address, and the certificate with
/// its lines divided by bars.
///
/// # Errors
/// When it cannot.
pub async fn listen(address: &str) -> Result<Serving> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()])?;
    let pem = cert.pem();
    let identity = Identity::from_pem(pem.as_bytes(), signing_key.serialize_pem().as_bytes())?;
    let tls = ServerTls::new(identity)?;
    let listener = TcpListener::bind(address).await?;
    let port = listener.local_addr()?.port();
    let told = format!("https://localhost:{port} {}", pem.replace(['\r', '\n'], "|"));
    let serve = Box::pin(async move {
        ours::builder().serve(listener).tls(tls).await?;
        Ok(())
    });
    Ok(Serving { told, serve })
}

/// A client of what [`listen`] told.
///
/// # Errors
/// When it cannot connect.
pub async fn dial(told: &str) -> Result<Client> {
    let (address, pem) = told.split_once(' ').context("no certificate was told")?;
    let roots = Roots::from_pem(pem.replace('|', "\n").as_bytes())?;
    Ok(Client::builder().tls(ClientTls::new().roots(roots)).connect(address).await?)
}
