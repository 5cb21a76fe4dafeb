//! How streams end when either side has had enough: handlers are dropped, and their places are free.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::future::IntoFuture;
use std::time::Duration;

use futures_util::{StreamExt, poll, stream};
use rpc_client::{Client, Error};
use rpc_core::{Answer, Code, Context, Executed, SendError, Sender, Service, Status, Streaming};
use rpc_server::Server;
use tests::{Args, Gate, arith, eventually, join, within};
use tokio::sync::mpsc;

/// Streams that stop at a gate behind their items.
fn held(gate: &Gate) -> Service {
    let (opens, items, sums, echoes) = (gate.clone(), gate.clone(), gate.clone(), gate.clone());
    Service::new("Held")
        .server_stream("Open", move |_: Context, count: i64| {
            let gate = opens.clone();
            async move { gate.pass(count).await.map(|count| stream::iter(0..count).map(Ok::<_, Status>)) }
        })
        .server_stream("Items", move |_: Context, count: i64| {
            let last = stream::once(items.clone().pass(count));
            async move { Ok::<_, Status>(stream::iter(0..count).map(Ok::<_, Status>).chain(last)) }
        })
        .client_stream("Sum", move |_: Context, (): (), mut numbers: Streaming<i64>| {
            let gate = sums.clone();
            async move {
                let first = numbers.try_next().await?.unwrap_or_default();
                gate.pass(first).await
            }
        })
        .bidi_stream("Echo", move |_: Context, (): (), numbers: Streaming<i64>| {
            let last = stream::once(echoes.clone().pass(-1));
            async move { Ok::<_, Status>(numbers.chain(last)) }
        })
}

/// A server with room for one stream.
async fn narrow() -> (Gate, Client, Server) {
    let gate = Gate::new();
    let (client, server) = join(arith().register(held(&gate)).max_streams_per_connection(1)).await;
    (gate, client, server)
}

type Items = Streaming<i64, Error>;

async fn items(client: &Client, count: i64) -> Result<Items, Error> {
    within(client.call_server_stream("Held.Items", count)).await
}

async fn sum(client: &Client) -> (Sender<i64>, Answer<i64, Error>) {
    within(client.call_client_stream("Held.Sum", ())).await.unwrap()
}

async fn echo(client: &Client) -> (Sender<i64>, Items) {
    within(client.call_bidi_stream("Held.Echo", ())).await.unwrap()
}

async fn next(items: &mut Items) -> i64 {
    within(items.next()).await.unwrap().unwrap()
}

/// Waits until the one stream is over on both sides, its handler too.
async fn assert_given_up((gate, client, server): &(Gate, Client, Server)) {
    gate.dropped().await;
    let in_flight = || server.stats().iter().map(|method| method.in_flight).sum::<u64>();
    eventually("the server has no call", || in_flight() == 0).await;
    for _ in 0..10_000 {
        match items(client, 0).await {
            Ok(mut free) => {
                gate.entered().await;
                gate.open(1);
                assert_eq!(next(&mut free).await, 0);
                assert!(within(free.next()).await.is_none());
                return;
            }
            // Its terminal frame is on its way.
            Err(Error::Limit { .. }) => tokio::time::sleep(Duration::from_millis(1)).await,
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("its place is never free");
}

#[tokio::test]
async fn a_call_that_is_dropped_before_its_answer_begins_is_given_up() {
    let all = narrow().await;
    let mut opening = all.1.call_server_stream::<_, i64>("Held.Open", 3).into_future();
    assert!(poll!(&mut opening).is_pending());
    all.0.entered().await;
    drop(opening);
    assert_given_up(&all).await;
}

#[tokio::test]
async fn items_that_are_dropped_before_or_after_the_first_give_the_call_up() {
    for taken in [0, 1, 3] {
        let all = narrow().await;
        let mut items = items(&all.1, 3).await.unwrap();
        all.0.entered().await;
        for at in 0..taken {
            assert_eq!(next(&mut items).await, at);
        }
        drop(items);
        assert_given_up(&all).await;
    }
}

#[tokio::test]
async fn a_sender_that_is_dropped_unfinished_gives_the_call_up() {
    let all = narrow().await;
    let (mut numbers, answer) = sum(&all.1).await;
    within(numbers.send(1)).await.unwrap();
    all.0.entered().await;
    drop(numbers);
    let error = within(answer).await.unwrap_err();
    assert!(matches!(error, Error::GivenUp { .. }) && error.executed() == Executed::Maybe, "{error:?}");
    assert_given_up(&all).await;
}

#[tokio::test]
async fn an_answer_that_is_dropped_gives_the_call_up_and_its_sender_is_told() {
    for finished in [false, true] {
        let all = narrow().await;
        let (mut numbers, answer) = sum(&all.1).await;
        within(numbers.send(1)).await.unwrap();
        all.0.entered().await;
        match finished {
            true => numbers.finish(),
            false => {
                drop(answer);
                assert!(matches!(within(numbers.send(2)).await, Err(SendError::Closed)));
                assert_given_up(&all).await;
                continue;
            }
        }
        drop(answer);
        assert_given_up(&all).await;
    }
}

#[tokio::test]
async fn either_half_of_a_call_with_two_streams_gives_it_up() {
    for first in [false, true] {
        let all = narrow().await;
        let (mut numbers, mut echoes) = echo(&all.1).await;
        within(numbers.send(7)).await.unwrap();
        assert_eq!(next(&mut echoes).await, 7);
        if first {
            drop(numbers);
            assert!(matches!(within(echoes.next()).await, Some(Err(Error::GivenUp { .. }))));
            assert!(within(echoes.next()).await.is_none());
        } else {
            drop(echoes);
            assert!(matches!(within(numbers.send(8)).await, Err(SendError::Closed)));
        }
        let in_flight = || all.2.stats().iter().map(|method| method.in_flight).sum::<u64>();
        eventually("its handler is gone", || in_flight() == 0).await;
        assert_eq!(all.0.ran(), 0, "it never came to the end of its items");
    }
}

#[tokio::test]
async fn a_server_goes_on_sending_after_the_clients_end() {
    let (gate, client, _server) = narrow().await;
    let (mut numbers, mut echoes) = echo(&client).await;
    within(numbers.send(7)).await.unwrap();
    numbers.finish();
    gate.entered().await;
    assert_eq!(next(&mut echoes).await, 7);
    gate.open(1);
    assert_eq!(next(&mut echoes).await, -1);
    assert!(within(echoes.next()).await.is_none());
}

#[tokio::test]
async fn an_answer_ends_a_call_whose_client_still_sends() {
    let (gate, client, _server) = narrow().await;
    gate.open(1);
    let (mut numbers, answer) = sum(&client).await;
    let mut sent = 0;
    while within(numbers.send(5)).await.is_ok() {
        sent += 1;
        assert!(sent < 10_000, "beyond any window");
        tokio::task::yield_now().await;
    }
    assert_eq!(within(answer).await.unwrap(), 5);
    let product: i64 = within(client.call("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap();
    assert_eq!(product, 56, "what came late has harmed nobody");
}

#[tokio::test]
async fn a_handler_that_drops_its_items_still_answers() {
    let service =
        Service::new("Deaf").bidi_stream("Say", |_: Context, (): (), numbers: Streaming<i64>| async {
            drop(numbers);
            Ok::<_, Status>(stream::iter(0..3).map(Ok::<i64, Status>))
        });
    let (client, _server) = join(arith().register(service)).await;
    let call = client.call_bidi_stream::<_, i64, i64>("Deaf.Say", ());
    let (mut numbers, mut said) = within(call).await.unwrap();
    let _ = within(numbers.send(7)).await;
    for at in 0..3 {
        assert_eq!(next(&mut said).await, at);
    }
    assert!(within(said.next()).await.is_none());
    assert!(matches!(within(numbers.send(7)).await, Err(SendError::Closed)));
}

#[tokio::test]
async fn items_that_outlive_their_call_in_a_task_of_their_own_end_with_an_error() {
    let (told, mut ends) = mpsc::unbounded_channel();
    let service =
        Service::new("Away").client_stream("Take", move |_: Context, (): (), mut numbers: Streaming<i64>| {
            let told = told.clone();
            async move {
                tokio::spawn(async move {
                    let mut last = numbers.next().await;
                    while let Some(Ok(_)) = last {
                        last = numbers.next().await;
                    }
                    told.send(last)
                });
                Ok::<_, Status>(1)
            }
        });
    let (client, _server) = join(arith().register(service)).await;
    let call = client.call_client_stream::<_, i64, i32>("Away.Take", ());
    let (_numbers, answer) = within(call).await.unwrap();
    assert_eq!(within(answer).await.unwrap(), 1);
    let error = within(ends.recv()).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.code(), Code::Cancelled);
}
