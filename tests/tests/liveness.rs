//! Clients that say nothing: whether they are there, and what becomes of their calls when not.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::time::Duration;

use rpc_core::{Context, Status};
use rpc_server::{Builder, ConnectionError, Server};
use tests::{Frame, Gate, Raw, arith, eventually, listen, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

type Served = JoinHandle<Result<(), ConnectionError>>;

/// A client that was let in.
async fn enter(builder: Builder) -> (Raw<DuplexStream>, Server, Served) {
    let server = builder.build().unwrap();
    let (near, far) = tokio::io::duplex(1024);
    let serving = server.clone();
    let served = tokio::spawn(async move { serving.serve_connection(far).await });
    (Raw::enter(near, "").await, server, served)
}

/// One that has a call in flight.
async fn enter_and_call(gate: &Gate, builder: Builder) -> (Raw<DuplexStream>, Server, Served) {
    let (mut raw, server, served) = enter(gate.register(builder)).await;
    raw.send(&Frame::request(1, "Gate.Pass", &1i64)).await;
    gate.entered().await;
    (raw, server, served)
}

/// Nothing comes for so long, and then a Ping.
async fn assert_pinged_after(raw: &mut Raw<DuplexStream>, time: Duration) -> Frame {
    let early = tokio::time::timeout(time - SECOND / 100, raw.0.read_u8()).await;
    assert!(early.is_err(), "{early:?}");
    let begun = Instant::now();
    let ping = raw.frame().await;
    assert_eq!(ping.kind, Frame::PING, "{ping:?}");
    assert!(begun.elapsed() < SECOND / 50, "{:?} too late", begun.elapsed());
    ping
}

/// Two Pings come after a second each: the first may find out that nobody is there, the second tells.
async fn assert_pinged_twice(raw: &mut Raw<DuplexStream>) {
    assert_pinged_after(raw, SECOND).await;
    assert_pinged_after(raw, SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_asked_after_30_s_and_given_up_after_40() {
    let gate = Gate::new();
    let (mut raw, server, served) = enter_and_call(&gate, arith()).await;
    assert_pinged_after(&mut raw, 30 * SECOND).await;
    sleep(SECOND * 99 / 10).await;
    assert_eq!((server.connections(), served.is_finished()), (1, false));
    let error = within(served).await.unwrap().unwrap_err();
    assert!(matches!(error, ConnectionError::Unresponsive { after } if after == 10 * SECOND), "{error:?}");
    gate.dropped().await;
    assert_eq!(server.connections(), 0);
    assert_eq!(raw.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_answers_is_kept() {
    let gate = Gate::new();
    let (mut raw, _server, _served) = enter_and_call(&gate, arith()).await;
    for _ in 0..100 {
        let ping = assert_pinged_after(&mut raw, 30 * SECOND).await;
        sleep(9 * SECOND).await;
        raw.send(&Frame::new(Frame::PONG, ping.id, [])).await;
    }
    gate.open(1);
    assert_eq!(raw.frame().await.kind, Frame::RESPONSE);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_a_byte_now_and_then_is_kept_and_while_it_does_not_asked() {
    let gate = Gate::new();
    let (mut raw, _server, _served) = enter_and_call(&gate, arith().frame_timeout(Duration::MAX)).await;
    for byte in Frame::new(0x80, 0, []).to_bytes() {
        assert_pinged_after(&mut raw, 30 * SECOND).await;
        sleep(9 * SECOND).await;
        raw.say(&[byte]).await;
    }
    for byte in Frame::new(0x80, 0, []).to_bytes() {
        sleep(29 * SECOND).await;
        raw.say(&[byte]).await;
    }
    gate.open(1);
    assert_eq!(raw.frame().await.kind, Frame::RESPONSE, "no Ping before it");
}

#[tokio::test(start_paused = true)]
async fn how_often_and_how_long_can_be_set() {
    let builder = arith().ping_interval(5 * SECOND).ping_timeout(2 * SECOND);
    let (mut raw, _server, served) = enter(builder).await;
    let begun = Instant::now();
    assert_pinged_after(&mut raw, 5 * SECOND).await;
    let error = within(served).await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the client did not answer a Ping within 2s");
    assert_eq!(begun.elapsed().as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_closed_its_side_is_pinged_until_a_write_fails() {
    let gate = Gate::new();
    let (mut raw, server, served) = enter_and_call(&gate, arith()).await;
    raw.0.shutdown().await.unwrap();
    assert_pinged_twice(&mut raw).await;
    for _ in 0..100 {
        assert_pinged_after(&mut raw, 30 * SECOND).await;
    }
    assert_eq!(server.connections(), 1);
    drop(raw);
    sleep(30 * SECOND).await;
    assert!(matches!(within(served).await.unwrap(), Err(ConnectionError::Io(_))));
    gate.dropped().await;
}

#[tokio::test]
async fn the_handlers_of_a_client_that_died_are_dropped_long_before_the_next_interval() {
    let gate = Gate::new();
    let (address, server) = listen(gate.register(arith()).ping_interval(600 * SECOND)).await;
    let mut raw = Raw::enter(Raw::dial(address).await.0, "").await;
    raw.send(&Frame::request(1, "Gate.Pass", &1i64)).await;
    gate.entered().await;
    // Its end looks like that of one who has sent all that it will.
    drop(raw);
    gate.dropped().await;
    eventually("its descriptor is free", || server.connections() == 0).await;
}

/// Otherwise Pings that nobody takes would pile up.
#[tokio::test(start_paused = true)]
async fn a_client_that_has_closed_its_side_and_takes_nothing_is_not_pinged_on_top() {
    let reply = |_: Context, (): ()| async { Ok::<_, Status>(vec![7u8; 4096]) };
    let builder = arith().write_timeout(Duration::MAX).register_fn("Some.Reply", reply);
    let (mut raw, _server, served) = enter(builder).await;
    raw.send(&Frame::request(1, "Some.Reply", &())).await;
    raw.0.shutdown().await.unwrap();
    sleep(3600 * SECOND).await;
    assert_eq!(raw.frame().await.kind, Frame::RESPONSE);
    assert_eq!(raw.next().await, None);
    within(served).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_and_says_nothing_is_given_up_though_it_may_take_for_ever() {
    let reply = |_: Context, (): ()| async { Ok::<_, Status>(vec![7u8; 4096]) };
    let builder = arith().write_timeout(Duration::MAX).register_fn("Some.Reply", reply);
    let (mut raw, _server, served) = enter(builder).await;
    raw.send(&Frame::request(1, "Some.Reply", &())).await;
    sleep(39 * SECOND).await;
    assert!(!served.is_finished());
    let error = within(served).await.unwrap().unwrap_err();
    assert!(matches!(error, ConnectionError::Unresponsive { .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn without_an_interval_a_silent_client_is_not_asked() {
    let gate = Gate::new();
    let (mut raw, _server, _served) = enter_and_call(&gate, arith().ping_interval(None)).await;
    sleep(30 * 24 * 3600 * SECOND).await;
    gate.open(1);
    assert_eq!(raw.frame().await.kind, Frame::RESPONSE);
}

#[tokio::test(start_paused = true)]
async fn without_an_interval_a_client_that_has_closed_its_side_is_pinged_all_the_same() {
    let gate = Gate::new();
    let (mut raw, _server, served) = enter_and_call(&gate, arith().ping_interval(None)).await;
    sleep(100 * SECOND).await;
    raw.0.shutdown().await.unwrap();
    assert_pinged_twice(&mut raw).await;
    for _ in 0..3 {
        assert_pinged_after(&mut raw, 30 * SECOND).await;
    }
    drop(raw);
    sleep(30 * SECOND).await;
    assert!(matches!(within(served).await.unwrap(), Err(ConnectionError::Io(_))));
    gate.dropped().await;
}
