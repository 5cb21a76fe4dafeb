//! What becomes of calls when their connection is lost and another one follows.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::time::Duration;

use futures_util::future::join_all;
use rpc_client::{Client, Error};
use rpc_core::{Context, Executed, Status, service};
use rpc_server::Server;
use tests::{Frame, Gate, Lines, Raw, arith, eventually, within};

const MS: Duration = Duration::from_millis(1);

fn gated(gate: &Gate) -> Server {
    gate.register(arith()).build().unwrap()
}

fn client(lines: &Lines) -> Client {
    Client::builder().seed(1).lazy_with(lines.clone(), "lines:1")
}

async fn multiply(client: &Client) -> Result<i64, Error> {
    within(client.call("Arith.Multiply", &tests::Args { a: 7, b: 8 })).await
}

#[tokio::test(start_paused = true)]
async fn a_client_comes_back_when_its_connection_was_lost() {
    let (lines, server) = (Lines::default(), arith().build().unwrap());
    let (client, mut line) = (client(&lines), lines.serve(&server));
    for _ in 0..5 {
        assert_eq!(multiply(&client).await.unwrap(), 56);
        tokio::time::sleep(1000 * MS).await;
        let next = lines.serve(&server);
        std::mem::replace(&mut line, next).abort();
        eventually("the connection is cut", || server.connections() < 2).await;
    }
    assert!(!client.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_may_have_run_fails_and_is_not_made_again() {
    let (lines, gate) = (Lines::default(), Gate::new());
    let server = gated(&gate);
    let (line, _next) = (lines.serve(&server), lines.serve(&server));
    let client = client(&lines);
    let call = client.start::<i64>("Gate.Pass", 3);
    let call = tokio::spawn(call);
    gate.entered().await;
    line.abort();
    let error = within(call).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::ConnectionLost { executed: Executed::Maybe, .. }), "{error:?}");
    assert_eq!(multiply(&client).await.unwrap(), 56);
    assert_eq!(gate.ran(), 1);
}

#[service]
trait Lamp {
    #[rpc(idempotent)]
    async fn pass(&self, cx: &Context, number: i64) -> Result<i64, Status>;
}

#[tokio::test(start_paused = true)]
async fn a_call_of_an_idempotent_method_is_made_again() {
    let (lines, gate) = (Lines::default(), Gate::new());
    let service = rpc_core::Service::new("Lamp").with(gate.method("Pass"));
    let server = Server::builder().register(service).build().unwrap();
    let (line, _next) = (lines.serve(&server), lines.serve(&server));
    let lamp = LampClient::new(client(&lines));
    let call = tokio::spawn(lamp.pass(3).into_future());
    gate.entered().await;
    line.abort();
    gate.entered().await;
    gate.open(1);
    assert_eq!(within(call).await.unwrap().unwrap(), 3);
    assert_eq!(gate.ran(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_idempotent_call_is_sent_five_times_at_the_most_and_may_have_run() {
    let (lines, gate) = (Lines::default(), Gate::new());
    let server = gated(&gate);
    let client = client(&lines);
    let mut line = lines.serve(&server);
    let call = client.call::<_, i64>("Gate.Pass", 3).idempotent().into_future();
    let call = tokio::spawn(call);
    for _ in 0..5 {
        gate.entered().await;
        // One that lasts, so that the next is dialled at once.
        tokio::time::sleep(1000 * MS).await;
        let next = lines.serve(&server);
        std::mem::replace(&mut line, next).abort();
    }
    let error = within(call).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::ConnectionLost { executed: Executed::Maybe, .. }), "{error:?}");
    assert_eq!(gate.ran(), 5);
}

#[tokio::test(start_paused = true)]
async fn an_idempotent_call_that_finds_no_connection_any_more_may_have_run() {
    let (lines, gate) = (Lines::default(), Gate::new());
    let line = lines.serve(&gated(&gate));
    let client = client(&lines);
    let call = tokio::spawn(client.call::<_, i64>("Gate.Pass", 3).idempotent().into_future());
    gate.entered().await;
    line.abort();
    let error = within(call).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::ConnectionLost { executed: Executed::Maybe, .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn calls_above_a_go_away_move_at_once_and_those_below_it_finish_where_they_are() {
    let lines = Lines::default();
    let (old, new) = (lines.lay(), lines.lay());
    let client = client(&lines);
    let calls = (1..=4).map(|at| client.call::<_, i64>("Any.Name", at).into_future());
    let calls = tokio::spawn(join_all(calls));
    let mut old = Raw::admit(old, "").await;
    let mut requests = Vec::new();
    for _ in 0..4 {
        requests.push(old.frame().await);
    }
    old.send(&Frame::new(Frame::GO_AWAY, requests[1].id, [0])).await;
    let mut new = Raw::admit(new, "").await;
    for number in [3_i64, 4] {
        let moved = new.frame().await;
        assert_eq!(moved.kind, Frame::REQUEST);
        new.send(&Frame::response(moved.id, &number)).await;
    }
    for (request, number) in requests.iter().zip([1_i64, 2]) {
        old.send(&Frame::response(request.id, &number)).await;
    }
    let numbers: Vec<i64> = within(calls).await.unwrap().into_iter().map(Result::unwrap).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert_eq!(old.next().await, None, "nothing is left to do there");
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_for_room_move_to_the_next_connection() {
    let lines = Lines::default();
    let (old, new) = (lines.lay(), lines.lay());
    let client = client(&lines);
    let calls = (0..3).map(|at| client.call::<_, i64>("Any.Name", at).into_future());
    let calls = tokio::spawn(join_all(calls));
    let mut old = Raw::admit(old, "Rpc-Max-Calls: 1\r\n").await;
    old.frame().await;
    drop(old);
    let mut new = Raw::admit(new, "").await;
    for _ in 0..2 {
        let request = new.frame().await;
        new.send(&Frame::response(request.id, &7_i64)).await;
    }
    let outcomes: Vec<_> = within(calls).await.unwrap();
    let executed: Vec<_> = outcomes.iter().map(|one| one.as_ref().map_err(Error::executed)).collect();
    assert!(matches!(executed[..], [Err(Executed::Maybe), Ok(7), Ok(7)]), "{outcomes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_started_call_that_has_not_run_moves_with_its_arguments() {
    let lines = Lines::default();
    let (old, new) = (lines.lay(), lines.lay());
    let client = client(&lines);
    let connected = tokio::spawn(async move {
        client.ping().await.unwrap();
        client
    });
    let mut old = Raw::admit(old, "").await;
    let ping = old.frame().await;
    old.send(&Frame::new(Frame::PONG, ping.id, [])).await;
    let client = within(connected).await.unwrap();
    let call = client.start::<i64>("Any.Name", 5_i64);
    old.frame().await;
    old.send(&Frame::new(Frame::GO_AWAY, 0, [0])).await;
    let call = tokio::spawn(call);
    let mut new = Raw::admit(new, "").await;
    let request = new.frame().await;
    assert!(request.body.ends_with(&tests::encoded(&5_i64)), "{request:?}");
    new.send(&Frame::response(request.id, &6_i64)).await;
    assert_eq!(within(call).await.unwrap().unwrap(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_was_told_not_to_reconnect_does_not() {
    let (lines, server) = (Lines::default(), arith().build().unwrap());
    let (line, _next) = (lines.serve(&server), lines.serve(&server));
    let client = Client::builder().reconnect(false).connect_with(lines.clone(), "lines:1").await.unwrap();
    assert_eq!(multiply(&client).await.unwrap(), 56);
    line.abort();
    eventually("the client is closed", || client.is_closed()).await;
    let error = multiply(&client).await.unwrap_err();
    assert!(matches!(error, Error::ConnectionLost { executed: Executed::No, .. }), "{error:?}");
    assert_eq!(lines.dials().len(), 1);
}

#[test]
fn a_client_survives_the_runtime_that_it_was_made_in() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = arith().build().unwrap();
    let (address, listening) = {
        let served = runtime();
        let listener = served.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let serve = server.serve(listener);
        (address, std::thread::spawn(move || served.block_on(within_half_a_minute(serve.into_future()))))
    };
    let client = runtime().block_on(Client::connect(address)).unwrap();
    assert_eq!(runtime().block_on(multiply(&client)).unwrap(), 56);
    runtime().block_on(server.shutdown(Duration::ZERO));
    listening.join().unwrap().unwrap();
}

async fn within_half_a_minute<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.unwrap()
}
