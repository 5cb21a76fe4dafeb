//! TLS on open connections: who is there, certificates that are replaced, and how a connection ends.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rpc_client::rustls::client::Resumption;
use rpc_client::rustls::{ALL_VERSIONS, ClientConfig};
use rpc_client::tokio_rustls::TlsConnector;
use rpc_client::tokio_rustls::client::TlsStream;
use rpc_client::{Client, Connector, Identity, http};
use rpc_core::handshake::Refusal;
use rpc_core::{Context, Peer, Status};
use rpc_server::{Request, Server};
use tests::{Args, Authority, Frame, Issued, Raw, arith, decoded, listen_tls, within};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, DuplexStream};
use tokio::net::{TcpListener, TcpStream};

const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// A client of rustls' own, which resumes sessions.
fn raw_config(authority: &Authority, identity: Option<Identity>) -> Arc<ClientConfig> {
    let mut config = authority.client_config(ALL_VERSIONS, identity);
    config.resumption = Resumption::in_memory_sessions(8);
    config.into()
}

async fn raw<IO>(config: &Arc<ClientConfig>, io: IO) -> TlsStream<IO>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let connector = TlsConnector::from(config.clone());
    within(connector.connect("localhost".try_into().unwrap(), io)).await.unwrap()
}

/// The certificate that the server shows, after a call's worth of bytes, so that tickets have come.
async fn shown(config: &Arc<ClientConfig>, address: &str) -> (Vec<u8>, bool) {
    let stream = TcpStream::connect(address.strip_prefix("https://").unwrap()).await.unwrap();
    let mut raw = Raw::enter(raw(config, stream).await, "").await;
    raw.send(&Frame::request(1, "Arith.Multiply", &Args { a: 7, b: 8 })).await;
    assert_eq!(decoded::<i64>(&raw.call_frame().await.unwrap().body), 56);
    let connection = raw.0.get_ref().1;
    let resumed = connection.handshake_kind() == Some(rpc_client::rustls::HandshakeKind::Resumed);
    (connection.peer_certificates().unwrap()[0].to_vec(), resumed)
}

fn der(issued: &Issued) -> Vec<u8> {
    issued.identity().certified_key().cert[0].to_vec()
}

#[tokio::test]
async fn who_the_client_is_is_known_to_the_hook_to_routes_and_to_handlers() {
    let authority = Authority::new();
    let issued = authority.issue(&["client.example", "also.example"]);
    fn names(peer: &Peer) -> Vec<String> {
        let tls = peer.tls.as_ref().unwrap();
        assert_eq!(tls.server_name.as_deref(), Some("localhost"));
        assert!(tls.certificate.is_some());
        tls.dns_names.clone()
    }
    let expected = der(&issued);
    let builder = arith()
        .authorize(async |request: Request| match names(&request.peer).first() {
            Some(name) if name == "client.example" => Ok(()),
            _ => Err(Refusal::forbidden("somebody else")),
        })
        .route("/who", async |request: Request| names(&request.peer).join(" "))
        .register_fn("Who.Calls", move |cx: Context, (): ()| {
            assert_eq!(cx.peer().tls.as_ref().unwrap().certificate.as_deref(), Some(&*expected));
            let names = names(cx.peer());
            async move { Ok::<_, Status>(names) }
        });
    let (address, _server) = listen_tls(builder, &authority.mutual_server()).await;
    let tls = authority.client().server_name("localhost");
    let known = Client::builder().tls(tls.clone().identity(issued.identity()));
    let client = within(known.connect(&address)).await.unwrap();
    let told: Vec<String> = within(client.call("Who.Calls", ())).await.unwrap();
    assert_eq!(told, ["client.example", "also.example"]);

    let hijacking = Client::builder().tls(tls.clone().identity(issued.identity()));
    let asked = http::Request::get("/who").body(()).unwrap();
    let mut answer = within(hijacking.hijack(&address, asked)).await.unwrap();
    let mut body = String::new();
    within(answer.stream.read_to_string(&mut body)).await.unwrap();
    assert_eq!((answer.status.as_u16(), body.as_str()), (200, "client.example also.example"));

    let other = Client::builder().tls(tls.identity(authority.issue(&["other.example"]).identity()));
    let error = within(other.connect(&address)).await.unwrap_err().to_string();
    assert!(error.contains("403 Forbidden: somebody else"), "{error}");
}

#[tokio::test]
async fn without_a_certificate_of_the_clients_there_is_none_in_its_peer() {
    let authority = Authority::new();
    let who = |cx: Context, (): ()| async move {
        let tls = cx.peer().tls.clone().unwrap();
        // An address is no name that can be asked for.
        Ok::<_, Status>((tls.certificate.is_some(), tls.dns_names.clone(), tls.server_name.clone()))
    };
    let (address, _server) = listen_tls(arith().register_fn("Who.Calls", who), &authority.server()).await;
    let client = within(Client::builder().tls(authority.client()).connect(&address)).await.unwrap();
    let told: (bool, Vec<String>, Option<String>) = within(client.call("Who.Calls", ())).await.unwrap();
    assert_eq!(told, (false, vec![], None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_replaced_under_load_and_no_call_fails() {
    let authority = Authority::new();
    let tls = authority.mutual_server();
    let (address, server) = listen_tls(arith(), &tls).await;
    let mine = authority.client_named("client.example");
    let over = Arc::new(AtomicBool::new(false));
    let mut callers = Vec::new();
    for _ in 0..4 {
        let builder = Client::builder().reconnect(false).tls(mine.clone());
        let (client, over) = (within(builder.connect(&address)).await.unwrap(), over.clone());
        callers.push(tokio::spawn(async move {
            let mut calls = 0_u32;
            while !over.load(Ordering::Relaxed) {
                let product: i64 = client.call("Arith.Multiply", Args { a: 7, b: 8 }).await.unwrap();
                assert_eq!(product, 56);
                calls += 1;
            }
            calls
        }));
    }
    let identified = raw_config(&authority, Some(authority.issue(&["raw.example"]).identity()));
    let mut before = Vec::new();
    for _ in 0..20 {
        let next = authority.issue(&NAMES);
        tls.replace(next.identity()).unwrap();
        let (certificate, resumed) = shown(&identified, &address).await;
        assert!(certificate == der(&next) && certificate != before);
        assert!(!resumed, "the client's certificate is looked at each time");
        before = certificate;
        let nobody = within(Client::builder().tls(authority.client()).connect(&address)).await;
        assert!(nobody.is_err(), "clients are to show a certificate still");
    }
    over.store(true, Ordering::Relaxed);
    for caller in callers {
        assert!(within(caller).await.unwrap() > 0);
    }
    drop(server);
}

#[tokio::test]
async fn a_session_is_resumed_until_the_certificate_is_replaced_and_never_with_mutual_tls() {
    let authority = Authority::new();
    let first = authority.issue(&NAMES);
    let tls = rpc_server::ServerTls::new(first.identity()).unwrap();
    let (address, _server) = listen_tls(arith(), &tls).await;
    let config = raw_config(&authority, None);
    assert_eq!(shown(&config, &address).await, (der(&first), false));
    assert_eq!(shown(&config, &address).await, (der(&first), true));
    let second = authority.issue(&NAMES);
    tls.replace(second.identity()).unwrap();
    assert_eq!(shown(&config, &address).await, (der(&second), false));

    let mutual = listen_tls(arith(), &authority.mutual_server()).await.0;
    let config = raw_config(&authority, Some(authority.issue(&["raw.example"]).identity()));
    for _ in 0..3 {
        assert!(!shown(&config, &mutual).await.1);
    }
}

#[tokio::test]
async fn a_client_comes_back_to_a_server_that_was_started_again() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let waits = Duration::from_millis(1);
    let client = Client::builder().tls(authority.client()).wait_for_ready(true).backoff(waits, waits);
    let client = client.lazy(format!("https://{address}"));
    let mut next = Some(listener);
    for _ in 0..3 {
        let listener = match next.take() {
            Some(listener) => listener,
            None => TcpListener::bind(address).await.unwrap(),
        };
        let server = arith().build().unwrap();
        // Its certificate is another one each time.
        let serving = tokio::spawn(server.serve(listener).tls(authority.server()).into_future());
        let product: i64 = within(client.call("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap();
        assert_eq!(product, 56);
        server.shutdown(Duration::ZERO).await;
        within(serving).await.unwrap().unwrap();
    }
}

/// TLS through a tunnel.
#[tokio::test]
async fn a_connectors_stream_speaks_tls_when_the_address_asks_for_it() {
    struct Tunnel(Server, Authority);
    impl Connector for Tunnel {
        type Io = DuplexStream;

        async fn connect(&self) -> std::io::Result<DuplexStream> {
            let (near, far) = tokio::io::duplex(64 * 1024);
            let (server, tls) = (self.0.clone(), self.1.mutual_server());
            tokio::spawn(async move { server.serve_tls_connection_from(far, Peer::unknown(), tls).await });
            Ok(near)
        }
    }
    let authority = Authority::new();
    let tls = authority.client_named("client.example");
    let tunnel = Tunnel(arith().build().unwrap(), authority);
    let client = Client::builder().tls(tls).lazy_with(tunnel, "https://localhost");
    let product: i64 = within(client.call("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap();
    assert_eq!(product, 56);
}
