//! What an error says of having run, and the limits that make calls fail.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use bytes::Bytes;
use futures_util::future::join_all;
use rpc_client::{Client, Error, Lost};
use rpc_core::client::OpenError;
use rpc_core::{Code, Context, Executed, Status};
use tests::{Args, Frame, Gate, arith, decoded, encoded, eventually, join, pipe, raw_server, within};
use tokio::io::AsyncReadExt;

async fn assert_serves(client: &Client) {
    let product: i64 = within(client.call("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap();
    assert_eq!(product, 56);
}

#[tokio::test]
async fn what_the_server_refused_has_not_run_and_what_a_handler_refused_has() {
    let (client, _server) = join(arith()).await;
    let unknown = within(client.call::<_, i64>("No.Such", ())).await.unwrap_err();
    assert_eq!((unknown.status().unwrap().code(), unknown.executed()), (Code::Unimplemented, Executed::No));
    let undecodable = within(client.call::<_, i64>("Arith.Multiply", ())).await.unwrap_err();
    assert_eq!(undecodable.executed(), Executed::No);
    let handled = within(client.call::<_, ()>("Arith.Divide", Args { a: 1, b: 0 })).await.unwrap_err();
    assert_eq!(handled.executed(), Executed::Yes);
}

#[tokio::test]
async fn a_handler_cannot_claim_not_to_have_run() {
    let lie = |_: Context, (): ()| async { Err::<(), _>(Status::aborted("no").with_executed(Executed::No)) };
    let (client, _server) = join(arith().register_fn("A.Lie", lie)).await;
    let error = within(client.call::<_, ()>("A.Lie", ())).await.unwrap_err();
    assert_eq!(error.executed(), Executed::Yes);
}

#[tokio::test]
async fn a_call_whose_connection_is_lost_may_have_run_only_if_it_was_sent_whole() {
    let (client, mut raw) = raw_server(1024, "").await;
    let whole = client.start::<i64>("Any.Name", 1);
    assert!(raw.frame().await.body.ends_with(&encoded(&1)));
    let cut = client.start::<i64>("Any.Name", vec![0u8; 100_000]);
    let behind = client.start::<i64>("Any.Name", 2);
    // Some of the second request has left when this has come.
    within(raw.0.read_exact(&mut [0; 2000])).await.unwrap();
    drop(raw);
    for (call, executed) in [(whole, Executed::Maybe), (cut, Executed::No), (behind, Executed::No)] {
        let error = within(call).await.unwrap_err();
        assert!(matches!(error, Error::ConnectionLost { .. }), "{error:?}");
        assert_eq!(error.executed(), executed);
    }
    let later = within(client.call::<_, i64>("Any.Name", 3)).await.unwrap_err();
    assert_eq!(later.executed(), Executed::No);
}

#[tokio::test]
async fn calls_above_a_go_away_have_not_run_and_those_up_to_it_go_on() {
    let (client, mut raw) = raw_server(4096, "").await;
    let calls: Vec<_> = (0..3).map(|at| client.start::<i64>("Any.Name", at)).collect();
    let first = raw.frame().await;
    let mut go_away = vec![0];
    go_away.extend(b"maintenance");
    raw.send(&Frame::new(Frame::GO_AWAY, first.id, go_away)).await;
    raw.send(&Frame::response(first.id, &9i64)).await;
    let mut calls = within(join_all(calls)).await.into_iter();
    assert_eq!(calls.next().unwrap().unwrap(), 9);
    for error in calls.map(Result::unwrap_err) {
        assert_eq!(error.executed(), Executed::No, "{error:?}");
    }
    let later = within(client.call::<_, i64>("Any.Name", 3)).await.unwrap_err();
    assert!(matches!(later, Error::ConnectionLost { source: Lost::GoingAway(_), .. }), "{later:?}");
    assert_eq!(later.executed(), Executed::No);
    while raw.next().await.is_some() {}
}

#[tokio::test]
async fn an_answer_over_the_callers_limit_fails_its_call_which_has_run() {
    let large = |_: Context, size: usize| async move { Ok::<_, Status>(Bytes::from(vec![0; size])) };
    let server = arith().register_fn("Make.Bytes", large).build().unwrap();
    let client = within(Client::builder().max_frame(65_536).over(pipe(&server))).await.unwrap();
    let error = within(client.call::<_, Bytes>("Make.Bytes", 65_536usize)).await.unwrap_err();
    assert_eq!(error.status().unwrap().code(), Code::ResourceExhausted);
    assert_eq!(error.executed(), Executed::Yes);
    assert_eq!(within(client.call::<_, Bytes>("Make.Bytes", 65_000usize)).await.unwrap().len(), 65_000);
}

#[tokio::test]
async fn a_request_over_the_servers_limit_fails_here_and_the_connection_survives() {
    let (client, _server) = join(arith().max_frame(65_536)).await;
    let error =
        within(client.call::<_, i64>("Arith.Multiply", Bytes::from(vec![0; 65_536]))).await.unwrap_err();
    assert!(matches!(error, Error::Limit { source: OpenError::TooLarge { .. }, .. }), "{error:?}");
    assert_eq!(error.executed(), Executed::No);
    let name = "x".repeat(300);
    let error = within(client.call::<_, i64>(name, ())).await.unwrap_err();
    assert!(matches!(error, Error::Limit { source: OpenError::NameTooLong, .. }), "{error:?}");
    assert_serves(&client).await;
}

#[tokio::test]
async fn calls_larger_than_all_buffers_together_get_through_to_a_slow_server() {
    let (client, mut raw) = raw_server(1024, "Rpc-Max-Calls: 65536\r\n").await;
    let calls: Vec<_> = (0..8u8)
        .map(|at| {
            let client = client.clone();
            tokio::spawn(async move { client.call::<_, i64>("Any.Name", vec![at; 1 << 20]).await })
        })
        .collect();
    for _ in 0..8 {
        let request = raw.frame().await;
        let body: Vec<u8> = decoded(&request.body[request.body.len() - (1 << 20) - 5..]);
        raw.send(&Frame::response(request.id, &i64::from(body[0]))).await;
    }
    for (at, call) in (0..).zip(calls) {
        assert_eq!(within(call).await.unwrap().unwrap(), at);
    }
}

#[tokio::test]
async fn a_server_that_breaks_the_protocol_ends_the_connection_and_is_named() {
    let (client, mut raw) = raw_server(1024, "").await;
    let call = client.start::<i64>("Any.Name", 1);
    raw.frame().await;
    raw.send(&Frame::response(77 << 16, &5i64)).await;
    let error = within(call).await.unwrap_err();
    assert!(matches!(error, Error::ConnectionLost { source: Lost::Protocol(_), .. }), "{error:?}");
    assert_eq!(error.executed(), Executed::Maybe);
}

#[tokio::test]
async fn a_connection_that_is_killed_ends_its_calls_as_maybe_run() {
    let gate = Gate::new();
    let server = gate.register(arith()).build().unwrap();
    let (near, far) = tokio::io::duplex(1024);
    let serving = server.clone();
    let served = tokio::spawn(async move { serving.serve_connection(far).await });
    let client = within(Client::new(near)).await.unwrap();
    let call = client.start::<i64>("Gate.Pass", 1);
    gate.entered().await;
    served.abort();
    let error = within(call).await.unwrap_err();
    assert_eq!(error.executed(), Executed::Maybe, "{error:?}");
    gate.dropped().await;
    eventually("the lost call is counted", || {
        server.stats().iter().any(|stats| (stats.errors, stats.in_flight) == (1, 0))
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_breach_ends_the_calls_at_once_though_the_server_does_not_read_what_it_did_wrong() {
    let (client, mut raw) = raw_server(512, "").await;
    let begun = tokio::time::Instant::now();
    let args = vec![7_u8; 10_000];
    let half_sent = client.call::<_, i64>("Any.Name", &args).into_future();
    let breach = async { raw.send(&Frame::response(99 << 16, &1_i64)).await };
    let (ended, ()) = tokio::join!(half_sent, breach);
    let error = ended.unwrap_err();
    assert!(matches!(error, Error::ConnectionLost { executed: Executed::No, .. }), "{error:?}");
    assert_eq!(begun.elapsed(), std::time::Duration::ZERO);
}
