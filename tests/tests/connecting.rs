//! How connections begin and end, seen from the client.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use rpc_client::{Client, Connector, Error};
use rpc_core::Executed;
use rpc_server::Server;
use tests::{Args, Gate, Raw, arith, eventually, join, listen, pipe, read_head, within};
use tokio::io::{AsyncReadExt, DuplexStream};

const SEVEN_AND_EIGHT: Args = Args { a: 7, b: 8 };

async fn multiply(client: &Client) -> Result<i64, Error> {
    within(client.call("Arith.Multiply", SEVEN_AND_EIGHT)).await
}

/// Pipes to a server; the first dials fail.
struct Flaky {
    server: Server,
    failures: usize,
    dials: Arc<AtomicUsize>,
}

impl Connector for Flaky {
    type Io = DuplexStream;

    async fn connect(&self) -> io::Result<DuplexStream> {
        if self.dials.fetch_add(1, Ordering::Relaxed) < self.failures {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        Ok(pipe(&self.server))
    }
}

fn lazy(failures: usize) -> (Client, Arc<AtomicUsize>, Server) {
    let (server, dials) = (arith().build().unwrap(), Arc::new(AtomicUsize::new(0)));
    let flaky = Flaky { server: server.clone(), failures, dials: dials.clone() };
    (Client::builder().reconnect(false).lazy_with(flaky, "flaky:1"), dials, server)
}

#[tokio::test]
async fn a_lazy_client_dials_once_at_its_first_call() {
    let (client, dials, server) = lazy(0);
    let calls: Vec<_> = (0..10).map(|_| client.call::<_, i64>("Arith.Multiply", SEVEN_AND_EIGHT)).collect();
    assert_eq!(dials.load(Ordering::Relaxed), 0);
    for product in within(join_all(calls.into_iter().map(IntoFuture::into_future))).await {
        assert_eq!(product.unwrap(), 56);
    }
    assert_eq!((dials.load(Ordering::Relaxed), server.connections()), (1, 1));
}

#[tokio::test]
async fn a_failed_dial_fails_the_call_unexecuted_and_the_next_call_tries_again() {
    let (client, dials, _server) = lazy(2);
    for at in 1..=2 {
        let error = multiply(&client).await.unwrap_err();
        assert!(matches!(error, Error::Connect { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.starts_with("Arith.Multiply at flaky:1: cannot connect to flaky:1: "), "{text}");
        assert!(text.ends_with("; is the server running there?"), "{text}");
        assert_eq!(error.executed(), Executed::No);
        assert_eq!(dials.load(Ordering::Relaxed), at);
    }
    assert_eq!(multiply(&client).await.unwrap(), 56);
}

#[tokio::test]
async fn a_call_started_on_a_lazy_client_is_sent_once_it_is_awaited() {
    let (client, dials, _server) = lazy(0);
    let call = client.start::<i64>("Arith.Multiply", SEVEN_AND_EIGHT);
    assert_eq!(dials.load(Ordering::Relaxed), 0);
    assert_eq!(within(call).await.unwrap(), 56);
}

#[tokio::test]
async fn a_lazy_client_that_was_closed_does_not_dial() {
    let (client, dials, _server) = lazy(0);
    within(client.close()).await.unwrap();
    let error = multiply(&client).await.unwrap_err();
    assert!(matches!(error, Error::Shutdown { executed: Executed::No, .. }), "{error:?}");
    assert_eq!(dials.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_client_says_what_it_wants_in_its_head() {
    let (near, mut far) = tokio::io::duplex(1024);
    let builder = Client::builder().path("/internal/rpc?tenant=a").max_frame(100_000);
    let dialling = tokio::spawn(builder.over(near));
    assert_eq!(
        read_head(&mut far).await,
        "CONNECT /internal/rpc?tenant=a HTTP/1.0\r\nHost: localhost\r\nRpc-Version: 1\r\n\
         Rpc-Format: bincode\r\nRpc-Max-Frame: 100000\r\nRpc-Max-Calls: 1024\r\n\
         Rpc-Window: 524288\r\nRpc-Max-Streams: 256\r\n\r\n"
    );
    drop(far);
    within(dialling).await.unwrap().unwrap_err();
}

#[tokio::test]
async fn the_connection_ends_with_the_last_handle() {
    let (address, server) = listen(arith()).await;
    let client = within(Client::connect(address.to_string())).await.unwrap();
    let clone = client.clone();
    drop(client);
    assert_eq!(multiply(&clone).await.unwrap(), 56);
    drop(clone);
    eventually("the server sees the end", || server.connections() == 0).await;
}

#[tokio::test]
async fn a_call_in_flight_keeps_the_connection_of_dropped_handles() {
    let gate = Gate::new();
    let (client, server) = join(gate.register(arith())).await;
    let call = client.start::<i64>("Gate.Pass", 1);
    drop(client);
    gate.entered().await;
    gate.open(1);
    assert_eq!(within(call).await.unwrap(), 1);
    eventually("the server sees the end", || server.connections() == 0).await;
}

#[tokio::test]
async fn closing_says_goodbye_to_the_server() {
    let (near, far) = tokio::io::duplex(1024);
    let admitted = tokio::spawn(Raw::admit(far, ""));
    let client = within(Client::new(near)).await.unwrap();
    let mut raw = admitted.await.unwrap();
    let (closed, seen) = within(futures_util::future::join(client.close(), raw.next())).await;
    closed.unwrap();
    assert_eq!(seen, None);
}

#[tokio::test(start_paused = true)]
async fn a_call_in_flight_says_that_the_client_was_closed_though_the_server_reads_nothing() {
    let (near, far) = tokio::io::duplex(1024);
    let admitted = tokio::spawn(Raw::admit(far, ""));
    let client = within(Client::new(near)).await.unwrap();
    let mut raw = admitted.await.unwrap();
    let call = tokio::spawn(client.start::<i64>("Any.Name", vec![0u8; 1 << 20]));
    within(raw.0.read_exact(&mut [0; 100])).await.unwrap();
    within(client.close()).await.unwrap();
    let error = within(call).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Shutdown { executed: Executed::Maybe, .. }), "{error:?}");
}

#[tokio::test]
async fn an_address_that_holds_a_secret_is_not_shown_with_it() {
    for address in ["http://ann:secret@far:1", "http://far:1/?key=secret", "ann:secret@far:1"] {
        let client = Client::lazy(address);
        let error = within(client.call::<_, i64>("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap_err();
        assert!(!format!("{error} {error:?} {} {client:?}", client.peer()).contains("secret"), "{error}");
    }
}
