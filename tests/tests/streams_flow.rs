//! Whoever does not take items stops whoever sends them, and nobody else.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use rpc_client::{Client, Error};
use rpc_core::{Context, Service, Status, Streaming};
use rpc_server::Builder;
use tests::{Args, END, Frame, Gate, MORE, Raw, arith, encoded, join, listen, pipe, within};
use tokio::time::timeout;

const SECOND: Duration = Duration::from_secs(1);
const WINDOW: usize = 512 * 1024;

/// `Flow.Items`: so many items of so many bytes, and how many were made. `Flow.Echo` sends back what comes.
/// `Flow.Count` counts items, once a gate lets it.
fn flow(gate: &Gate) -> (Builder, Arc<AtomicUsize>) {
    let (made, gate) = (Arc::new(AtomicUsize::new(0)), gate.clone());
    let counted = made.clone();
    let service = Service::new("Flow")
        .server_stream("Items", move |_: Context, (count, size): (usize, usize)| {
            let made = counted.clone();
            async move {
                Ok::<_, Status>(stream::iter(0..count).map(move |at| {
                    made.fetch_add(1, Ordering::Relaxed);
                    Ok::<_, Status>(Bytes::from(vec![at as u8; size]))
                }))
            }
        })
        .bidi_stream(
            "Echo",
            |_: Context, (): (), items: Streaming<Bytes>| async move { Ok::<_, Status>(items) },
        )
        .client_stream("Count", move |_: Context, (): (), mut items: Streaming<Bytes>| {
            let gate = gate.clone();
            async move {
                let mut count = gate.pass(0).await?;
                while items.try_next().await?.is_some() {
                    count += 1;
                }
                Ok::<_, Status>(count)
            }
        });
    (arith().register(service), made)
}

type Items = Streaming<Bytes, Error>;

async fn items(client: &Client, count: usize, size: usize) -> Items {
    within(client.call_server_stream("Flow.Items", (count, size))).await.unwrap()
}

async fn assert_complete(mut items: Items, count: usize, size: usize) {
    for at in 0..count {
        let item = within(items.next()).await.unwrap().unwrap();
        assert!(item.len() == size && item.iter().all(|byte| *byte == at as u8), "item {at}");
    }
    assert!(within(items.next()).await.is_none());
}

async fn assert_answers(client: &Client) {
    let product: i64 = within(client.call("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap();
    assert_eq!(product, 56);
}

#[tokio::test]
async fn a_consumer_that_stops_stalls_only_itself() {
    let (address, _server) = listen(flow(&Gate::new()).0).await;
    let client = within(Client::connect(address.to_string())).await.unwrap();
    let stalled = items(&client, 100, 10_000).await;
    let others = join_all((0..19).map(|_| items(&client, 100, 10_000))).await;
    let all = others.into_iter().map(|items| assert_complete(items, 100, 10_000));
    let calls = async {
        for _ in 0..100 {
            assert_answers(&client).await;
        }
    };
    tokio::join!(join_all(all), calls);
    assert_complete(stalled, 100, 10_000).await;
}

#[tokio::test]
async fn streams_that_all_stalled_with_items_over_their_window_go_on_when_they_are_read() {
    let (client, _server) = join(flow(&Gate::new()).0).await;
    let (count, size) = (3, 1 << 20);
    let all = join_all((0..10).map(|_| items(&client, count, size))).await;
    let mut echoes = Vec::new();
    for _ in 0..10 {
        let call = client.call_bidi_stream::<_, Bytes, Bytes>("Flow.Echo", ());
        let (mut sender, echo) = within(call).await.unwrap();
        echoes.push(echo);
        tokio::spawn(async move {
            for at in 0..count {
                within(sender.send(vec![at as u8; size].into())).await.unwrap();
            }
            sender.finish();
        });
    }
    assert_answers(&client).await;
    for items in all.into_iter().chain(echoes).rev() {
        assert_complete(items, count, size).await;
        assert_answers(&client).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_asked_for_no_more_items_than_the_caller_has_room_for() {
    // What is left of the window after so many items is above 0, and lets one more begin.
    for (window, size) in [(WINDOW, 1000), (64 * 1024, 100), (WINDOW, 30_000), (WINDOW, 1_000_000)] {
        let (builder, made) = flow(&Gate::new());
        let server = builder.build().unwrap();
        let client = Client::builder().stream_window(window as u32).over(pipe(&server));
        let client = within(client).await.unwrap();
        let mut unread = items(&client, 100_000, size).await;
        tokio::time::sleep(SECOND).await;
        let encoded = encoded(&Bytes::from(vec![7; size])).len();
        let most = window.div_ceil(encoded + 32);
        assert_eq!(made.load(Ordering::Relaxed), most, "items of {size} bytes");
        within(unread.next()).await.unwrap().unwrap();
        tokio::time::sleep(SECOND).await;
        let batch = made.load(Ordering::Relaxed);
        // One is taken, and all that came with it count as taken only one by one.
        assert!(batch <= most + most / 2 + 1, "{batch} after {most} for items of {size} bytes");
        assert_answers(&client).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_sender_waits_for_a_handler_that_does_not_read_and_what_it_did_not_send_is_not_sent() {
    let gate = Gate::new();
    let (client, _server) = join(flow(&gate).0).await;
    let call = client.call_client_stream::<_, Bytes, i64>("Flow.Count", ());
    let (mut items, count) = within(call).await.unwrap();
    let item = Bytes::from(vec![7; 1000]);
    let most = WINDOW.div_ceil(encoded(&item).len() + 32);
    for at in 0..most {
        timeout(SECOND, items.send(item.clone()))
            .await
            .unwrap_or_else(|_| panic!("item {at} waits"))
            .unwrap();
    }
    for _ in 0..10 {
        timeout(SECOND, items.send(item.clone())).await.unwrap_err();
    }
    assert_answers(&client).await;
    gate.open(1);
    within(items.send(item)).await.unwrap();
    items.finish();
    assert_eq!(within(count).await.unwrap(), most as i64 + 1);
}

#[tokio::test]
async fn a_stream_of_small_items_does_not_wait_for_one_of_large_ones() {
    let server = flow(&Gate::new()).0.build().unwrap();
    let mut raw = Raw::enter(pipe(&server), "Rpc-Window: 100000000\r\n").await;
    for (counter, args) in [(1, (10usize, 4_000_000usize)), (2, (100, 100))] {
        let mut request = Frame::request(counter, "Flow.Items", &args);
        request.flags |= MORE;
        raw.send(&request).await;
        raw.send(&Frame::new(END, request.id, [])).await;
    }
    let mut large = 0;
    let small = loop {
        let frame = raw.frame().await;
        match (frame.id >> 16, frame.kind) {
            (1, Frame::DATA) => large += frame.body.len(),
            (2, END) => break large,
            _ => assert!([Frame::RESPONSE, Frame::DATA].contains(&frame.kind), "{}", frame.kind),
        }
    };
    assert!(small < 4_000_000, "{small} bytes of the large items went before the last small one");
}

#[tokio::test]
async fn items_stay_in_order_and_whole_beside_others_of_every_size() {
    let (client, _server) = join(flow(&Gate::new()).0).await;
    let sizes = [0, 1, 100, 16_383, 16_384, 65_526, 65_527, 65_536, 1 << 20];
    let streams = sizes.into_iter().map(|size| {
        let client = client.clone();
        async move { assert_complete(items(&client, 20, size).await, 20, size).await }
    });
    let calls = async {
        for _ in 0..20 {
            assert_answers(&client).await;
        }
    };
    tokio::join!(join_all(streams), calls);
}
