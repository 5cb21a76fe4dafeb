//! A hook that does not decide who may enter: late, broken down, or overtaken by the end.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::future::pending;
use std::time::Duration;

use rpc_core::Peer;
use rpc_core::handshake::Refusal;
use rpc_server::{Builder, Request};
use tests::{Gate, answer_to, arith, eventually, pipe, serve, within};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

/// RPC at `/_rpc_`, answers at `/who` and `/raw`.
fn everything() -> Builder {
    arith().route("/who", async |_: Request| "somebody").route("/raw", async |_: Request| "something")
}

fn status_line(answer: &str) -> &str {
    answer.lines().next().unwrap_or_default()
}

/// The time for the head is for both.
#[tokio::test(start_paused = true)]
async fn a_hook_that_does_not_decide_in_time_is_a_503() {
    let hook = async |request: Request| match request.path() {
        "/who" => pending::<Result<(), Refusal>>().await,
        _ => {
            tokio::time::sleep(Duration::from_secs(6)).await;
            Ok(())
        }
    };
    let server = everything().authorize(hook).head_timeout(Duration::from_secs(9)).build().unwrap();
    for (path, late, status, after) in [("who", 4, 503, 9), ("raw", 2, 200, 8), ("raw", 4, 503, 9)] {
        let began = Instant::now();
        let mut io = pipe(&server);
        io.write_all(b"GET").await.unwrap();
        tokio::time::sleep(Duration::from_secs(late)).await;
        let answer = answer_to(io, format!(" /{path} HTTP/1.0\r\n\r\n")).await;
        assert_eq!(began.elapsed().as_secs(), after);
        assert!(answer.starts_with(&format!("HTTP/1.0 {status} ")), "{answer}");
        let told = answer.ends_with("\r\n\r\nwho may enter was not decided in time\n");
        assert_eq!(told, status == 503, "{answer}");
    }
}

#[tokio::test]
async fn a_hook_that_panics_is_a_500_for_its_connection_alone() {
    let hook = |request: Request| {
        assert_ne!(request.path(), "/raw", "a test's own");
        async move {
            assert_ne!(request.path(), "/_rpc_", "a test's own");
            Ok(())
        }
    };
    let server = everything().authorize(hook).build().unwrap();
    for asked in ["CONNECT /_rpc_", "GET /raw"] {
        let answer = answer_to(pipe(&server), format!("{asked} HTTP/1.0\r\n\r\n")).await;
        assert_eq!(status_line(&answer), "HTTP/1.0 500 Internal Server Error");
        assert!(answer.ends_with("\r\n\r\nwhat decides who may enter panicked\n"), "{answer}");
    }
    let answer = answer_to(pipe(&server), "GET /who HTTP/1.0\r\n\r\n").await;
    assert_eq!(status_line(&answer), "HTTP/1.0 200 OK");
    eventually("all are gone", || server.connections() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_is_not_let_in_yet_when_the_server_shuts_down_gets_503_at_once() {
    let gate = Gate::new();
    let server = everything().authorize(gate.hook()).build().unwrap();
    let (mut near, served) = serve(&server, Peer::unknown());
    near.write_all(b"CONNECT /_rpc_ HTTP/1.0\r\n\r\n").await.unwrap();
    gate.entered().await;
    let began = Instant::now();
    let ending = tokio::spawn(async move { server.shutdown(Duration::from_secs(60)).await });
    let answer = answer_to(near, "").await;
    assert_eq!(status_line(&answer), "HTTP/1.0 503 Service Unavailable");
    assert!(answer.ends_with("\r\n\r\nthe server is shutting down\n"), "{answer}");
    gate.dropped().await;
    within(served).await.unwrap().unwrap_err();
    assert_eq!(within(ending).await.unwrap().cancelled, 0);
    assert!(began.elapsed() < Duration::from_secs(2));
}
