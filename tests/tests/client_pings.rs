//! Whether the server is there: what a client finds out by asking.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::time::Duration;

use rpc_client::{Client, Error, Lost};
use rpc_core::Executed;
use tests::{Frame, Raw, arith, join, listen, within};
use tokio::io::{AsyncReadExt, DuplexStream};
use tokio::time::{Instant, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

async fn asking(builder: rpc_client::Builder) -> (Client, Raw<DuplexStream>) {
    let (near, far) = tokio::io::duplex(4096);
    let admitted = tokio::spawn(Raw::admit(far, ""));
    (builder.over(near).await.unwrap(), admitted.await.unwrap())
}

/// The next frame, however long it takes.
async fn frame(raw: &mut Raw<DuplexStream>) -> Frame {
    for _ in 0..100 {
        if let Ok(frame) = timeout(SECOND * 10, raw.frame()).await {
            return frame;
        }
    }
    panic!("no frame")
}

#[tokio::test(start_paused = true)]
async fn calls_to_a_silent_server_end_40_seconds_after_its_last_word_and_may_have_run() {
    let (client, mut raw) = asking(Client::builder()).await;
    let begun = Instant::now();
    let call = tokio::spawn(client.call::<_, i64>("Any.Name", 1).into_future());
    assert_eq!(raw.frame().await.kind, Frame::REQUEST);
    let error = call.await.unwrap().unwrap_err();
    assert!(
        matches!(error, Error::ConnectionLost { executed: Executed::Maybe, source: Lost::Unresponsive, .. }),
        "{error:?}"
    );
    assert_eq!(begun.elapsed().as_secs(), 40);
    assert_eq!(raw.frame().await.kind, Frame::PING);
    assert_eq!(raw.next().await, None, "the stream is closed");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_is_asked_every_30_seconds_and_kept() {
    let (client, mut raw) = asking(Client::builder()).await;
    let call = tokio::spawn(client.call::<_, i64>("Any.Name", 1).into_future());
    let request = raw.frame().await;
    for _ in 0..20 {
        let before = Instant::now();
        let ping = frame(&mut raw).await;
        assert_eq!((ping.kind, before.elapsed().as_secs()), (Frame::PING, 30));
        raw.send(&Frame::new(Frame::PONG, ping.id, [])).await;
    }
    raw.send(&Frame::response(request.id, &5_i64)).await;
    assert_eq!(call.await.unwrap().unwrap(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_anything_is_not_asked() {
    let (client, mut raw) = asking(Client::builder()).await;
    for _ in 0..20 {
        sleep(SECOND * 29).await;
        raw.send(&Frame::new(Frame::PONG, 12345, [])).await;
    }
    let call = client.start::<i64>("Any.Name", 1);
    assert_eq!(raw.frame().await.kind, Frame::REQUEST, "and no Ping before it");
    drop(call);
}

#[tokio::test(start_paused = true)]
async fn interval_and_timeout_can_be_set_and_asking_switched_off() {
    let (client, _raw) = asking(Client::builder().ping_interval(SECOND).ping_timeout(SECOND / 2)).await;
    let begun = Instant::now();
    client.call::<_, i64>("Any.Name", 1).await.unwrap_err();
    assert_eq!(begun.elapsed().as_millis(), 1500);

    let (client, mut raw) = asking(Client::builder().ping_interval(None)).await;
    let call = tokio::spawn(client.call::<_, i64>("Any.Name", 1).into_future());
    let request = raw.frame().await;
    sleep(SECOND * 100_000).await;
    raw.send(&Frame::response(request.id, &5_i64)).await;
    assert_eq!(call.await.unwrap().unwrap(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_ping_gives_the_time_to_the_server_and_back() {
    let (client, mut raw) = asking(Client::builder()).await;
    let ping = tokio::spawn(async move { client.ping().await });
    let asked = raw.frame().await;
    sleep(SECOND / 4).await;
    raw.send(&Frame::new(Frame::PONG, asked.id, [])).await;
    assert_eq!(ping.await.unwrap().unwrap().as_millis(), 250);
}

#[tokio::test(start_paused = true)]
async fn a_pong_answers_all_pings_before_it() {
    let (client, mut raw) = asking(Client::builder()).await;
    let pings: Vec<_> = (0..3).map(|_| client.clone()).collect();
    let pings: Vec<_> = pings.into_iter().map(|one| tokio::spawn(async move { one.ping().await })).collect();
    let mut last = 0;
    for _ in 0..3 {
        last = raw.frame().await.id;
    }
    raw.send(&Frame::new(Frame::PONG, last, [])).await;
    for ping in pings {
        within(ping).await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_ping_ends_with_its_connection() {
    let (client, mut raw) = asking(Client::builder()).await;
    let ping = tokio::spawn(async move { client.ping().await });
    raw.frame().await;
    drop(raw);
    let error = within(ping).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::ConnectionLost { source: Lost::Eof, .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn pings_without_pause_are_held_back_to_what_a_server_bears() {
    let (client, _server) = join(arith()).await;
    let begun = Instant::now();
    for _ in 0..1000 {
        within(client.ping()).await.unwrap();
    }
    assert!(begun.elapsed() > SECOND * 10, "{:?}", begun.elapsed());
    assert!(!client.is_closed());
}

#[tokio::test]
async fn a_real_server_answers() {
    let (address, _server) = listen(arith()).await;
    let client = Client::lazy(address);
    assert!(within(client.ping()).await.unwrap() < SECOND * 20);
    within(client.close()).await.unwrap();
    let error = within(client.ping()).await.unwrap_err();
    assert!(matches!(error, Error::Shutdown { .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_slowly_what_stands_before_the_ping_is_not_given_up() {
    let (client, mut raw) = asking(Client::builder()).await;
    let call =
        |bytes: usize| tokio::spawn(client.call::<_, i64>("Any.Name", vec![0_u8; bytes]).into_future());
    // The first has filled the stream when the second is made, and that one waits before the Ping.
    let first = call(6000);
    sleep(SECOND).await;
    let second = call(100_000);
    sleep(SECOND * 30).await;
    for _ in 0..25 {
        raw.0.read_exact(&mut [0; 4096]).await.unwrap();
        sleep(SECOND * 9).await;
    }
    assert!(!first.is_finished() && !second.is_finished(), "{:?}", first.await);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_is_kept_however_often_it_is_to_be_asked() {
    for interval in [Duration::ZERO, SECOND / 50] {
        let server = arith().build().unwrap();
        let client = Client::builder().ping_interval(interval).over(tests::pipe(&server)).await.unwrap();
        sleep(SECOND * 100).await;
        assert!(!client.is_closed(), "{interval:?}");
    }
}
