//! gRPC's interoperability cases for streams, by their names
//! (<https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md>), with its sizes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use rpc_client::{Client, Error};
use rpc_core::{Code, Context, Executed, Sender, Service, Status, Streaming};
use serde::{Deserialize, Serialize};
use tests::{Gate, arith, eventually, join, listen, within};
use tokio::time::Instant;

const REQUESTS: [usize; 4] = [27_182, 8, 1828, 45_904];
const RESPONSES: [usize; 4] = [31_415, 9, 2653, 58_979];
const SPECIAL: &str = "\t\ntest with whitespace\r\nand Unicode BMP \u{263a} and non-BMP \u{1f608}\t\n";

/// What is sent, and what is to be answered.
#[derive(Serialize, Deserialize)]
struct Ask {
    payload: Bytes,
    sizes: Vec<usize>,
    /// The message of a Status after that.
    fail: Option<String>,
}

fn ask(at: usize) -> Ask {
    Ask { payload: vec![1; REQUESTS[at]].into(), sizes: vec![RESPONSES[at]], fail: None }
}

fn failing(message: &str) -> Ask {
    Ask { payload: Bytes::new(), sizes: vec![RESPONSES[1]], fail: Some(message.into()) }
}

type Answer = Result<Bytes, Status>;

fn answer(ask: Result<Ask, Status>) -> impl Stream<Item = Answer> {
    let (sizes, failure) = match ask {
        Ok(ask) => (ask.sizes, ask.fail.map(Status::unknown)),
        Err(status) => (Vec::new(), Some(status)),
    };
    let items = sizes.into_iter().map(|size| Ok(Bytes::from(vec![0; size])));
    stream::iter(items.chain(failure.map(Err)))
}

/// Sends back what came: at the beginning under one key, at the end under another.
async fn echo(cx: Context, (): (), asks: Streaming<Ask>) -> Result<impl Stream<Item = Answer>, Status> {
    let value = |cx: &Context, key| cx.metadata().text(key).map(ToOwned::to_owned);
    if let Some(initial) = value(&cx, "echo-initial") {
        cx.reply_metadata("echo-initial", initial)?;
    }
    let last = stream::once(async move {
        let trailing = value(&cx, "echo-trailing");
        trailing.map(|trailing| cx.reply_metadata("echo-trailing", trailing)).transpose()?;
        Ok::<_, Status>(None)
    });
    let items = asks.flat_map(answer).map(|item| item.map(Some));
    Ok(items.chain(last).filter_map(|item| async move { item.transpose() }))
}

fn service() -> Service {
    Service::new("Test")
        .client_stream("StreamingInput", |_: Context, (): (), mut items: Streaming<Bytes>| async move {
            let mut sum = 0;
            while let Some(item) = items.try_next().await? {
                sum += item.len();
            }
            Ok::<_, Status>(sum)
        })
        .server_stream(
            "StreamingOutput",
            |_: Context, ask: Ask| async move { Ok::<_, Status>(answer(Ok(ask))) },
        )
        .bidi_stream("FullDuplex", echo)
        .bidi_stream("HalfDuplex", |_: Context, (): (), mut asks: Streaming<Ask>| async move {
            let mut all = Vec::new();
            while let Some(ask) = asks.try_next().await? {
                all.push(Ok(ask));
            }
            Ok::<_, Status>(stream::iter(all).flat_map(answer))
        })
}

async fn client() -> Client {
    let (address, _server) = listen(arith().register(service())).await;
    within(Client::connect(address.to_string())).await.unwrap()
}

async fn duplex(client: &Client, method: &'static str) -> (Sender<Ask>, Streaming<Bytes, Error>) {
    within(client.call_bidi_stream(method, ())).await.unwrap()
}

async fn assert_next(answers: &mut Streaming<Bytes, Error>, size: usize) {
    assert_eq!(within(answers.next()).await.unwrap().unwrap().len(), size);
}

async fn assert_ends(mut answers: Streaming<Bytes, Error>) {
    assert!(within(answers.next()).await.is_none());
}

#[tokio::test]
async fn empty_stream() {
    let (asks, answers) = duplex(&client().await, "Test.FullDuplex").await;
    asks.finish();
    assert_ends(answers).await;
}

#[tokio::test]
async fn client_streaming() {
    let call = client().await.call_client_stream::<_, Bytes, usize>("Test.StreamingInput", ());
    let (mut items, sum) = within(call).await.unwrap();
    for size in REQUESTS {
        within(items.send(vec![0; size].into())).await.unwrap();
    }
    items.finish();
    assert_eq!(within(sum).await.unwrap(), 74_922);
}

#[tokio::test]
async fn server_streaming() {
    let ask = Ask { payload: Bytes::new(), sizes: RESPONSES.into(), fail: None };
    let call = client().await.call_server_stream::<_, Bytes>("Test.StreamingOutput", ask);
    let mut answers = within(call).await.unwrap();
    for size in RESPONSES {
        assert_next(&mut answers, size).await;
    }
    assert_ends(answers).await;
}

#[tokio::test]
async fn ping_pong() {
    let (mut asks, mut answers) = duplex(&client().await, "Test.FullDuplex").await;
    for (at, size) in RESPONSES.into_iter().enumerate() {
        within(asks.send(ask(at))).await.unwrap();
        assert_next(&mut answers, size).await;
    }
    asks.finish();
    assert_ends(answers).await;
}

#[tokio::test]
async fn half_duplex() {
    let (mut asks, mut answers) = duplex(&client().await, "Test.HalfDuplex").await;
    for at in 0..4 {
        within(asks.send(ask(at))).await.unwrap();
    }
    asks.finish();
    for size in RESPONSES {
        assert_next(&mut answers, size).await;
    }
    assert_ends(answers).await;
}

#[tokio::test]
async fn cancel_after_begin() {
    let gate = Gate::new();
    let inside = gate.clone();
    let service =
        Service::new("Test").client_stream("Wait", move |_: Context, (): (), items: Streaming<Bytes>| {
            let gate = inside.clone();
            async move {
                let _items = items;
                gate.pass(1).await
            }
        });
    let (client, server) = join(arith().register(service)).await;
    let call = client.call_client_stream::<_, Bytes, i64>("Test.Wait", ());
    let (items, sum) = within(call).await.unwrap();
    gate.entered().await;
    drop((items, sum));
    gate.dropped().await;
    let in_flight = || server.stats().iter().map(|method| method.in_flight).sum::<u64>();
    eventually("nothing is in flight", || in_flight() == 0).await;
}

#[tokio::test]
async fn cancel_after_first_response() {
    let (mut asks, mut answers) = duplex(&client().await, "Test.FullDuplex").await;
    within(asks.send(ask(0))).await.unwrap();
    assert_next(&mut answers, RESPONSES[0]).await;
    drop(asks);
    let error = within(answers.next()).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::GivenUp { .. }), "{error:?}");
    assert_ends(answers).await;
}

#[tokio::test(start_paused = true)]
async fn timeout_on_sleeping_server() {
    let (client, _server) = join(arith().register(service())).await;
    let begun = Instant::now();
    let call = client.call_bidi_stream::<_, Ask, Bytes>("Test.FullDuplex", ());
    let (mut asks, mut answers) = within(call.timeout(Duration::from_millis(1))).await.unwrap();
    let _ = asks.send(ask(0)).await;
    let mut last = answers.next().await.unwrap();
    while last.is_ok() {
        last = answers.next().await.unwrap();
    }
    let error = last.unwrap_err();
    assert!(matches!(error, Error::DeadlineExceeded { executed: Executed::Maybe, .. }), "{error:?}");
    assert!((1..=2).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
}

async fn assert_status(message: &str) {
    let (mut asks, mut answers) = duplex(&client().await, "Test.FullDuplex").await;
    within(asks.send(failing(message))).await.unwrap();
    assert_next(&mut answers, RESPONSES[1]).await;
    let error = within(answers.next()).await.unwrap().unwrap_err();
    let status = error.status().unwrap();
    assert_eq!((status.code(), status.message()), (Code::Unknown, message));
    assert_ends(answers).await;
}

#[tokio::test]
async fn status_code_and_message() {
    assert_status("test status message").await;
}

#[tokio::test]
async fn special_status_message() {
    assert_status(SPECIAL).await;
}

#[tokio::test]
async fn custom_metadata() {
    let client = client().await;
    let call = client.call_bidi_stream::<_, Ask, Bytes>("Test.FullDuplex", ());
    let call = call.metadata("echo-initial", "test_initial").metadata("echo-trailing", "test_trailing");
    let (mut asks, mut answers) = within(call).await.unwrap();
    within(asks.send(ask(0))).await.unwrap();
    assert_next(&mut answers, RESPONSES[0]).await;
    assert_eq!(answers.metadata().unwrap().text("echo-initial"), Some("test_initial"));
    assert!(answers.trailers().is_empty());
    asks.finish();
    assert!(within(answers.next()).await.is_none());
    assert_eq!(answers.trailers().text("echo-trailing"), Some("test_trailing"));
}

#[tokio::test]
async fn unimplemented_method_and_service() {
    let client = client().await;
    for method in ["Test.UnimplementedCall", "Unimplemented.Call"] {
        let (_asks, mut answers) = duplex(&client, method).await;
        let error = within(answers.next()).await.unwrap().unwrap_err();
        assert_eq!(error.status().unwrap().code(), Code::Unimplemented);
        assert_eq!(error.executed(), Executed::No);
    }
}
