//! How many connections a server has room for, and what the others get.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::future::{IntoFuture, pending};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use rpc_core::Peer;
use rpc_core::handshake::Refusal;
use rpc_server::{Builder, Listener, Request, Server};
use tests::{Args, Frame, Raw, arith, decoded, eventually, listen, pipe, within};
use tokio::io::DuplexStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

type Connection = (DuplexStream, Peer);

/// Connections from any address that a test thinks up.
struct Arrivals(UnboundedReceiver<Connection>);

impl Listener for Arrivals {
    type Io = DuplexStream;

    async fn accept(&mut self) -> io::Result<Connection> {
        match self.0.recv().await {
            Some(connection) => Ok(connection),
            None => pending().await,
        }
    }
}

struct Served {
    arrivals: UnboundedSender<Connection>,
    server: Server,
}

impl Served {
    fn new(builder: Builder) -> Self {
        let server = builder.build().unwrap();
        let (arrivals, arriving) = unbounded_channel();
        tokio::spawn(server.serve(Arrivals(arriving)).into_future());
        Self { arrivals, server }
    }

    fn arrive(&self, from: Option<&str>) -> Raw<DuplexStream> {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let from = from.map_or_else(Peer::unknown, |from| from.parse::<SocketAddr>().unwrap().into());
        self.arrivals.send((far, from)).unwrap();
        Raw(near)
    }

    async fn enter(&self, from: Option<&str>) -> Raw<DuplexStream> {
        Raw::enter(self.arrive(from).0, "").await
    }

    async fn assert_refused(&self, from: &str) {
        let answer = self.arrive(Some(from)).rest().await;
        assert!(answer.starts_with("HTTP/1.0 503 Service Unavailable\r\n"), "{answer}");
        assert!(answer.ends_with("too many connections from this address\n"), "{answer}");
    }

    async fn empty(&self) {
        eventually("no connection is open", || self.server.connections() == 0).await;
    }
}

#[tokio::test]
async fn one_connection_too_many_from_an_address_is_refused_and_others_are_not() {
    let served = Served::new(arith().max_connections_per_address(2));
    let first = served.enter(Some("10.0.0.1:1")).await;
    let _second = served.enter(Some("10.0.0.1:2")).await;
    served.assert_refused("10.0.0.1:3").await;
    served.assert_refused("[::ffff:10.0.0.1]:4").await;
    let _others = [served.enter(Some("10.0.0.2:1")).await, served.enter(Some("[2001:db8::1]:1")).await];
    drop(first);
    eventually("there is room again", || served.server.connections() == 3).await;
    let _third = served.enter(Some("[::ffff:10.0.0.1]:5")).await;
    served.assert_refused("10.0.0.1:6").await;
}

#[tokio::test]
async fn connections_without_an_address_are_not_limited() {
    let served = Served::new(arith().max_connections_per_address(1));
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(served.enter(None).await);
    }
    assert_eq!(served.server.connections(), 5);
}

#[tokio::test]
async fn over_tcp_the_address_is_that_of_the_peer() {
    let (address, _server) = listen(arith().max_connections_per_address(1)).await;
    let first = Raw::enter(Raw::dial(address).await.0, "").await;
    let answer = Raw::dial(address).await.rest().await;
    assert!(answer.ends_with("too many connections from this address\n"), "{answer}");
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn however_a_connection_ends_its_place_is_free() {
    let hook = async |request: Request| match request.head.headers.get("x-in") {
        None => Ok(()),
        Some(_) => Err(Refusal::forbidden("not you")),
    };
    let served =
        Served::new(arith().max_connections_per_address(1).authorize(hook).debug_page_at("/debug/rpc"));
    let from = Some("10.0.0.1:1");
    drop(served.arrive(from));
    served.empty().await;
    for head in [
        "GET /elsewhere HTTP/1.0\r\n\r\n",
        "GET /debug/rpc HTTP/1.0\r\n\r\n",
        "no head at all\r\n\r\n",
        "CONNECT /_rpc_ HTTP/1.0\r\nX-In: no\r\n\r\n",
        "CONNECT /never/ends",
    ] {
        let mut raw = served.arrive(from);
        raw.say(head.as_bytes()).await;
        assert!(raw.rest().await.starts_with("HTTP/1.0 "), "{head}");
        drop(raw);
        served.empty().await;
    }
    let mut raw = served.enter(from).await;
    raw.send(&Frame::new(0x7f, 0, [])).await;
    assert_eq!(raw.frame().await.kind, Frame::GO_AWAY, "no such kind");
    drop(raw);
    served.empty().await;
    let mut raw = served.enter(from).await;
    raw.say(&[0]).await;
    drop(raw);
    served.empty().await;
    let silent = served.enter(from).await;
    tokio::time::sleep(Duration::from_secs(41)).await;
    assert_eq!(served.server.connections(), 0, "it did not answer");
    drop(silent);
    let mut raw = served.enter(from).await;
    raw.send(&Frame::request(1, "Arith.Multiply", &Args { a: 7, b: 8 })).await;
    assert_eq!(decoded::<i64>(&raw.frame().await.body), 56);
}

#[tokio::test(start_paused = true)]
async fn only_so_many_are_told_at_a_time_that_there_is_no_room() {
    let server = arith().max_connections(1).build().unwrap();
    let _only = Raw::enter(pipe(&server), "").await;
    let refused = |count: usize| (0..count).map(|_| Raw(pipe(&server))).collect::<Vec<_>>();
    // Nobody goes away, so each keeps its place among the refused for a second.
    let mut all = refused(300);
    let answers = join_all(all.iter_mut().map(Raw::rest)).await;
    let told = answers.iter().filter(|answer| answer.starts_with("HTTP/1.0 503 ")).count();
    let closed = answers.iter().filter(|answer| answer.is_empty()).count();
    assert_eq!((told, closed), (256, 44));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let answer = within(refused(1)[0].rest()).await;
    assert!(answer.starts_with("HTTP/1.0 503 "), "{answer}");
    assert_eq!(server.connections(), 1);
}
