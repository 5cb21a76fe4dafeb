//! What a TLS handshake may take, and what becomes of those that take more.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::future::IntoFuture;
use std::time::Duration;

use rpc_client::Client;
use rpc_core::Peer;
use rpc_server::{BuildError, ConnectionError, Server, ServerTls, TlsFailure};
use tests::{Args, Authority, Raw, arith, eventually, listen_tls, read_head, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The beginning of a handshake.
const BEGUN: &[u8] = b"\x16\x03\x01\x02\x00\x01";

/// A connection whose handshake does not go on.
async fn stall(address: &str) -> TcpStream {
    let mut stream = within(TcpStream::connect(address.strip_prefix("https://").unwrap())).await.unwrap();
    stream.write_all(BEGUN).await.unwrap();
    stream
}

/// Closed, and nothing was said.
async fn assert_closed(stream: &mut TcpStream) {
    let read = within(stream.read(&mut [0])).await;
    // A reset where what it had said was not read.
    assert!(matches!(read, Ok(0)) || read.is_err(), "{read:?}");
}

async fn multiply(client: &Client) -> i64 {
    within(client.call("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap()
}

/// Over a pipe, so that what the server found is seen.
fn pipe(server: &Server, tls: &ServerTls) -> (DuplexStream, JoinHandle<Result<(), ConnectionError>>) {
    let (near, far) = tokio::io::duplex(4096);
    let (server, tls) = (server.clone(), tls.clone());
    let served =
        tokio::spawn(async move { server.serve_tls_connection_from(far, Peer::unknown(), tls).await });
    (near, served)
}

#[tokio::test]
async fn one_handshake_too_many_is_closed_without_a_word_until_another_ends() {
    let authority = Authority::new();
    let tls = authority.server().max_handshakes(2);
    let (address, server) = listen_tls(arith(), &tls).await;
    let client = within(Client::builder().tls(authority.client()).connect(&address)).await.unwrap();
    let (first, _second) = (stall(&address).await, stall(&address).await);
    eventually("both are in progress", || server.connections() == 3).await;
    assert_closed(&mut stall(&address).await).await;
    // A clone counts with it: on another listener it is one too many, too.
    let (mut near, served) = pipe(&server, &tls);
    let error = within(served).await.unwrap().unwrap_err();
    assert!(matches!(error, ConnectionError::Tls(TlsFailure::TooMany { most: 2 })), "{error:?}");
    assert_eq!(near.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(multiply(&client).await, 56, "what is open goes on");
    drop(first);
    eventually("one has ended", || server.connections() == 2).await;
    within(Client::builder().tls(authority.client()).connect(&address)).await.unwrap();
}

#[tokio::test]
async fn a_connection_in_its_handshake_has_a_place_and_without_one_nothing_is_said() {
    let authority = Authority::new();
    let builder = arith().max_connections(3).max_connections_per_address(2);
    let (address, server) = listen_tls(builder, &authority.server()).await;
    let _stalled = [stall(&address).await, stall(&address).await];
    eventually("both are counted", || server.connections() == 2).await;
    assert_closed(&mut stall(&address).await).await;
    assert_eq!(server.connections(), 2);
    let (_third, _) = pipe(&server, &authority.server());
    eventually("it is counted", || server.connections() == 3).await;
    let (mut fourth, served) = pipe(&server, &authority.server());
    let error = within(served).await.unwrap().unwrap_err();
    assert!(matches!(error, ConnectionError::Refused(_)), "{error:?}");
    assert_eq!(fourth.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn stalled_handshakes_hold_nothing_after_their_time() {
    let authority = Authority::new();
    let tls = authority.server().handshake_timeout(Duration::from_millis(200));
    let (address, server) = listen_tls(arith(), &tls).await;
    let mut stalled = Vec::new();
    for _ in 0..50 {
        stalled.push(stall(&address).await);
    }
    for stream in &mut stalled {
        assert_closed(stream).await;
    }
    eventually("no connection is left", || server.connections() == 0).await;
    within(Client::builder().tls(authority.client()).connect(&address)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_stalls_has_no_place_after_five_seconds() {
    let (server, tls) = (arith().build().unwrap(), Authority::new().server());
    let (mut near, served) = pipe(&server, &tls);
    near.write_all(BEGUN).await.unwrap();
    let began = Instant::now();
    let error = served.await.unwrap().unwrap_err();
    assert!(matches!(error, ConnectionError::Tls(TlsFailure::Timeout { .. })), "{error:?}");
    assert_eq!((began.elapsed(), server.connections()), (Duration::from_secs(5), 0));
    assert_eq!(near.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn no_time_for_a_handshake_is_told_when_serving_begins() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tls = Authority::new().server().handshake_timeout(Duration::ZERO);
    let error = within(arith().serve(listener).tls(tls)).await.unwrap_err();
    assert_eq!(error, BuildError::Zero { setting: "handshake_timeout" });
}

#[tokio::test]
async fn a_shutdown_ends_handshakes_at_once() {
    let (address, server) = listen_tls(arith(), &Authority::new().server()).await;
    let mut stalled = stall(&address).await;
    eventually("it is counted", || server.connections() == 1).await;
    let began = Instant::now();
    let report = within(server.shutdown(Duration::from_secs(15))).await;
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!((report.connections, report.cancelled), (1, 0));
    assert_closed(&mut stalled).await;
}

#[tokio::test]
async fn the_time_for_the_head_begins_after_the_handshake() {
    let authority = Authority::new();
    let (address, server) =
        listen_tls(arith().head_timeout(Duration::from_millis(300)), &authority.server()).await;
    let stream = within(TcpStream::connect(address.strip_prefix("https://").unwrap())).await.unwrap();
    eventually("it is counted", || server.connections() == 1).await;
    // Longer than the head may take.
    tokio::time::sleep(Duration::from_millis(400)).await;
    let mut raw = Raw(secure(stream, &authority).await);
    let answer = raw.rest().await;
    assert!(answer.starts_with("HTTP/1.0 408 "), "{answer}");
}

async fn secure(
    stream: TcpStream,
    authority: &Authority,
) -> rpc_client::tokio_rustls::client::TlsStream<TcpStream> {
    let config = authority.client_config(rpc_client::rustls::ALL_VERSIONS, None);
    let connector = rpc_client::tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    within(connector.connect("localhost".try_into().unwrap(), stream)).await.unwrap()
}

#[tokio::test]
async fn one_server_has_listeners_with_tls_and_without() {
    let authority = Authority::new();
    let (address, server) = listen_tls(arith(), &authority.server()).await;
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain_address = plain.local_addr().unwrap();
    tokio::spawn(server.serve(plain).into_future());
    let secured = within(Client::builder().tls(authority.client()).connect(&address)).await.unwrap();
    let open = within(Client::connect(plain_address)).await.unwrap();
    assert_eq!((multiply(&secured).await, multiply(&open).await), (56, 56));
    assert_eq!(server.connections(), 2);
    let mut raw = Raw::dial(plain_address).await;
    raw.say(b"GET / HTTP/1.0\r\n\r\n").await;
    assert!(read_head(&mut raw.0).await.starts_with("HTTP/1.0 405 "));
}
