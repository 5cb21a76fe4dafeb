//! The hook that decides who may enter: what it sees, what becomes of what it says, and when it is asked.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use rpc_client::{Client, ConnectError};
use rpc_core::handshake::Refusal;
use rpc_core::{Context, Peer, Status};
use rpc_server::{Builder, Reply, Request};
use tests::{Frame, Gate, Raw, answer_to, arith, decoded, join, listen, pipe, pipe_from, within};
use tokio::io::AsyncWriteExt;

/// What a hook found out.
#[derive(Clone, Debug, PartialEq)]
struct User(String);

/// Everybody is who they say they are, in a header.
async fn named(request: Request) -> Result<User, Refusal> {
    match request.head.headers.get("x-name").map(|name| name.to_str().map(str::to_owned)) {
        Some(Ok(name)) => Ok(User(name)),
        Some(Err(_)) => Err(Refusal::bad_request("what a name")),
        None => Err(Refusal::unauthorized("who are you?")),
    }
}

/// RPC at `/_rpc_`, an answer at `/who`, a taker at `/raw`, the debug page at `/debug/rpc`.
fn everything() -> Builder {
    arith()
        .register_fn("Who.Am", async |cx: Context, (): ()| {
            Ok::<_, Status>(format!("{:?}", cx.extension::<User>()))
        })
        .route("/who", async |request: Request| known(&request))
        .route("/raw", async |request: Request| {
            let known = known(&request);
            Reply::hijack(async move |mut taken| taken.stream.write_all(known.as_bytes()).await.unwrap())
        })
        .debug_page_at("/debug/rpc")
}

fn known(request: &Request) -> String {
    format!("{:?}", request.head.extensions.get::<User>())
}

fn status_line(answer: &str) -> &str {
    answer.lines().next().unwrap_or_default()
}

#[tokio::test]
async fn the_hook_sees_method_target_headers_and_peer_whatever_is_asked_for() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = seen.clone();
    let builder = everything().authorize(move |request: Request| {
        let note = note.clone();
        async move {
            let x = request.head.headers.get_all("x").iter().map(|value| value.to_str().unwrap().to_owned());
            let x = x.collect::<Vec<_>>().join(", ");
            let what = format!("{} {} {} {x}", request.head.method, request.path(), request.head.uri);
            note.lock().unwrap().push((what, request.peer.address.unwrap()));
            Ok(())
        }
    });
    let server = builder.build().unwrap();
    let from: SocketAddr = "127.0.0.1:4711".parse().unwrap();
    for asked in [
        "CONNECT /_rpc_?a HTTP/1.0\r\nX: 1\r\nX: 2\r\n\r\n",
        "GET /who?b HTTP/1.0\r\nX: 3\r\n\r\n",
        "PUT /raw HTTP/1.0\r\n\r\n",
        "GET /debug/rpc HTTP/1.0\r\n\r\n",
    ] {
        let mut io = pipe_from(&server, from);
        io.write_all(asked.as_bytes()).await.unwrap();
        io.shutdown().await.unwrap();
        answer_to(io, "").await;
    }
    let seen: Vec<_> = seen.lock().unwrap().iter().cloned().collect();
    let what =
        ["CONNECT /_rpc_ /_rpc_?a 1, 2", "GET /who /who?b 3", "PUT /raw /raw ", "GET /debug/rpc /debug/rpc "];
    assert_eq!(seen, what.map(|what| (what.to_owned(), from)));
}

#[tokio::test]
async fn what_the_hook_found_out_is_known_to_handlers_and_routes() {
    let server = everything().authorize(named).build().unwrap();
    let client = Client::builder().header("x-name".parse().unwrap(), HeaderValue::from_static("Ada"));
    let client = within(client.over(pipe(&server))).await.unwrap();
    let known = r#"Some(User("Ada"))"#;
    for _ in 0..2 {
        assert_eq!(within(client.call::<_, String>("Who.Am", ())).await.unwrap(), known);
    }
    let answer = answer_to(pipe(&server), "GET /who HTTP/1.0\r\nX-Name: Ada\r\n\r\n").await;
    assert!(answer.ends_with(&format!("\r\n\r\n{known}")), "{answer}");
    assert_eq!(answer_to(pipe(&server), "GET /raw HTTP/1.0\r\nX-Name: Ada\r\n\r\n").await, known);
}

#[tokio::test]
async fn without_a_hook_nothing_is_known_and_everybody_gets_in() {
    let (client, server) = join(everything()).await;
    assert_eq!(within(client.call::<_, String>("Who.Am", ())).await.unwrap(), "None");
    assert_eq!(answer_to(pipe(&server), "GET /raw HTTP/1.0\r\n\r\n").await, "None");
}

#[tokio::test]
async fn whom_the_hook_refuses_gets_its_answer_whatever_is_asked_for() {
    let server = everything().authorize(named).build().unwrap();
    let refused = "HTTP/1.0 401 Unauthorized\r\nContent-Length: 13\r\nConnection: close\r\n\
         Content-Type: text/plain; charset=utf-8\r\nWww-Authenticate: Bearer\r\n\r\nwho are you?\n";
    for asked in ["CONNECT /_rpc_", "GET /who", "CONNECT /raw", "GET /debug/rpc", "POST /debug/rpc"] {
        let answer = answer_to(pipe(&server), format!("{asked} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        assert_eq!(answer, refused, "{asked}");
    }
    let page = "GET /debug/rpc HTTP/1.0\r\nX-Name: Ada\r\n\r\n";
    let near = pipe_from(&server, "127.0.0.1:1".parse::<SocketAddr>().unwrap());
    assert_eq!(status_line(&answer_to(near, page).await), "HTTP/1.0 200 OK");
}

#[tokio::test]
async fn its_refusal_is_the_connect_error_of_a_client() {
    let builder = arith().authorize(async |request: Request| {
        match request.head.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes) {
            None => Err(Refusal::unauthorized("who are you?")),
            Some(b"Bearer good") => Ok(()),
            Some(_) => Err(Refusal::forbidden("not you")),
        }
    });
    let (address, _server) = listen(builder).await;
    let with = |value: &'static str| {
        let client = Client::builder().header(AUTHORIZATION, HeaderValue::from_static(value));
        client.connect(address.to_string())
    };
    let refusal = |error: ConnectError| match error {
        ConnectError::Refused { source, .. } => source,
        other => panic!("{other:?}"),
    };
    let unknown = refusal(within(Client::connect(address.to_string())).await.unwrap_err());
    assert_eq!((unknown.status(), unknown.message()), (StatusCode::UNAUTHORIZED, "who are you?"));
    assert_eq!(unknown.headers()[WWW_AUTHENTICATE], "Bearer");
    let known = refusal(within(with("Bearer bad")).await.unwrap_err());
    assert_eq!((known.status(), known.message()), (StatusCode::FORBIDDEN, "not you"));
    within(with("Bearer good")).await.unwrap();
}

#[tokio::test]
async fn the_hook_is_not_asked_about_what_is_refused_anyway() {
    let gate = Gate::new();
    let server = everything().authorize(gate.hook()).build().unwrap();
    for (head, status) in [
        ("GET /elsewhere HTTP/1.0\r\n", 405),
        ("POST /_rpc_ HTTP/1.0\r\n", 405),
        ("CONNECT /elsewhere HTTP/1.0\r\n", 404),
        ("CONNECT example.com:443 HTTP/1.0\r\n", 404),
        ("CONNECT http://example.com/who HTTP/1.0\r\n", 404),
        ("CONNECT /_rpc_ HTTP/1.0\r\nContent-Length: 1\r\n", 400),
        ("CONNECT /_rpc_ HTTP/1.0\r\nRpc-Max-Frame: 1\r\n", 400),
        ("GET /who HTTP/1.1\r\nHost: a\r\nHost: b\r\n", 400),
        ("CONNECT /_rpc_ HTTP/1.0\r\nOrigin: https://a\r\n", 403),
        ("CONNECT /_rpc_ HTTP/1.0\r\nRpc-Format: cbor\r\n", 415),
        ("CONNECT /_rpc_ HTTP/1.0\r\nRpc-Version: 2\r\n", 505),
        ("GET /who HTTP/2.0\r\n", 505),
    ] {
        let answer = answer_to(pipe(&server), format!("{head}\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.0 {status} ")), "{head}: {answer}");
    }
    assert_eq!(gate.ran(), 0);
    gate.open(1);
    answer_to(pipe(&server), "GET /who HTTP/1.0\r\n\r\n").await;
    assert_eq!(gate.ran(), 1);
}

/// Whoever connects writes it, so it tells nothing about them.
#[tokio::test]
async fn the_host_header_is_no_identity() {
    let hook = async |request: Request| Ok(User(format!("{:?}", request.peer)));
    let server = everything().authorize(hook).build().unwrap();
    let from: SocketAddr = "192.0.2.1:4711".parse().unwrap();
    let known = format!("{:?}", Some(User(format!("{:?}", Peer::from(from)))));
    for host in ["", "Host: \r\n", "Host: localhost\r\n", "Host: 127.0.0.1\r\n", "Host: a b\r\n"] {
        let asked = format!("GET /raw HTTP/1.1\r\n{host}X-Forwarded-For: 127.0.0.1\r\n\r\n");
        assert_eq!(answer_to(pipe_from(&server, from), asked).await, known, "{host}");
    }
    for host in ["", "Host: localhost\r\n", "Host: example.com:1234\r\n"] {
        let mut raw = Raw::enter(pipe_from(&server, from), host).await;
        raw.send(&Frame::request(1, "Who.Am", &())).await;
        assert_eq!(decoded::<String>(&raw.frame().await.body), known);
    }
}

#[tokio::test]
async fn of_several_hooks_all_must_agree_and_each_sees_what_those_before_found_out() {
    let after = async |request: Request| match request.head.extensions.get::<User>() {
        Some(User(name)) if name == "Eve" => Err(Refusal::forbidden("not you")),
        _ => Ok(7_u8),
    };
    let server = everything().authorize(named).authorize(after).build().unwrap();
    for (headers, status) in [("X-Name: Ada\r\n", "200"), ("X-Name: Eve\r\n", "403"), ("", "401")] {
        let answer = answer_to(pipe(&server), format!("GET /who HTTP/1.0\r\n{headers}\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.0 {status} ")), "{answer}");
    }
}
