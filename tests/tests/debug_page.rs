//! The debug page: what it shows, to whom, and where.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::net::SocketAddr;
use std::time::Duration;

use rpc_client::Client;
use rpc_core::handshake::Refusal;
use rpc_core::{Peer, UnixPeer};
use rpc_server::{BuildError, Builder, Request, Server};
use tests::{Args, Gate, answer_to, arith, eventually, join, listen, pipe, pipe_from, within};
use tokio::io::DuplexStream;

const GET: &str = "GET /debug/rpc HTTP/1.0\r\n\r\n";

/// Of a server with that page on its own listener, to somebody near.
async fn answer(builder: Builder, request: &str) -> String {
    answer_to(near(&builder.build().unwrap()), request).await
}

/// From this machine.
fn near(server: &Server) -> DuplexStream {
    pipe_from(server, at("127.0.0.1:1"))
}

fn status_line(answer: &str) -> &str {
    answer.lines().next().unwrap_or_default()
}

/// The JSON of a page.
fn json(answer: &str) -> serde_json::Value {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
    assert!(head.contains("\r\nContent-Type: application/json"), "{head}");
    serde_json::from_str(body).unwrap()
}

#[tokio::test]
async fn it_is_there_only_when_it_was_asked_for() {
    assert_eq!(status_line(&answer(arith(), GET).await), "HTTP/1.0 405 Method Not Allowed");
    let connect = "CONNECT /debug/rpc HTTP/1.0\r\n\r\n";
    assert_eq!(status_line(&answer(arith(), connect).await), "HTTP/1.0 404 Not Found");
    assert_eq!(status_line(&answer(arith().debug_page_at("/debug/rpc"), GET).await), "HTTP/1.0 200 OK");
    let elsewhere = arith().debug_page_at("/elsewhere");
    assert_eq!(status_line(&answer(elsewhere, GET).await), "HTTP/1.0 405 Method Not Allowed");
}

#[tokio::test]
async fn it_answers_get_and_head_and_everything_else_with_405() {
    let server = arith().build().unwrap();
    let mounted = arith().debug_page_at("/debug/rpc").build().unwrap();
    for server in [&server.debug_page(), &mounted] {
        for method in ["CONNECT", "POST", "PUT", "OPTIONS", "get"] {
            let answer = answer_to(near(server), format!("{method} /debug/rpc HTTP/1.0\r\n\r\n")).await;
            assert_eq!(status_line(&answer), "HTTP/1.0 405 Method Not Allowed", "{method}");
            assert!(answer.contains("\r\nAllow: GET, HEAD\r\n"), "{answer}");
        }
        let page = answer_to(near(server), GET).await;
        let (head, _) = page.split_once("\r\n\r\n").unwrap();
        let answer = answer_to(near(server), "HEAD /debug/rpc HTTP/1.0\r\n\r\n").await;
        assert_eq!(answer, format!("{head}\r\n\r\n"));
    }
}

#[tokio::test]
async fn it_shows_methods_and_counts_to_people_and_programs() {
    let (address, server) = listen(Gate::new().register(arith()).debug_page_at("/debug/rpc")).await;
    let client = within(Client::connect(address.to_string())).await.unwrap();
    let _: i64 = within(client.call("Arith.Multiply", &Args { a: 7, b: 8 })).await.unwrap();
    let page = answer_to(tests::Raw::dial(address).await.0, GET).await;
    assert!(page.starts_with("HTTP/1.0 200 OK\r\n"), "{page}");
    assert!(page.contains("\r\nContent-Type: text/html; charset=utf-8\r\n"), "{page}");
    let (arith, gate) = (page.find("Service Arith").unwrap(), page.find("Service Gate").unwrap());
    assert!(arith < gate, "sorted");
    let row = "<td>Multiply(tests::Args, i64) error</td><td>1</td><td>0</td><td>0</td>";
    assert!(page.contains(row), "{page}");
    eventually("only the client is left", || server.connections() == 1).await;
    let request = "GET /debug/rpc?format=json HTTP/1.0\r\n\r\n";
    let page = json(&answer_to(tests::Raw::dial(address).await.0, request).await);
    assert_eq!(page["connections"], 2);
    assert_eq!(page["methods"][1]["method"], "Multiply");
    assert_eq!(page["methods"][1]["calls"], 1);
}

#[tokio::test]
async fn on_a_listener_of_its_own_it_shows_the_watched_server_and_not_itself() {
    // Who may enter there is for there.
    let hook = async |request: Request| match request.path() {
        "/_rpc_" => Ok(()),
        _ => Err(Refusal::forbidden("RPC only")),
    };
    let (client, watched) = join(arith().authorize(hook)).await;
    let page = watched.debug_page();
    let request = "GET /debug/rpc?format=json HTTP/1.0\r\n\r\n";
    for calls in 0..3 {
        let shown = json(&answer_to(near(&page), request).await);
        assert_eq!(shown["connections"], 1);
        assert_eq!(shown["methods"][1]["method"], "Multiply");
        assert_eq!(shown["methods"][1]["calls"], calls);
        let _: i64 = within(client.call("Arith.Multiply", &Args { a: 7, b: 8 })).await.unwrap();
    }
    assert!(page.stats().is_empty());
    let html = answer_to(near(&page), GET).await;
    assert!(html.contains("<td>Multiply(tests::Args, i64) error</td><td>3</td>"), "{html}");
    assert_eq!(
        status_line(&answer_to(near(&page), "GET / HTTP/1.0\r\n\r\n").await),
        "HTTP/1.0 405 Method Not Allowed"
    );
}

#[tokio::test(start_paused = true)]
async fn on_a_listener_of_its_own_it_goes_on_while_the_watched_server_ends_and_after_that() {
    let gate = Gate::new();
    let (client, watched) = join(gate.register(arith())).await;
    let (page, ending) = (watched.debug_page(), watched.clone());
    let call = client.start::<i64>("Gate.Pass", 1);
    gate.entered().await;
    let ending = tokio::spawn(async move { ending.shutdown(Duration::from_secs(9)).await });
    tokio::time::sleep(Duration::from_secs(5)).await;
    let refused = answer_to(pipe(&watched), "CONNECT /_rpc_ HTTP/1.0\r\n\r\n").await;
    assert_eq!(status_line(&refused), "HTTP/1.0 503 Service Unavailable");
    let request = "GET /debug/rpc?format=json HTTP/1.0\r\n\r\n";
    let shown = json(&answer_to(near(&page), request).await);
    assert_eq!(shown["methods"][2]["in_flight"], 1);
    gate.open(1);
    within(call).await.unwrap();
    assert_eq!(within(ending).await.unwrap().finished, 1);
    drop((client, watched));
    let shown = json(&answer_to(near(&page), request).await);
    assert_eq!(shown["methods"][2]["in_flight"], 0);
    // It ends by itself.
    assert_eq!(within(page.shutdown(Duration::from_secs(9))).await.cancelled, 0);
}

/// What the page of `server` answers to that peer, who asks by that host.
async fn status(server: &Server, peer: &Peer, host: &str) -> String {
    let asked = format!("GET /debug/rpc HTTP/1.1\r\n{host}\r\n");
    status_line(&answer_to(pipe_from(server, peer.clone()), asked).await)["HTTP/1.0 ".len()..].to_owned()
}

fn at(address: &str) -> Peer {
    address.parse::<SocketAddr>().unwrap().into()
}

#[tokio::test]
async fn it_is_for_this_machine_by_its_loopback_names() {
    let server = arith().build().unwrap();
    let mounted = arith().debug_page_at("/debug/rpc").build().unwrap();
    let near = [
        Peer::from(UnixPeer::new(1, 1, None)),
        at("127.0.0.1:1"),
        at("127.9.9.9:1"),
        at("[::1]:1"),
        at("[::ffff:127.0.0.1]:1"),
    ];
    let far =
        [Peer::unknown(), at("10.0.0.1:1"), at("0.0.0.0:1"), at("[fe80::1]:1"), at("[::ffff:10.0.0.1]:1")];
    let loopback =
        ["", "Host:\r\n", "Host: localhost\r\n", "Host: LocalHost:6060\r\n", "Host: 127.0.0.1\r\n"];
    let loopback =
        loopback.into_iter().chain(["Host: 127.0.0.1:6060\r\n", "Host: [::1]\r\n", "Host: [::1]:6060\r\n"]);
    for server in [&server.debug_page(), &mounted] {
        for host in loopback.clone() {
            for peer in &near {
                assert_eq!(status(server, peer, host).await, "200 OK", "{peer} {host}");
            }
            for peer in &far {
                assert_eq!(status(server, peer, host).await, "403 Forbidden", "{peer} {host}");
            }
        }
    }
}

/// A page of evil.example whose name resolves to 127.0.0.1 reaches this machine as this machine, with its own name.
#[tokio::test]
async fn it_is_not_for_web_pages_whose_names_lead_to_this_machine() {
    let page = arith().build().unwrap().debug_page();
    for host in [
        "evil.example",
        "evil.example:6060",
        "localhost.evil.example",
        "localhost@evil.example",
        "localhost:6060@evil.example",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "0.0.0.0",
        "[::]",
        "[::2]",
        "2130706433",
    ] {
        let answer = status(&page, &at("127.0.0.1:1"), &format!("Host: {host}\r\n")).await;
        assert_eq!(answer, "403 Forbidden", "{host}");
    }
    for host in ["a b", "local/host", "\u{e9}"] {
        let answer = status(&page, &at("127.0.0.1:1"), &format!("Host: {host}\r\n")).await;
        assert_eq!(answer, "400 Bad Request", "{host}");
    }
    // The target's name goes before the header's (RFC 9112, section 3.2.2).
    for (target, status) in [("evil.example", "403 Forbidden"), ("localhost:80", "200 OK")] {
        let asked = format!("GET http://{target}/debug/rpc HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(status_line(&answer_to(near(&page), asked).await), format!("HTTP/1.0 {status}"));
    }
}

#[tokio::test]
async fn a_name_that_was_allowed_shows_it_from_anywhere() {
    let server = arith().debug_host("Debug.Example").debug_host("10.0.0.2").debug_page_at("/debug/rpc");
    let server = server.build().unwrap();
    for server in [&server.debug_page(), &server] {
        for peer in [at("10.0.0.1:1"), at("127.0.0.1:1"), Peer::unknown()] {
            for host in ["debug.example", "debug.example:6060", "DEBUG.EXAMPLE", "10.0.0.2:6060"] {
                let answer = status(server, &peer, &format!("Host: {host}\r\n")).await;
                assert_eq!(answer, "200 OK", "{peer} {host}");
            }
            for host in ["evil.example", "a.debug.example", "debug.example.evil.example"] {
                let answer = status(server, &peer, &format!("Host: {host}\r\n")).await;
                assert_eq!(answer, "403 Forbidden", "{peer} {host}");
            }
        }
        assert_eq!(status(server, &at("10.0.0.1:1"), "").await, "403 Forbidden");
        assert_eq!(status(server, &at("10.0.0.1:1"), "Host: localhost\r\n").await, "403 Forbidden");
    }
}

#[tokio::test]
async fn the_listener_of_the_page_is_no_way_to_rpc() {
    let page = arith().build().unwrap().debug_page();
    for path in ["/_rpc_", "/debug/rpc", "/"] {
        let answer = answer_to(near(&page), format!("CONNECT {path} HTTP/1.0\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.0 40"), "{answer}");
    }
}

#[test]
fn another_http_stack_shows_it_to_the_same_people() {
    let server = arith().build().unwrap();
    let asked_by = |peer: Option<Peer>| {
        let mut request = http::Request::get("/any/path").header("host", "localhost:8443").body(()).unwrap();
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        server.answer_debug(request.into_parts().0)
    };
    let page = asked_by(Some(at("127.0.0.1:1")));
    assert_eq!(page.status(), http::StatusCode::OK);
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    assert!(page.body().starts_with(b"<!DOCTYPE html>"));
    for peer in [Some(at("10.0.0.1:1")), None] {
        assert_eq!(asked_by(peer).status(), http::StatusCode::FORBIDDEN);
    }
}

#[test]
fn a_host_that_nobody_can_ask_for_is_refused_when_the_server_is_made() {
    for host in ["d.example:6060", "http://d.example", "", "a@b", "[::1"] {
        assert_eq!(arith().debug_host(host).build().unwrap_err(), BuildError::Host { host: host.into() });
    }
    for host in ["d.example", "10.0.0.1", "fd00::1", "[fd00::1]"] {
        arith().debug_host(host).build().unwrap();
    }
}
