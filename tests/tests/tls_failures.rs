//! Handshakes that do not come to an end, what a server finds of them, and alerts that arrive.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::time::Duration;

use rpc_client::{Client, ConnectError, TlsFailure};
use rpc_core::Peer;
use rpc_server::{ConnectionError, ServerTls};
use tests::{Authority, Lines, arith, listen_tls, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up_after_ten_seconds() {
    let lines = Lines::default();
    let _far = lines.lay();
    let began = Instant::now();
    let builder = Client::builder().tls(Authority::new().client());
    let error = builder.connect_with(lines, "https://far.example:1").await.unwrap_err();
    assert_eq!(began.elapsed(), Duration::from_secs(10));
    assert_eq!(
        error.to_string(),
        "cannot connect to https://far.example:1: the TLS handshake was not done within 10s; does the other \
         side speak TLS?"
    );
    let ConnectError::TlsHandshake { source: TlsFailure::Timeout { .. }, .. } = error else {
        panic!("{error:?}");
    };
}

/// What the server finds, of a client that says this.
async fn found(tls: ServerTls, said: &[u8]) -> (TlsFailure, Duration) {
    let server = arith().build().unwrap();
    let (mut near, far) = tokio::io::duplex(4096);
    near.write_all(said).await.unwrap();
    let began = Instant::now();
    match server.serve_tls_connection_from(far, Peer::unknown(), tls).await {
        Err(ConnectionError::Tls(failure)) => (failure, began.elapsed()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_given_up_after_five_seconds_or_what_was_set() {
    let tls = Authority::new().server();
    let (failure, after) = found(tls.clone(), b"").await;
    assert!(matches!(failure, TlsFailure::Timeout { .. }), "{failure:?}");
    assert_eq!(after, Duration::from_secs(5));
    let (_, after) = found(tls.handshake_timeout(Duration::from_millis(300)), b"\x16\x03\x01").await;
    assert_eq!(after, Duration::from_millis(300));
}

#[tokio::test(start_paused = true)]
async fn a_server_knows_a_client_that_does_not_speak_tls() {
    let (failure, _) = found(Authority::new().server(), b"CONNECT /_rpc_ HTTP/1.0\r\n\r\n").await;
    assert!(matches!(failure, TlsFailure::NotTls), "{failure:?}");
}

/// With what it had sent unread, the kernel would say that the connection is reset, and throw the alert away.
#[tokio::test]
async fn an_alert_reaches_a_client_that_has_sent_more() {
    let (address, server) = listen_tls(arith(), &Authority::new().server()).await;
    for _ in 0..20 {
        let mut stream = within(TcpStream::connect(address.strip_prefix("https://").unwrap())).await.unwrap();
        within(stream.write_all(&[b'x'; 200_000])).await.unwrap();
        let mut answer = Vec::new();
        within(stream.read_to_end(&mut answer)).await.unwrap();
        // An alert: fatal, decode_error.
        assert_eq!(answer, b"\x15\x03\x03\x00\x02\x02\x32");
    }
    within(server.shutdown(Duration::ZERO)).await;
}

/// Certificates that a server refuses, as it finds out itself.
#[tokio::test]
async fn a_server_finds_what_is_wrong_with_a_clients_certificate() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let unknown = authority.client().identity(stranger.issue(&["me.example"]).identity());
    let over = authority.issue_expired(&["me.example"], Duration::from_secs(90_000));
    for (tls, text) in [
        (authority.client(), "TLS: a certificate of the client is required, and it showed none"),
        (unknown, "TLS: the certificate was issued by nobody who is trusted here"),
        (authority.client().identity(over.identity()), "TLS: the certificate has expired 25 hours ago"),
        (stranger.client(), "TLS: the other side refused our certificate: it does not know its authority"),
    ] {
        let (lines, server) = (Lines::default(), arith().build().unwrap());
        let (far, server_tls) = (lines.lay(), authority.mutual_server());
        let connecting = tokio::spawn(Client::builder().tls(tls).connect_with(lines, "https://localhost:1"));
        let served = server.serve_tls_connection_from(far, Peer::unknown(), server_tls);
        let found = within(served).await.unwrap_err().to_string();
        assert!(found.starts_with(text), "{found}");
        within(connecting).await.unwrap().unwrap_err();
    }
}
