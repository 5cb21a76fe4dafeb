//! What the tests of both sides share: net/rpc's `Arith` service, and a client and a server joined
//! by TCP or by a pipe in memory.

mod blocker;
mod certificates;
mod forward;
mod gate;
mod lines;
mod packets;
mod raw;
mod transport;

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::time::Duration;

use rpc_client::Client;
use rpc_core::{Context, Peer, Status, service};
use rpc_server::{Builder, ConnectionError, Server, ServerTls};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use blocker::Blocker;
pub use certificates::{Authority, Issued};
pub use forward::ForwardProxy;
pub use gate::Gate;
pub use lines::Lines;
pub use packets::Packets;
pub use raw::{CREDIT, DEADLINE, END, Frame, MORE, NAME, Raw, decoded, encoded, read_head};
pub use transport::{Served, Transport};

/// net/rpc's arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Args {
    /// The first number.
    pub a: i64,
    /// The second.
    pub b: i64,
}

/// net/rpc's reply to a division.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quotient {
    /// How many times.
    pub quo: i64,
    /// What is left.
    pub rem: i64,
}

/// net/rpc's example.
#[service]
pub trait Arith {
    /// The product.
    async fn multiply(&self, cx: &Context, args: Args) -> Result<i64, Status>;
    /// Quotient and remainder.
    async fn divide(&self, cx: &Context, args: Args) -> Result<Quotient, Status>;
}

/// Implements [`Arith`].
#[derive(Debug)]
pub struct Calculator;

impl Arith for Calculator {
    async fn multiply(&self, _cx: &Context, args: Args) -> Result<i64, Status> {
        args.a.checked_mul(args.b).ok_or_else(|| Status::out_of_range("product over 64 bits"))
    }

    async fn divide(&self, _cx: &Context, Args { a, b }: Args) -> Result<Quotient, Status> {
        if b == 0 {
            return Err(Status::unknown("divide by zero"));
        }
        Ok(Quotient { quo: a.wrapping_div(b), rem: a.wrapping_rem(b) })
    }
}

/// A server with [`Arith`].
pub fn arith() -> Builder {
    Server::builder().register(ArithServer::new(Calculator))
}

/// Serves on a free port of the loopback address until the runtime ends.
///
/// # Panics
/// When there is none, or the server is not well built.
pub async fn listen(builder: Builder) -> (SocketAddr, Server) {
    let server = builder.build().expect("a well-built server");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound address");
    tokio::spawn(server.serve(listener).into_future());
    (address, server)
}

/// The same over TLS; the address is a URL.
///
/// # Panics
/// As [`listen`].
pub async fn listen_tls(builder: Builder, tls: &ServerTls) -> (String, Server) {
    let server = builder.build().expect("a well-built server");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound address");
    tokio::spawn(server.serve(listener).tls(tls.clone()).into_future());
    (format!("https://{address}"), server)
}

/// One end of a pipe in memory, whose other end is served.
pub fn pipe(server: &Server) -> DuplexStream {
    pipe_from(server, Peer::unknown())
}

/// The same, as if that peer had come through it.
pub fn pipe_from(server: &Server, peer: impl Into<Peer>) -> DuplexStream {
    serve(server, peer).0
}

/// The same, and how serving it ends.
pub fn serve(
    server: &Server,
    peer: impl Into<Peer>,
) -> (DuplexStream, JoinHandle<Result<(), ConnectionError>>) {
    let (near, far) = tokio::io::duplex(64 * 1024);
    (near, tokio::spawn(server.serve_connection_from(far, peer.into())))
}

/// All that a server answers to these bytes until it closes.
///
/// # Panics
/// When it does not, or not in good order.
pub async fn answer_to(io: impl AsyncRead + AsyncWrite + Unpin, request: impl AsRef<[u8]>) -> String {
    let mut raw = Raw(io);
    raw.say(request.as_ref()).await;
    raw.rest().await
}

/// A client that is joined to the server by a pipe in memory.
///
/// # Panics
/// When the handshake fails.
pub async fn join(builder: Builder) -> (Client, Server) {
    let server = builder.build().expect("a well-built server");
    let client = Client::new(pipe(&server)).await.expect("a handshake");
    (client, server)
}

/// A client whose server is driven byte by byte; `headers` as in [`Raw::admit`].
///
/// # Panics
/// When the handshake fails.
pub async fn raw_server(buffer: usize, headers: &'static str) -> (Client, Raw<DuplexStream>) {
    let (near, far) = tokio::io::duplex(buffer);
    let admitted = tokio::spawn(Raw::admit(far, headers));
    (within(Client::new(near)).await.expect("a handshake"), admitted.await.expect("a handshake"))
}

/// Waits for what is certain to come, so that a test that would hang fails instead.
///
/// # Panics
/// When it does not come.
pub async fn within<F: IntoFuture>(future: F) -> F::Output {
    match tokio::time::timeout(Duration::from_secs(20), future.into_future()).await {
        Ok(output) => output,
        Err(_) => panic!("nothing came within 20 s"),
    }
}

/// Waits until something holds that nobody announces.
///
/// # Panics
/// When it never does.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it never came about that {what}");
}
