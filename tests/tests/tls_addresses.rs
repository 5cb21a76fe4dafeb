//! Which addresses are spoken to by TLS, and whose certificates are shown.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use rpc_client::rustls::ALL_VERSIONS;
use rpc_client::tokio_rustls::TlsConnector;
use rpc_client::{Client, ConnectError, Identity, TlsError, TlsFailure};
use rpc_core::{Context, Peer, Status};
use rpc_server::{Builder, Hijacked, Reply, ServerTls};
use tests::{Args, Authority, arith, eventually, listen_tls, within};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio::time::Instant;

async fn multiply(client: &Client) -> i64 {
    within(client.call("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap()
}

/// One end of a pipe, whose other end is served by TLS.
fn pipe(builder: Builder, tls: ServerTls) -> DuplexStream {
    let (near, far) = tokio::io::duplex(16 * 1024);
    let server = builder.build().unwrap();
    tokio::spawn(server.serve_tls_connection_from(far, Peer::unknown(), tls));
    near
}

#[tokio::test]
async fn an_address_without_a_scheme_is_spoken_to_by_tls_once_that_is_set() {
    let authority = Authority::new();
    let (address, _server) = listen_tls(arith(), &authority.server()).await;
    let bare = address.strip_prefix("https://").unwrap();
    let client = within(Client::builder().tls(authority.client()).connect(bare)).await.unwrap();
    assert_eq!(multiply(&client).await, 56);
    let request = Request::get("/nothing").body(()).unwrap();
    let taken = within(Client::builder().tls(authority.client()).hijack(bare, request)).await.unwrap();
    assert_eq!(taken.status.as_u16(), 405);
    let plain = format!("http://{bare}");
    for (builder, address) in [(Client::builder(), bare), (Client::builder().tls(authority.client()), &plain)]
    {
        let error = within(builder.connect(address)).await.unwrap_err();
        assert!(matches!(error, ConnectError::ServerSpeaksTls { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_stream_that_was_given_is_spoken_to_by_tls_once_that_is_set() {
    let authority = Authority::new();
    let near = pipe(arith(), authority.server());
    let client = within(Client::builder().tls(authority.client()).over(near)).await.unwrap();
    assert_eq!(multiply(&client).await, 56);
    let other = ServerTls::new(authority.issue(&["far.example"]).identity()).unwrap();
    let near = pipe(arith(), other.clone());
    let error = within(Client::builder().tls(authority.client()).over(near)).await.unwrap_err();
    assert!(
        matches!(error, ConnectError::TlsHandshake { source: TlsFailure::WrongName { .. }, .. }),
        "{error:?}"
    );
    let named = authority.client().server_name("far.example");
    let client = within(Client::builder().tls(named).over(pipe(arith(), other))).await.unwrap();
    assert_eq!(multiply(&client).await, 56);
}

fn who() -> Builder {
    let who = |cx: Context, (): ()| async move {
        let tls = cx.peer().tls.clone().unwrap_or_default();
        Ok::<_, Status>((tls.dns_names.clone(), tls.certificate.as_ref().is_some_and(|own| !own.is_empty())))
    };
    arith().register_fn("Who.Calls", who)
}

#[tokio::test]
async fn a_client_shows_its_new_certificate_when_it_connects_again() {
    let authority = Authority::new();
    let builder = who().max_connection_age(Duration::from_millis(50));
    let (address, _server) = listen_tls(builder, &authority.mutual_server()).await;
    let tls = authority.client_named("old.example");
    let waits = Duration::from_millis(1);
    let client = Client::builder().tls(tls.clone()).backoff(waits, waits);
    let client = within(client.connect(&address)).await.unwrap();
    let name = async || within(client.call::<_, (Vec<String>, bool)>("Who.Calls", ())).await.unwrap().0;
    assert_eq!(name().await, ["old.example"]);
    tls.replace(authority.issue(&["new.example"]).identity()).unwrap();
    within(async { while name().await != ["new.example"] {} }).await;
    let none = authority.client().replace(authority.issue(&["new.example"]).identity());
    assert!(matches!(none.unwrap_err(), TlsError::NoIdentity));
}

/// Nobody has looked whether they lead anywhere.
#[tokio::test]
async fn what_a_client_sends_beside_its_own_certificate_is_not_taken_for_it() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (own, other) = (authority.issue(&["own.example"]), stranger.issue(&["admin.example"]));
    let chain = format!("{}{}", own.certificate, other.certificate);
    let identity = Identity::from_pem(chain.as_bytes(), own.key.as_bytes()).unwrap();
    let (address, _server) = listen_tls(who(), &authority.mutual_server()).await;
    let client = Client::builder().tls(authority.client().identity(identity));
    let client = within(client.connect(&address)).await.unwrap();
    let told: (Vec<String>, bool) = within(client.call("Who.Calls", ())).await.unwrap();
    assert_eq!(told, (vec!["own.example".to_owned()], true));
}

#[tokio::test]
async fn a_client_that_is_one_too_many_is_told_that_the_server_may_be_overloaded() {
    let authority = Authority::new();
    let (address, server) = listen_tls(arith(), &authority.server().max_handshakes(1)).await;
    let _stalled = TcpStream::connect(address.strip_prefix("https://").unwrap()).await.unwrap();
    eventually("one is in progress", || server.connections() == 1).await;
    let error = within(Client::builder().tls(authority.client()).connect(&address)).await.unwrap_err();
    assert!(
        matches!(error, ConnectError::TlsHandshake { source: TlsFailure::Closed { .. }, .. }),
        "{error:?}"
    );
    assert!(
        error.to_string().ends_with("does the other side speak TLS, and is it not overloaded?"),
        "{error}"
    );
}

/// What waits in TLS is waited for no longer than that.
#[tokio::test(start_paused = true)]
async fn a_connection_that_is_finished_is_gone_though_its_peer_takes_nothing() {
    let (told, mut ended) = tokio::sync::mpsc::unbounded_channel();
    let builder = arith().route("/raw", move |_| {
        let told = told.clone();
        ready(Reply::hijack(async move |taken: Hijacked| {
            let mut stream = taken.stream;
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n").await.unwrap();
            stream.flush().await.unwrap();
            stream.write_all(&[0; 30_000]).await.unwrap();
            let began = Instant::now();
            told.send((stream.finish().await.is_err(), began.elapsed().as_secs())).unwrap();
        }))
    });
    let authority = Authority::new();
    let (near, far) = tokio::io::duplex(4096);
    let server = builder.build().unwrap();
    tokio::spawn(server.serve_tls_connection_from(far, Peer::unknown(), authority.server()));
    let connector = TlsConnector::from(Arc::new(authority.client_config(ALL_VERSIONS, None)));
    let mut stream = connector.connect("localhost".try_into().unwrap(), near).await.unwrap();
    stream.write_all(b"GET /raw HTTP/1.0\r\n\r\n").await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(within(ended.recv()).await, Some((true, 5)));
    drop(stream);
}
