//! Routes that answer ordinary HTTP, beside RPC on the same listener.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::future::pending;
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH, RETRY_AFTER, TRANSFER_ENCODING};
use http::{HeaderValue, Response, StatusCode};
use rpc_client::Client;
use rpc_core::Peer;
use rpc_core::handshake::Refusal;
use rpc_server::{BuildError, ConnectionError, Reply, Request, Server};
use tests::{Args, Gate, Raw, answer_to, arith, eventually, listen, pipe, serve, within};
use tokio::time::Instant;

const MUST_CONNECT: &str = "HTTP/1.0 405 Method Not Allowed\r\nContent-Length: 17\r\nConnection: close\r\n\
     Content-Type: text/plain; charset=utf-8\r\nAllow: CONNECT\r\n\r\n405 must CONNECT\n";

const HELLO: &str = "HTTP/1.0 200 OK\r\nContent-Length: 12\r\nConnection: close\r\n\
     Content-Type: text/plain; charset=utf-8\r\n\r\nhello world\n";

/// Of every kind, and `Arith`.
fn server() -> Server {
    arith()
        .route("/text", async |_: Request| "hello world\n")
        .route("/string", async |_: Request| "hello world\n".to_owned())
        .route("/response", async |_: Request| {
            let mut response = Response::new("teapot");
            *response.status_mut() = StatusCode::IM_A_TEAPOT;
            // What frames the answer is not theirs to say.
            for (name, value) in [(CONTENT_LENGTH, "4000"), (CONNECTION, "keep-alive"), (RETRY_AFTER, "5")] {
                response.headers_mut().insert(name, HeaderValue::from_static(value));
            }
            response.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            response
        })
        .route("/bytes", async |_: Request| Response::new(vec![b'a', b'\n']))
        .route("/refusal", async |_: Request| Refusal::not_found("nothing here"))
        .route("/result", async |request: Request| match request.head.uri.query() {
            Some(query) => Ok(format!("{} {query}", request.head.method)),
            None => Err(Refusal::bad_request("ask for something")),
        })
        .route("/panic", async |_: Request| -> &str { panic!("a test's own") })
        .build()
        .unwrap()
}

async fn get(server: &Server, path: &str) -> String {
    answer_to(pipe(server), format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await
}

#[tokio::test]
async fn whatever_a_route_returns_is_answered_with_these_bytes() {
    let server = server();
    assert_eq!(get(&server, "/text").await, HELLO);
    assert_eq!(get(&server, "/string").await, HELLO);
    let teapot =
        "HTTP/1.0 418 I'm a teapot\r\nContent-Length: 6\r\nConnection: close\r\nRetry-After: 5\r\n\r\nteapot";
    assert_eq!(get(&server, "/response").await, teapot);
    let bytes = "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\na\n";
    assert_eq!(get(&server, "/bytes").await, bytes);
    let refusal = |status: &str, text: &str| {
        let length = text.len();
        format!(
            "HTTP/1.0 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\r\n{text}"
        )
    };
    assert_eq!(get(&server, "/refusal").await, refusal("404 Not Found", "nothing here\n"));
    assert_eq!(get(&server, "/result").await, refusal("400 Bad Request", "ask for something\n"));
    assert_eq!(get(&server, "/result?a=1").await, refusal("200 OK", "GET a=1"));
}

#[tokio::test]
async fn the_answer_to_a_head_has_the_same_head_and_no_body() {
    let server = server();
    for path in ["/text", "/response", "/refusal", "/result", "/panic"] {
        let whole = get(&server, path).await;
        let (head, body) = whole.split_once("\r\n\r\n").unwrap();
        assert!(!body.is_empty(), "{whole}");
        let answer = answer_to(pipe(&server), format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert_eq!(answer, format!("{head}\r\n\r\n"));
    }
}

#[tokio::test]
async fn a_route_is_for_every_method_and_for_its_own_path_alone() {
    let server = server();
    for method in ["GET", "POST", "DELETE", "CONNECT", "BREW"] {
        let asked = format!("{method} /text?query HTTP/1.0\r\n\r\n");
        assert_eq!(answer_to(pipe(&server), asked).await, HELLO, "{method}");
    }
    // As a client of a proxy would ask.
    assert_eq!(answer_to(pipe(&server), "GET http://a/text HTTP/1.1\r\nHost: a\r\n\r\n").await, HELLO);
    for path in ["/", "/elsewhere", "/text/", "/TEXT", "/te%78t", "//text", "/_rpc_"] {
        assert_eq!(get(&server, path).await, MUST_CONNECT, "{path}");
    }
}

#[tokio::test]
async fn rpc_goes_on_beside_routes() {
    let (address, server) = listen(arith().route("/text", async |_: Request| "hello world\n")).await;
    let client = within(Client::connect(address.to_string())).await.unwrap();
    assert_eq!(answer_to(Raw::dial(address).await.0, "GET /text HTTP/1.0\r\n\r\n").await, HELLO);
    let product: i64 = within(client.call("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap();
    assert_eq!(product, 56);
    drop(server);
}

#[test]
fn a_path_that_is_taken_or_that_nobody_can_ask_for_is_told_when_the_server_is_made() {
    let routed = |path: &str| arith().route(path, async |_: Request| "here");
    let twice = |path: &str| BuildError::PathTwice { path: path.into() };
    let again = routed("/a").route("/b", async |_: Request| "").route("/a", async |_: Request| "");
    assert_eq!(again.build().unwrap_err(), twice("/a"));
    assert_eq!(routed("/_rpc_").build().unwrap_err(), twice("/_rpc_"));
    assert_eq!(routed("/a").path("/a").build().unwrap_err(), twice("/a"));
    assert_eq!(routed("/a").debug_page_at("/a").build().unwrap_err(), twice("/a"));
    routed("/_rpc_").path("/elsewhere").build().unwrap();
    for path in ["", "a", "/a?b", "/a#b", "/a b", "*", "http://host/a", "host:80"] {
        assert_eq!(routed(path).build().unwrap_err(), BuildError::Path { path: path.into() });
    }
}

#[tokio::test]
async fn a_panic_in_a_route_is_answered_with_500_and_the_server_goes_on() {
    let server = server();
    for _ in 0..2 {
        let (near, served) = serve(&server, Peer::unknown());
        let answer = answer_to(near, "GET /panic HTTP/1.0\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.0 500 Internal Server Error\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nthe handler of this path panicked\n"), "{answer}");
        let ended = within(served).await.unwrap();
        assert!(matches!(ended, Err(ConnectionError::Refused(_))), "{ended:?}");
    }
    assert_eq!(get(&server, "/text").await, HELLO);
    eventually("all are gone", || server.connections() == 0).await;
}

/// With a route, `/held`, that ends when the gate lets it.
fn held_by(gate: &Gate) -> Server {
    let gate = gate.clone();
    let held = move |_: Request| {
        let gate = gate.clone();
        async move { gate.pass(1).await.map(|number| number.to_string()).map_err(|_| Refusal::bad_request("")) }
    };
    arith().route("/held", held).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_route_that_never_ends_is_ended_by_the_grace_and_by_no_other_time() {
    let gate = Gate::new();
    let server = held_by(&gate);
    let mut raw = Raw(pipe(&server));
    raw.say(b"GET /held HTTP/1.0\r\n\r\n").await;
    gate.entered().await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(server.connections(), 1);
    let (ending, began) = (server.clone(), Instant::now());
    let ending = tokio::spawn(async move { ending.shutdown(Duration::from_secs(5)).await });
    gate.dropped().await;
    assert_eq!(began.elapsed().as_secs(), 5);
    let answer = raw.rest().await;
    assert_eq!(within(ending).await.unwrap().connections, 1);
    assert!(answer.starts_with("HTTP/1.0 503 Service Unavailable\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nthe server is shutting down\n"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_route_that_ends_within_the_grace_is_waited_for() {
    let gate = Gate::new();
    let server = held_by(&gate);
    let asked = tokio::spawn(answer_to(pipe(&server), "GET /held HTTP/1.0\r\n\r\n"));
    gate.entered().await;
    let ending = tokio::spawn(async move { server.shutdown(Duration::from_secs(5)).await });
    tokio::time::sleep(Duration::from_secs(2)).await;
    gate.open(1);
    assert!(within(asked).await.unwrap().ends_with("\r\n\r\n1"));
    assert_eq!(within(ending).await.unwrap().connections, 1);
}

/// Like Go's `WriteTimeout`: a client that takes an answer a byte at a time would hold its place for ever.
#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_taken_in_the_write_timeout_is_cut_short() {
    let large = async |_: Request| Response::new(vec![b'x'; 1 << 20]);
    let server = arith().write_timeout(Duration::from_secs(3)).route("/large", large).build().unwrap();
    let (near, served) = serve(&server, Peer::unknown());
    let mut raw = Raw(near);
    raw.say(b"GET /large HTTP/1.0\r\n\r\n").await;
    let began = Instant::now();
    within(served).await.unwrap().unwrap();
    assert_eq!((began.elapsed().as_secs(), server.connections()), (3, 0));
    assert!(raw.rest().await.len() < 1 << 20);
}

#[test]
fn a_reply_is_shown_without_what_it_holds() {
    let shown = |reply: Reply| format!("{reply:?}");
    assert_eq!(shown("secret".into()), "Respond(200)");
    assert_eq!(shown(Reply::hijack(|_| pending())), "Hijack");
}
