//! How connections fail to come about before a server has answered: each way is its own error, and its
//! text names the address and the likely cause. What servers answer is in `connect_answers.rs`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::error::Error as _;
use std::future::pending;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use http::header::{HOST, HeaderValue};
use rpc_client::{Builder, Client, ConnectError, Connector, Error};
use tests::{read_head, within};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Asserts the variant and the whole text, in which `{source}` stands for what the system said.
macro_rules! assert_error {
    ($error:expr, $variant:ident, $text:expr) => {{
        let error: ConnectError = $error;
        assert!(matches!(error, ConnectError::$variant { .. }), "{error:?}");
        let source = error.source().map(ToString::to_string).unwrap_or_default();
        assert_eq!(error.to_string(), $text.replace("{source}", &source));
    }};
}

async fn connect(builder: Builder, address: impl ToString) -> ConnectError {
    within(builder.connect(address)).await.unwrap_err()
}

/// A listener, its address, and a client that connects to it.
async fn connecting() -> (TcpStream, SocketAddr, tokio::task::JoinHandle<ConnectError>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = tokio::spawn(connect(Client::builder(), address));
    let (stream, _) = within(listener.accept()).await.unwrap();
    (stream, address, client)
}

/// Fails in this way, or never answers.
struct Failing(Option<ErrorKind>);

impl Connector for Failing {
    type Io = DuplexStream;

    async fn connect(&self) -> io::Result<DuplexStream> {
        match self.0 {
            Some(kind) => Err(kind.into()),
            None => pending().await,
        }
    }
}

async fn connect_with(kind: Option<ErrorKind>) -> ConnectError {
    within(Client::builder().connect_with(Failing(kind), "far:1")).await.unwrap_err()
}

#[tokio::test]
async fn an_address_that_is_none_is_told_without_dialling() {
    for address in ["two words:1", "::1:1234", ""] {
        let text = format!(
            "cannot connect to {address:?}: not of the form host:port or [IPv6]:port, nor a URL with http://, \
             https:// or unix:"
        );
        assert_error!(connect(Client::builder(), address).await, Address, text);
    }
    for address in ["far", "127.0.0.1", "[::1]", "far:port", "far:65536"] {
        let text = format!("cannot connect to {address:?}: it names no port; write it as host:port");
        assert_error!(connect(Client::builder(), address).await, Address, text);
    }
    assert_error!(
        connect(Client::builder(), ":1234").await,
        Address,
        "cannot connect to \":1234\": it names no host; write it as host:port"
    );
}

#[tokio::test]
async fn settings_that_cannot_be_sent_are_told_without_dialling() {
    assert_error!(
        connect(Client::builder().path("/two words"), "far:1").await,
        Path,
        "cannot connect to far:1: the path \"/two words\" does not fit into a request: invalid uri character"
    );
    assert_error!(
        connect(Client::builder().path("rpc"), "far:1").await,
        Path,
        "cannot connect to far:1: the path \"rpc\" does not fit into a request: {source}"
    );
    let host = HeaderValue::from_static("near");
    for (builder, what) in [
        (Client::builder().header(HOST, host), "header Host belongs to the handshake"),
        (Client::builder().path("/caf\u{e9}"), "path \"/caf\u{e9}\" must be ASCII and start with a slash"),
        (Client::builder().formats([]), "no body format to offer"),
        (Client::builder().max_frame(1), "max_frame is 1, but must be from 65536 to 4294967295"),
    ] {
        let text = format!("cannot connect to far:1: no request can be made from the settings: {what}");
        assert_error!(connect(builder, "far:1").await, Settings, text);
    }
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_told() {
    // An empty label: no name server is asked for it.
    assert_error!(
        connect(Client::builder(), "no..name:1234").await,
        Resolve,
        "cannot connect to no..name:1234: the name does not resolve: {source}; is it spelled right?"
    );
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_told() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    assert_error!(
        connect(Client::builder(), address).await,
        ConnectionRefused,
        format!("cannot connect to {address}: {{source}}; is the server running there?")
    );
}

#[tokio::test]
async fn what_keeps_a_host_from_being_reached_is_told() {
    for kind in [ErrorKind::HostUnreachable, ErrorKind::NetworkUnreachable, ErrorKind::NetworkDown] {
        assert_error!(
            connect_with(Some(kind)).await,
            Unreachable,
            "cannot connect to far:1: {source}; is the host up, and this machine on the right network?"
        );
    }
    assert_error!(
        connect_with(Some(ErrorKind::TimedOut)).await,
        Dial,
        "cannot connect to far:1: timed out; is the host up, and does a firewall let the connection through?"
    );
    assert_error!(
        connect_with(Some(ErrorKind::PermissionDenied)).await,
        Dial,
        "cannot connect to far:1: permission denied; may this user connect there?"
    );
}

#[tokio::test(start_paused = true)]
async fn a_host_that_does_not_answer_at_all_is_given_up_after_ten_seconds() {
    assert_error!(
        connect_with(None).await,
        DialTimeout,
        "cannot connect to far:1: nothing came back within 10s; is the host up, and does a firewall let the \
         connection through?"
    );
}

#[tokio::test]
async fn a_connection_that_is_closed_without_an_answer_is_told() {
    let (mut stream, address, client) = connecting().await;
    read_head(&mut stream).await;
    drop(stream);
    assert_error!(
        client.await.unwrap(),
        Closed,
        format!(
            "cannot connect to {address}: the server closed the connection before it answered; is it \
             full or shutting down, or is this a port for TLS?"
        )
    );
}

#[tokio::test]
async fn a_connection_that_is_reset_without_an_answer_is_told() {
    let (mut stream, address, client) = connecting().await;
    read_head(&mut stream).await;
    stream.set_zero_linger().unwrap();
    drop(stream);
    assert_error!(
        client.await.unwrap(),
        Closed,
        format!(
            "cannot connect to {address}: the connection was cut before there was an answer: {{source}}; is \
             the server full or shutting down, or is this a port for TLS?"
        )
    );
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_shown() {
    let (mut stream, address, client) = connecting().await;
    read_head(&mut stream).await;
    stream.write_all(format!("HTTP/1.1 400 Bad\r\nX: {}", "y".repeat(100)).as_bytes()).await.unwrap();
    drop(stream);
    let shown = format!("HTTP/1.1 400 Bad\\r\\nX: {}", "y".repeat(43));
    assert_error!(
        client.await.unwrap(),
        BrokenOff,
        format!(
            "cannot connect to {address}: the answer broke off after \"{shown}\": unexpected end of file"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_connect_is_given_up_after_ten_seconds() {
    let (near, far) = tokio::io::duplex(1024);
    assert_error!(
        within(Client::new(near)).await.unwrap_err(),
        AnswerTimeout,
        "cannot connect to localhost: connected, but no answer within 10s; is it an RPC server, \
         and not overloaded?"
    );
    drop(far);
}

#[tokio::test]
async fn an_answer_that_came_before_the_connection_was_closed_is_read_though_the_request_was_not_taken() {
    let (near, mut far) = tokio::io::duplex(1024);
    far.write_all(b"HTTP/1.0 503 Service Unavailable\r\n\r\nfull\n").await.unwrap();
    drop(far);
    assert_error!(
        within(Client::new(near)).await.unwrap_err(),
        Refused,
        "cannot connect to localhost: the server refused with 503 Service Unavailable: full; is it full or \
         shutting down?"
    );
    let (near, far) = tokio::io::duplex(1024);
    drop(far);
    assert_error!(
        within(Client::new(near)).await.unwrap_err(),
        Closed,
        "cannot connect to localhost: the connection was cut before there was an answer: broken pipe; is the \
         server full or shutting down, or is this a port for TLS?"
    );
}

#[tokio::test]
async fn a_call_that_finds_no_connection_names_itself_and_the_way_it_failed() {
    let client = Client::builder().lazy_with(Failing(Some(ErrorKind::ConnectionRefused)), "far:1");
    let error: Error = within(client.call::<_, i64>("Arith.Multiply", (7, 8))).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Arith.Multiply at far:1: cannot connect to far:1: connection refused; is the server running there?"
    );
    let cause = error.source().unwrap().source().unwrap();
    assert_eq!(cause.downcast_ref::<io::Error>().unwrap().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_connection_error_is_small_enough_to_travel_in_results() {
    assert!(size_of::<ConnectError>() <= 80, "{}", size_of::<ConnectError>());
}
