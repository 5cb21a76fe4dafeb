//! How connections end that a route has taken over, and where they count until then.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::future::{pending, ready};
use std::time::Duration;

use rpc_core::Peer;
use rpc_core::handshake::Refusal;
use rpc_server::{Builder, ConnectionError, Hijacked, Reply, Request, Server};
use tests::{Gate, Raw, answer_to, arith, eventually, pipe, serve, within};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::time::Instant;

const HEAD: &str = "GET /raw HTTP/1.0\r\n\r\n";

/// With a route, `/raw`, whose taker ends when the gate lets it.
fn held_by(gate: &Gate) -> Builder {
    let gate = gate.clone();
    arith().route("/raw", move |_: Request| {
        let gate = gate.clone();
        async move {
            Reply::hijack(async |taken| {
                let _taken = taken;
                let _ = gate.pass(1).await;
            })
        }
    })
}

/// A connection that was taken over.
async fn taken(server: &Server, gate: &Gate) -> Raw<DuplexStream> {
    let mut raw = Raw(pipe(server));
    raw.say(HEAD.as_bytes()).await;
    gate.entered().await;
    raw
}

#[tokio::test]
async fn it_is_open_until_its_taker_ends() {
    let gate = Gate::new();
    let server = held_by(&gate).build().unwrap();
    let mut one = taken(&server, &gate).await;
    let mut other = taken(&server, &gate).await;
    assert_eq!(server.connections(), 2);
    gate.open(1);
    assert_eq!(one.rest().await, "");
    eventually("one is gone", || server.connections() == 1).await;
    gate.open(1);
    assert_eq!(other.rest().await, "");
    eventually("both are gone", || server.connections() == 0).await;
}

/// The peer is the taker's affair: it may write only.
#[tokio::test]
async fn it_is_open_also_when_its_peer_has_gone() {
    let gate = Gate::new();
    let server = held_by(&gate).build().unwrap();
    drop(taken(&server, &gate).await);
    let mut probe = Raw(pipe(&server));
    probe.say(b"GET / HTTP/1.0\r\n\r\n").await;
    probe.rest().await;
    drop(probe);
    eventually("the probe is gone", || server.connections() == 1).await;
    gate.open(1);
    eventually("all are gone", || server.connections() == 0).await;
}

#[tokio::test]
async fn it_takes_one_of_the_places_for_connections() {
    let gate = Gate::new();
    let server = held_by(&gate).max_connections(1).build().unwrap();
    let held = taken(&server, &gate).await;
    let answer = answer_to(pipe(&server), HEAD).await;
    assert!(answer.starts_with("HTTP/1.0 503 Service Unavailable\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\ntoo many connections\n"), "{answer}");
    gate.open(1);
    eventually("its place is free", || server.connections() == 0).await;
    drop((held, taken(&server, &gate).await));
}

#[tokio::test(start_paused = true)]
async fn a_taker_that_ends_when_the_server_drains_is_waited_for() {
    let farewell = async |mut taken: Hijacked| {
        taken.draining().await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        taken.stream.write_all(b"goodbye").await.unwrap();
    };
    let route = move |_: Request| ready(Reply::hijack(farewell));
    let server = arith().route("/raw", route).build().unwrap();
    let mut raw = Raw(pipe(&server));
    raw.say(HEAD.as_bytes()).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let began = Instant::now();
    let report = within(server.shutdown(Duration::from_secs(5))).await;
    assert_eq!(began.elapsed().as_secs(), 4);
    assert_eq!((report.connections, report.cut_off), (1, 0));
    assert_eq!(raw.rest().await, "goodbye");
}

#[tokio::test(start_paused = true)]
async fn a_taker_that_outlasts_the_grace_is_cut_off_and_counted() {
    let gate = Gate::new();
    let server = held_by(&gate).build().unwrap();
    let mut held = [taken(&server, &gate).await, taken(&server, &gate).await];
    let began = Instant::now();
    let report = within(server.shutdown(Duration::from_secs(5))).await;
    assert_eq!(began.elapsed().as_secs(), 5);
    assert_eq!((report.connections, report.cut_off), (2, 2));
    assert_eq!((report.finished, report.cancelled, server.connections()), (0, 0, 0));
    for raw in &mut held {
        gate.dropped().await;
        assert_eq!(raw.rest().await, "");
    }
}

#[tokio::test]
async fn whoever_drops_the_serving_of_a_connection_drops_its_taker() {
    let gate = Gate::new();
    let server = held_by(&gate).build().unwrap();
    let (near, serving) = serve(&server, Peer::unknown());
    let mut raw = Raw(near);
    raw.say(HEAD.as_bytes()).await;
    gate.entered().await;
    serving.abort();
    gate.dropped().await;
    assert_eq!(raw.rest().await, "");
    eventually("its place is free", || server.connections() == 0).await;
    assert_eq!(within(server.shutdown(Duration::ZERO)).await.cut_off, 0);
}

fn break_down() {
    panic!("a test's own");
}

#[tokio::test]
async fn a_panic_in_a_taker_ends_its_connection_alone() {
    let gate = Gate::new();
    let server = held_by(&gate)
        .route("/late", async |_: Request| {
            Reply::hijack(async |mut taken| {
                taken.stream.write_all(b"so far so good").await.unwrap();
                panic!("a test's own");
            })
        })
        .route("/early", async |_: Request| {
            Reply::hijack(|_| {
                break_down();
                pending()
            })
        });
    let server = server.build().unwrap();
    let mut held = taken(&server, &gate).await;
    for (path, said) in [("/late", "so far so good"), ("/early", "")] {
        let (near, served) = serve(&server, Peer::unknown());
        assert_eq!(answer_to(near, format!("GET {path} HTTP/1.0\r\n\r\n")).await, said);
        let ended = within(served).await.unwrap();
        assert!(matches!(ended, Err(ConnectionError::Panicked)), "{path}: {ended:?}");
        assert_eq!(server.connections(), 1);
    }
    gate.open(1);
    assert_eq!(held.rest().await, "");
}

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("a test's own");
    }
}

#[tokio::test(start_paused = true)]
async fn a_taker_that_panics_as_it_is_cut_off_is_counted_and_does_no_more_harm() {
    let route = async |_: Request| {
        Reply::hijack(async |taken| {
            let _held = (taken, PanicsWhenDropped);
            pending().await
        })
    };
    let server = arith().route("/raw", route).build().unwrap();
    let (near, served) = serve(&server, Peer::unknown());
    let mut raw = Raw(near);
    raw.say(HEAD.as_bytes()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let report = within(server.shutdown(Duration::from_secs(5))).await;
    assert_eq!((report.connections, report.cut_off), (1, 1));
    within(served).await.unwrap().unwrap();
    assert_eq!((&*raw.rest().await, server.connections()), ("", 0));
}

#[tokio::test]
async fn nobody_takes_a_connection_over_that_is_not_let_in() {
    let gate = Gate::new();
    let hook = async |request: Request| match request.head.headers.get("x-in") {
        Some(_) => Ok(()),
        None => Err(Refusal::unauthorized("who are you?")),
    };
    let server = held_by(&gate).authorize(hook).build().unwrap();
    let answer = answer_to(pipe(&server), HEAD).await;
    assert!(answer.starts_with("HTTP/1.0 401 Unauthorized\r\n"), "{answer}");
    assert_eq!(gate.ran(), 0);
    gate.open(1);
    assert_eq!(answer_to(pipe(&server), "GET /raw HTTP/1.0\r\nX-In: y\r\n\r\n").await, "");
    assert_eq!(gate.ran(), 1);
}
