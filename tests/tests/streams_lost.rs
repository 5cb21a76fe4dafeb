//! What becomes of streams when their server, client or connection goes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::future::IntoFuture;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use rpc_client::{Client, Error, Lost};
use rpc_core::{Code, Context, Executed, SendError, Service, Status, Streaming};
use rpc_server::Server;
use tests::{Args, END, Frame, Gate, Lines, MORE, Raw, arith, encoded, join, within};
use tokio::sync::mpsc;

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// Items that stop at a gate before the last, and a sum that tells of its end.
fn service(gate: &Gate) -> (Service, mpsc::UnboundedReceiver<Status>) {
    let ((tell, told), gate) = (mpsc::unbounded_channel(), gate.clone());
    let service = Service::new("Held")
        .server_stream("Items", move |_: Context, count: i64| {
            let last = stream::once(gate.clone().pass(count));
            async move { Ok::<_, Status>(stream::iter(0..count).map(Ok::<_, Status>).chain(last)) }
        })
        .client_stream("Sum", move |_: Context, (): (), mut numbers: Streaming<i64>| {
            let tell = tell.clone();
            let sum = tokio::spawn(async move {
                let mut sum = 0;
                while let Some(number) = numbers.next().await {
                    sum += number.inspect_err(|error| drop(tell.send(error.clone())))?;
                }
                Ok::<_, Status>(sum)
            });
            async move { sum.await.map_err(|error| Status::internal(error.to_string()))? }
        });
    (service, told)
}

fn server(gate: &Gate) -> Server {
    arith().register(service(gate).0).build().unwrap()
}

type Items = Streaming<i64, Error>;

async fn items(client: &Client, count: i64) -> Items {
    let mut items = within(client.call_server_stream("Held.Items", count)).await.unwrap();
    for at in 0..count {
        assert_eq!(next(&mut items).await.unwrap(), at);
    }
    items
}

async fn next(items: &mut Items) -> Result<i64, Error> {
    within(items.next()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_within_the_grace_of_a_shutdown_is_complete() {
    let gate = Gate::new();
    let (client, server) = join(arith().register(service(&gate).0)).await;
    let mut items = items(&client, 3).await;
    let report = tokio::spawn(async move { server.shutdown(MINUTE).await });
    tokio::time::sleep(SECOND).await;
    gate.open(1);
    assert_eq!(next(&mut items).await.unwrap(), 3);
    assert!(within(items.next()).await.is_none());
    let report = within(report).await.unwrap();
    assert_eq!((report.connections, report.finished, report.cancelled), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_outlasts_the_grace_of_a_shutdown_is_told_after_its_items() {
    let gate = Gate::new();
    let (client, server) = join(arith().register(service(&gate).0)).await;
    let mut unread: Items = within(client.call_server_stream("Held.Items", 3i64)).await.unwrap();
    gate.entered().await;
    let (mut numbers, sum) = within(client.call_client_stream::<_, i64, i64>("Held.Sum", ())).await.unwrap();
    within(numbers.send(1)).await.unwrap();
    client.ping().await.unwrap();
    let report = within(server.shutdown(SECOND)).await;
    assert_eq!((report.connections, report.finished, report.cancelled), (1, 0, 2));
    for at in 0..3 {
        assert_eq!(next(&mut unread).await.unwrap(), at);
    }
    let status = |error: &Error| error.status().map(|status| (status.code(), status.executed()));
    let told = Some((Code::Unavailable, Executed::Yes));
    assert_eq!(status(&next(&mut unread).await.unwrap_err()), told);
    assert_eq!(status(&within(sum).await.unwrap_err()), told);
    assert!(matches!(within(numbers.send(1)).await, Err(SendError::Closed)));
    gate.dropped().await;
}

#[tokio::test]
async fn no_stream_is_opened_on_a_connection_that_ends_and_those_that_are_go_on() {
    let gate = Gate::new();
    let (client, server) = join(arith().register(service(&gate).0)).await;
    let mut open = items(&client, 1).await;
    let report = tokio::spawn(async move { server.shutdown(MINUTE).await });
    let error = loop {
        match within(client.call_server_stream::<_, i64>("Held.Items", 0i64)).await {
            // The goodbye has not come yet.
            Ok(items) => drop(items),
            Err(error) => break error,
        }
        tokio::task::yield_now().await;
    };
    assert!(matches!(error, Error::ConnectionLost { executed: Executed::No, .. }), "{error:?}");
    gate.open(1000);
    assert_eq!(next(&mut open).await.unwrap(), 1);
    within(report).await.unwrap();
}

#[tokio::test]
async fn items_that_came_are_delivered_before_the_loss_of_their_connection() {
    let (lines, gate) = (Lines::default(), Gate::new());
    let (service, mut told) = service(&gate);
    let server = arith().register(service).build().unwrap();
    let line = lines.serve(&server);
    let client = Client::builder().reconnect(false).lazy_with(lines.clone(), "lines:1");
    let mut items: Items = within(client.call_server_stream("Held.Items", 3i64)).await.unwrap();
    gate.entered().await;
    let (mut numbers, sum) = within(client.call_client_stream::<_, i64, i64>("Held.Sum", ())).await.unwrap();
    within(numbers.send(1)).await.unwrap();
    within(client.ping()).await.unwrap();
    line.abort();
    for at in 0..3 {
        assert_eq!(next(&mut items).await.unwrap(), at);
    }
    for error in [next(&mut items).await.unwrap_err(), within(sum).await.unwrap_err()] {
        assert!(matches!(error, Error::ConnectionLost { executed: Executed::Maybe, .. }), "{error:?}");
    }
    assert!(matches!(within(numbers.send(1)).await, Err(SendError::Closed)));
    gate.dropped().await;
    assert_eq!(within(told.recv()).await.unwrap().code(), Code::Cancelled);
}

#[tokio::test]
async fn a_client_that_closes_gives_its_streams_up() {
    let gate = Gate::new();
    let (client, _server) = join(arith().register(service(&gate).0)).await;
    let mut items = items(&client, 3).await;
    gate.entered().await;
    within(client.close()).await.unwrap();
    let error = next(&mut items).await.unwrap_err();
    assert!(matches!(error, Error::Shutdown { executed: Executed::Maybe, .. }), "{error:?}");
    gate.dropped().await;
}

#[tokio::test]
async fn a_stream_keeps_its_connection_when_its_client_is_dropped() {
    let gate = Gate::new();
    let (client, server) = join(arith().register(service(&gate).0)).await;
    let mut items = items(&client, 3).await;
    drop(client);
    gate.open(1);
    assert_eq!(next(&mut items).await.unwrap(), 3);
    assert!(within(items.next()).await.is_none());
    drop(items);
    tests::eventually("nothing holds the connection", || server.connections() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_not_begun_moves_to_the_next_connection() {
    let (lines, gate) = (Lines::default(), Gate::new());
    let (far, _next) = (lines.lay(), lines.serve(&server(&gate)));
    let client = Client::builder().seed(1).lazy_with(lines.clone(), "lines:1");
    let call = tokio::spawn(client.call_server_stream::<_, i64>("Held.Items", 2i64).into_future());
    let mut raw = within(Raw::admit(far, "")).await;
    let request = raw.frame().await;
    assert_eq!((request.kind, request.flags & MORE, raw.frame().await.kind), (Frame::REQUEST, MORE, END));
    raw.send(&Frame::new(Frame::GO_AWAY, 0, [0])).await;
    let mut items = within(call).await.unwrap().unwrap();
    assert_eq!(next(&mut items).await.unwrap(), 0);
    assert_eq!(lines.dials().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_begun_is_not_made_again() {
    for answered in [false, true] {
        let (lines, gate) = (Lines::default(), Gate::new());
        let (far, _next) = (lines.lay(), lines.serve(&server(&gate)));
        let client = Client::builder().seed(1).lazy_with(lines.clone(), "lines:1");
        // Once it has begun to answer, not even if it might.
        let call = client.call_server_stream::<_, i64>("Held.Items", 2i64);
        let call = if answered { call.idempotent() } else { call };
        let call = tokio::spawn(call.into_future());
        let mut raw = within(Raw::admit(far, "")).await;
        let request = raw.frame().await;
        raw.frame().await;
        if answered {
            raw.send(&Frame { flags: MORE, ..Frame::new(Frame::RESPONSE, request.id, []) }).await;
            raw.send(&Frame::item(request.id, &encoded(&7i64))).await;
        }
        drop(raw);
        let error = match within(call).await.unwrap() {
            Err(error) => error,
            Ok(mut items) => {
                assert_eq!(next(&mut items).await.unwrap(), 7);
                next(&mut items).await.unwrap_err()
            }
        };
        let lost = matches!(&error, Error::ConnectionLost { source: Lost::Eof | Lost::Io(_), .. });
        assert!(lost && error.executed() == Executed::Maybe, "{error:?}");
        let product: i64 = within(client.call("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap();
        assert_eq!((product, gate.ran()), (56, 0), "the client has come back, and the stream has not");
    }
}

#[tokio::test(start_paused = true)]
async fn an_idempotent_stream_whose_answer_had_not_begun_is_made_again() {
    let (lines, gate) = (Lines::default(), Gate::new());
    let (far, _next) = (lines.lay(), lines.serve(&server(&gate)));
    let client = Client::builder().seed(1).lazy_with(lines.clone(), "lines:1");
    let call = client.call_server_stream::<_, i64>("Held.Items", 2i64).idempotent();
    let call = tokio::spawn(call.into_future());
    let mut raw = within(Raw::admit(far, "")).await;
    raw.frame().await;
    drop(raw);
    let mut items = within(call).await.unwrap().unwrap();
    assert_eq!(next(&mut items).await.unwrap(), 0);
}
