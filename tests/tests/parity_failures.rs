//! What the tests of Go's `net/rpc` hold of failures and endings, held here. The Go test's name stands
//! at each; where we differ on purpose, the comment says so.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::io;

use rpc_client::{Client, ConnectError, Error, Lost};
use rpc_core::{Code, Context, Executed, Status};
use rpc_server::Builder;
use serde::ser::Error as _;
use tests::{Args, Frame, Gate, Raw, arith, decoded, encoded, join, pipe, within};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

const SEVEN_AND_EIGHT: Args = Args { a: 7, b: 8 };

async fn assert_serves(client: &Client) {
    assert_eq!(within(client.call::<_, i64>("Arith.Multiply", &SEVEN_AND_EIGHT)).await.unwrap(), 56);
}

/// Serializes as an error.
#[derive(serde::Deserialize)]
struct Unsendable;

impl serde::Serialize for Unsendable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("cannot be sent"))
    }
}

fn unsendable() -> Builder {
    arith().register_fn("Bad.Reply", |_: Context, (): ()| async { Ok::<_, Status>(Unsendable) })
}

/// Go: TestSendDeadlock, TestGobError. In Go a request that does not encode corrupts the next one.
#[tokio::test]
async fn arguments_that_do_not_encode_fail_their_call_only() {
    let (client, _server) = join(arith()).await;
    for _ in 0..10 {
        let error = within(client.call::<_, i64>("Arith.Multiply", Unsendable)).await.unwrap_err();
        assert!(matches!(error, Error::Encode { .. }), "{error:?}");
        assert_eq!(error.executed(), Executed::No);
    }
    assert_serves(&client).await;
}

/// Go: TestGobError, where a reply that does not encode ends the connection.
#[tokio::test]
async fn a_reply_that_does_not_encode_fails_its_call_only() {
    let (client, _server) = join(unsendable()).await;
    let error = within(client.call::<_, ()>("Bad.Reply", ())).await.unwrap_err();
    assert_eq!(error.status().unwrap().code(), Code::Internal);
    assert_eq!(error.executed(), Executed::Yes);
    assert_serves(&client).await;
}

/// Go has no test for it: there, a reply that does not decode ends every call of the client.
#[tokio::test]
async fn a_reply_that_does_not_decode_fails_its_call_only() {
    let gate = Gate::new();
    let (client, _server) = join(gate.register(arith())).await;
    let neighbour = client.start::<i64>("Gate.Pass", 5);
    let error = within(client.call::<_, String>("Arith.Multiply", &SEVEN_AND_EIGHT)).await.unwrap_err();
    assert!(error.to_string().contains("reading body: "), "{error}");
    assert_eq!(error.executed(), Executed::Yes);
    gate.open(1);
    assert_eq!(within(neighbour).await.unwrap(), 5);
}

/// Go: TestClientWriteError.
#[tokio::test]
async fn a_transport_that_takes_no_request_fails_the_call() {
    let (near, far) = tokio::io::duplex(1024);
    let admitted = tokio::spawn(Raw::admit(far, ""));
    let client = within(Client::new(near)).await.unwrap();
    drop(admitted.await.unwrap());
    let error = within(client.call::<_, i64>("Arith.Multiply", &SEVEN_AND_EIGHT)).await.unwrap_err();
    assert!(matches!(error, Error::ConnectionLost { .. }), "{error:?}");
    assert_eq!(error.executed(), Executed::No, "the server was gone before");
}

/// Go: TestTCPClose, where `Dial` hangs on a server that closes.
#[tokio::test]
async fn a_server_that_closes_at_once_fails_the_dial() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { drop(listener.accept().await) });
    let error = within(Client::connect(address)).await.unwrap_err();
    // Closed or reset, as the request overtakes the end or not.
    assert!(matches!(error, ConnectError::Closed { .. }), "{error:?}");
}

/// Go: TestErrorAfterClientClose.
#[tokio::test]
async fn calls_and_a_second_close_after_close_say_that_the_connection_is_shut_down() {
    let (client, _server) = join(arith()).await;
    within(client.close()).await.unwrap();
    let call = within(client.call::<_, i64>("Arith.Multiply", &SEVEN_AND_EIGHT)).await.unwrap_err();
    let close = within(client.close()).await.unwrap_err();
    for error in [call, close] {
        assert!(matches!(error, Error::Shutdown { executed: Executed::No, .. }), "{error:?}");
        assert!(error.to_string().ends_with("connection is shut down"), "{error}");
    }
}

/// Go: TestAcceptExitAfterListenerClose. Here a signal ends it, and the listener with it.
#[tokio::test]
async fn accepting_ends_with_the_signal_and_the_port_refuses_after() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let signal = async { _ = stopped.await };
    let serve = tokio::spawn(arith().serve(listener).with_graceful_shutdown(signal).into_future());
    let client = within(Client::connect(address.to_string())).await.unwrap();
    assert_serves(&client).await;
    stop.send(()).unwrap();
    within(serve).await.unwrap().unwrap();
    let refused = within(TcpStream::connect(address)).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}

/// Go: TestShutdown.
#[tokio::test]
async fn a_client_that_shut_its_writing_side_still_gets_the_replies_in_flight() {
    let gate = Gate::new();
    let server = gate.register(arith()).build().unwrap();
    let mut raw = Raw::enter(pipe(&server), "").await;
    raw.send(&Frame::request(1, "Gate.Pass", &9)).await;
    gate.entered().await;
    raw.0.shutdown().await.unwrap();
    gate.open(1);
    let reply = raw.call_frame().await.unwrap();
    assert_eq!((reply.kind, decoded::<i64>(&reply.body)), (Frame::RESPONSE, 9));
    assert_eq!(raw.call_frame().await, None);
}

/// Go: TestCloseCodec.
#[tokio::test]
async fn a_client_lets_go_of_a_connection_that_the_server_ended() {
    let (near, far) = tokio::io::duplex(1024);
    let admitted = tokio::spawn(Raw::admit(far, ""));
    let client = within(Client::new(near)).await.unwrap();
    let mut raw = admitted.await.unwrap();
    raw.0.shutdown().await.unwrap();
    assert_eq!(raw.next().await, None);
    assert!(matches!(within(client.close()).await, Err(Error::Shutdown { .. })));
}

/// Go: an EOF with calls pending is `unexpected EOF` for each of them.
#[tokio::test]
async fn a_server_that_goes_away_ends_the_calls_in_flight() {
    let (near, far) = tokio::io::duplex(1024);
    let admitted = tokio::spawn(Raw::admit(far, ""));
    let client = within(Client::new(near)).await.unwrap();
    let mut raw = admitted.await.unwrap();
    let call = client.start::<i64>("Arith.Multiply", SEVEN_AND_EIGHT);
    assert!(raw.frame().await.body.ends_with(&encoded(&SEVEN_AND_EIGHT)));
    drop(raw);
    let error = within(call).await.unwrap_err();
    assert!(matches!(error, Error::ConnectionLost { source: Lost::Eof, .. }), "{error:?}");
    assert_eq!(error.executed(), Executed::Maybe);
}
