//! Which answers count when more have come than the client takes at once.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::time::Duration;

use futures_util::future::join_all;
use rpc_client::{Client, Error, Lost};
use rpc_core::{Executed, ProtocolError};
use tests::{Frame, Raw, raw_server, within};

const SECOND: Duration = Duration::from_secs(1);

/// More calls than the client takes answers at once.
const CALLS: usize = 200;

/// More than one read takes.
const ROOM: usize = 1 << 20;

/// With that, the answers to all of them take three reads.
const LARGE: usize = 1000;

async fn assert_all_count_though_the_next_write_fails(size: usize) {
    let (client, mut raw) = raw_server(ROOM, "").await;
    let calls: Vec<_> = (0..CALLS).map(|_| client.start::<Vec<u8>>("Any.Name", ())).collect();
    let mut answers = Vec::new();
    for at in 0..CALLS {
        answers.extend(Frame::response(raw.frame().await.id, &vec![at as u8; size]).to_bytes());
    }
    raw.say(&answers).await;
    drop(raw);
    let mut calls = calls.into_iter();
    let first = calls.next().unwrap();
    // It wakes with the first answers, and makes a call that cannot be written any more.
    let late = tokio::spawn(async move {
        assert_eq!(first.await.unwrap(), vec![0; size]);
        client.call::<_, i64>("Any.Name", 7).await
    });
    for (call, at) in calls.zip(1u8..) {
        assert_eq!(within(call).await.unwrap(), vec![at; size]);
    }
    assert_eq!(within(late).await.unwrap().unwrap_err().executed(), Executed::No);
}

#[tokio::test]
async fn answers_that_were_read_count_though_the_next_write_fails() {
    assert_all_count_though_the_next_write_fails(1).await;
}

#[tokio::test]
async fn answers_that_have_come_count_though_the_next_write_fails() {
    assert_all_count_though_the_next_write_fails(LARGE).await;
}

#[tokio::test]
async fn answers_behind_a_breach_do_not_count_wherever_it_stands() {
    const LAST_GOOD: usize = 40;
    let (client, mut raw) = raw_server(ROOM, "").await;
    // Few enough that 32 answers are taken at once.
    let calls: Vec<_> = (0..60).map(|at| client.start::<i64>("Any.Name", at)).collect();
    let mut answers = Vec::new();
    for at in 0..60 {
        if at == LAST_GOOD {
            answers.extend(Frame::response(999 << 16, &0i64).to_bytes());
        }
        answers.extend(Frame::response(raw.frame().await.id, &1i64).to_bytes());
    }
    raw.say(&answers).await;
    let mut answers = within(join_all(calls)).await;
    for error in answers.split_off(LAST_GOOD).into_iter().map(Result::unwrap_err) {
        let breach = matches!(
            error,
            Error::ConnectionLost { source: Lost::Protocol(ProtocolError::UnknownCall { .. }), .. }
        );
        assert!(breach, "{error:?}");
    }
    assert!(answers.into_iter().all(|answer| answer.unwrap() == 1));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_came_in_time_is_in_time_however_long_other_callers_take() {
    for size in [1, LARGE] {
        let (client, mut raw) = raw_server(ROOM, "").await;
        let calls: Vec<_> = (0..CALLS)
            .map(|at| {
                let call = client.call::<_, Vec<u8>>("Any.Name", ()).timeout(SECOND);
                tokio::spawn(async move {
                    let answer = call.await;
                    if at == 0 {
                        tokio::time::advance(2 * SECOND).await;
                    }
                    answer
                })
            })
            .collect();
        let mut answers = Vec::new();
        for _ in 0..CALLS {
            answers.extend(Frame::response(raw.frame().await.id, &vec![1u8; size]).to_bytes());
        }
        raw.say(&answers).await;
        for answer in join_all(calls).await {
            assert_eq!(answer.unwrap().unwrap().len(), size);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_pings_is_alive_however_long_callers_take() {
    let (near, far) = tokio::io::duplex(ROOM);
    let admitted = tokio::spawn(Raw::admit(far, ""));
    let builder = Client::builder().ping_interval(SECOND).ping_timeout(SECOND);
    let client = within(builder.over(near)).await.unwrap();
    let mut raw = within(admitted).await.unwrap();
    let calls: Vec<_> = (0..CALLS)
        .map(|at| {
            let call = client.call::<_, i64>("Any.Name", ());
            tokio::spawn(async move {
                let answer = call.await;
                if at % 50 == 0 {
                    tokio::time::advance(2 * SECOND).await;
                }
                answer
            })
        })
        .collect();
    let mut answers = Vec::new();
    for _ in 0..CALLS {
        answers.extend(Frame::response(raw.frame().await.id, &1i64).to_bytes());
    }
    raw.say(&answers).await;
    let server = tokio::spawn(async move {
        loop {
            let frame = raw.frame().await;
            match frame.kind {
                Frame::PING => raw.send(&Frame::new(Frame::PONG, frame.id, [])).await,
                _ => return raw.send(&Frame::response(frame.id, &2i64)).await,
            }
        }
    });
    for answer in join_all(calls).await {
        assert_eq!(answer.unwrap().unwrap(), 1);
    }
    assert_eq!(within(client.call::<_, i64>("Any.Name", ())).await.unwrap(), 2);
    within(server).await.unwrap();
}
