//! How connections over TLS end, and what is taken for a cut.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::io::ErrorKind;
use std::sync::Arc;

use rpc_client::rustls::ALL_VERSIONS;
use rpc_client::tokio_rustls::TlsConnector;
use rpc_client::tokio_rustls::client::TlsStream;
use rpc_client::{Client, Error, Lost};
use rpc_core::Peer;
use rpc_server::{ConnectionError, Server};
use tests::{Args, Authority, Frame, Gate, Lines, Raw, arith, decoded, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// A connection of a client of rustls' own, and what the server ends it with.
async fn entered(
    server: &Server,
    authority: &Authority,
) -> (Raw<TlsStream<DuplexStream>>, tokio::task::JoinHandle<Result<(), ConnectionError>>) {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let (server, tls) = (server.clone(), authority.server());
    let served =
        tokio::spawn(async move { server.serve_tls_connection_from(far, Peer::unknown(), tls).await });
    let connector = TlsConnector::from(Arc::new(authority.client_config(ALL_VERSIONS, None)));
    let stream = within(connector.connect("localhost".try_into().unwrap(), near)).await.unwrap();
    (Raw::enter(stream, "").await, served)
}

#[tokio::test]
async fn an_end_without_a_word_is_a_failure_and_one_with_it_is_not() {
    let (authority, gate) = (Authority::new(), Gate::new());
    let server = gate.register(arith()).build().unwrap();
    let (raw, served) = entered(&server, &authority).await;
    // What a cut connection looks like: the transport ends, and TLS has not.
    let (mut io, _connection) = raw.0.into_inner();
    io.shutdown().await.unwrap();
    match within(served).await.unwrap() {
        Err(ConnectionError::Io(error)) => assert_eq!(error.kind(), ErrorKind::UnexpectedEof),
        other => panic!("{other:?}"),
    }
    let (mut raw, served) = entered(&server, &authority).await;
    raw.send(&Frame::request(1, "Gate.Pass", &7_i64)).await;
    gate.entered().await;
    raw.0.shutdown().await.unwrap();
    gate.open(1);
    assert_eq!(decoded::<i64>(&raw.call_frame().await.unwrap().body), 7);
    assert_eq!(within(raw.0.read(&mut [0])).await.unwrap(), 0, "the server has said that it ends, too");
    within(served).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_takes_an_end_without_a_word_for_a_failure() {
    let authority = Authority::new();
    for told in [false, true] {
        let lines = Lines::default();
        let mut far = lines.lay();
        let config = authority.issue(&["localhost"]).server_config(ALL_VERSIONS);
        let serving = tokio::spawn(async move {
            let acceptor = rpc_server::tokio_rustls::TlsAcceptor::from(Arc::new(config));
            let mut raw = Raw::admit(acceptor.accept(&mut far).await.unwrap(), "").await;
            raw.frame().await;
            if told {
                raw.0.shutdown().await.unwrap();
            } else {
                raw.0.into_inner().0.shutdown().await.unwrap();
            }
            far
        });
        let builder = Client::builder().reconnect(false).tls(authority.client());
        let client = within(builder.connect_with(lines, "https://localhost:1")).await.unwrap();
        let error = within(client.call::<_, i64>("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap_err();
        match error {
            Error::ConnectionLost { source: Lost::Eof, .. } if told => {}
            Error::ConnectionLost { source: Lost::Io(error), .. } if !told => {
                assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
            }
            other => panic!("{other:?}"),
        }
        within(serving).await.unwrap();
    }
}

#[tokio::test]
async fn a_client_says_that_it_ends_whether_it_is_closed_or_dropped() {
    for closed in [true, false] {
        let (authority, lines) = (Authority::new(), Lines::default());
        let (far, server, tls) = (lines.lay(), arith().build().unwrap(), authority.mutual_server());
        let served =
            tokio::spawn(async move { server.serve_tls_connection_from(far, Peer::unknown(), tls).await });
        let builder = Client::builder().tls(authority.client_named("client.example"));
        let client = within(builder.connect_with(lines, "https://localhost:1")).await.unwrap();
        let product: i64 = within(client.call("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap();
        assert_eq!(product, 56);
        if closed {
            within(client.close()).await.unwrap();
        } else {
            drop(client);
        }
        within(served).await.unwrap().unwrap();
    }
}
