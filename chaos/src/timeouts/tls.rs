//! The times for TLS handshakes, on both sides.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rpc_client::{Client, ClientTls, ConnectError, Roots, TlsFailure};
use rpc_server::{Identity, Server, ServerTls};
use tokio::net::{TcpListener, TcpStream};

use super::{Row, SHORT, Serving, at};

pub(super) fn rows() -> Vec<Row> {
    vec![
        at(SHORT, "tls_handshake_timeout", || Box::pin(client())),
        at(SHORT, "ServerTls::handshake_timeout", || Box::pin(server())),
    ]
}

fn certificate() -> Result<CertifiedKey<rcgen::KeyPair>> {
    Ok(generate_simple_self_signed(["localhost".to_owned()])?)
}

/// A listener that nobody accepts from: its kernel takes connections all the same.
async fn client() -> Result<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let tls = ClientTls::new().roots(Roots::from_pem(certificate()?.cert.pem().as_bytes())?);
    let builder = Client::builder().tls(tls).tls_handshake_timeout(SHORT);
    let since = Instant::now();
    match builder.connect(format!("https://{}", listener.local_addr()?)).await {
        Err(ConnectError::TlsHandshake { source: TlsFailure::Timeout { .. }, .. }) => Ok(since.elapsed()),
        other => bail!("{other:?}"),
    }
}

/// A client that connects and says nothing.
async fn server() -> Result<Duration> {
    let CertifiedKey { cert, signing_key } = certificate()?;
    let identity = Identity::from_pem(cert.pem().as_bytes(), signing_key.serialize_pem().as_bytes())?;
    let tls = ServerTls::new(identity)?.handshake_timeout(SHORT);
    let server = Server::builder().build()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let accepting = tokio::spawn(server.serve(listener).tls(tls).into_future()).abort_handle();
    let serving = Serving { server, address, accepting };
    let since = Instant::now();
    let _silent = TcpStream::connect(serving.address).await?;
    while serving.server.connections() == 0 {
        tokio::task::yield_now().await;
    }
    serving.gone(since).await
}
