//! Calls with streams from end to end: every shape, both formats, over TCP and over a pipe.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use rpc_client::{Client, Error};
use rpc_core::{Code, Context, Executed, Format, Service, Status, Streaming};
use rpc_server::Server;
use tests::{listen, pipe, within};

/// Every shape, made from functions.
fn shapes() -> Service {
    Service::new("Shapes")
        .server_stream("Count", |cx: Context, (from, to): (u32, u32)| async move {
            if from > to {
                return Err(Status::invalid_argument("from is over to"));
            }
            cx.reply_metadata("first", from.to_string())?;
            let cx = cx.clone();
            Ok(stream::iter(from..to).map(move |number| {
                if number == 13 {
                    return Err(Status::aborted("13 brings bad luck"));
                }
                if number + 1 == to {
                    cx.reply_metadata("last", number.to_string())?;
                }
                Ok::<_, Status>(number)
            }))
        })
        .client_stream("Sum", |cx: Context, start: i64, mut numbers: Streaming<i64>| async move {
            let mut sum = start;
            while let Some(number) = numbers.try_next().await? {
                sum += number;
            }
            cx.reply_metadata("sum", sum.to_string())?;
            Ok::<_, Status>(sum)
        })
        .bidi_stream("Upper", |_: Context, (): (), words: Streaming<String>| async move {
            Ok::<_, Status>(words.map(|word| word.map(|word| word.to_uppercase())))
        })
        .server_stream("Large", |_: Context, sizes: Vec<usize>| async move {
            Ok::<_, Status>(stream::iter(sizes).map(|size| Ok::<_, Status>(Bytes::from(vec![7; size]))))
        })
}

async fn assert_all_shapes(client: &Client) {
    let mut count = within(client.call_server_stream::<_, u32>("Shapes.Count", (3u32, 8u32))).await.unwrap();
    assert_eq!(count.metadata().unwrap().text("first"), Some("3"));
    let mut seen = Vec::new();
    while let Some(number) = within(count.next()).await {
        seen.push(number.unwrap());
    }
    assert_eq!(seen, [3, 4, 5, 6, 7]);
    assert_eq!(count.trailers().text("last"), Some("7"));
    assert!(within(count.next()).await.is_none(), "after the end there is nothing more");

    let (mut numbers, sum) =
        within(client.call_client_stream::<_, i64, i64>("Shapes.Sum", 100i64)).await.unwrap();
    for number in 1..=10 {
        within(numbers.send(number)).await.unwrap();
    }
    numbers.finish();
    let sum = within(sum.with_metadata()).await.unwrap();
    assert_eq!((sum.value, sum.metadata.text("sum")), (155, Some("155")));

    let (mut words, mut upper) =
        within(client.call_bidi_stream::<_, String, String>("Shapes.Upper", ())).await.unwrap();
    for word in ["one", "two", "three"] {
        within(words.send(word.to_owned())).await.unwrap();
        assert_eq!(within(upper.next()).await.unwrap().unwrap(), word.to_uppercase());
    }
    words.finish();
    assert!(within(upper.next()).await.is_none());

    let sizes = vec![0, 1, 16_384, 65_536, 65_537, 1 << 20, 5];
    let large = within(client.call_server_stream::<_, Bytes>("Shapes.Large", &sizes)).await.unwrap();
    let seen: Vec<_> = within(large.map(|bytes| bytes.unwrap().len()).collect()).await;
    assert_eq!(seen, sizes);
}

#[tokio::test]
async fn every_shape_works_in_every_format_over_tcp_and_a_pipe() {
    for format in [Format::Bincode, Format::Json] {
        let (address, server) = listen(Server::builder().register(shapes())).await;
        let client = Client::builder().format(format).connect(address).await.unwrap();
        assert_all_shapes(&client).await;
        let client = Client::builder().format(format).over(pipe(&server)).await;
        assert_all_shapes(&client.unwrap()).await;
    }
}

fn server() -> Server {
    Server::builder().register(shapes()).build().unwrap()
}

async fn client() -> Client {
    Client::new(pipe(&server())).await.unwrap()
}

#[tokio::test]
async fn a_refusal_comes_in_place_of_the_stream() {
    let client = client().await;
    let error = within(client.call_server_stream::<_, u32>("Shapes.Count", (2u32, 1u32))).await.unwrap_err();
    assert_eq!(error.status().map(|status| status.code()), Some(Code::InvalidArgument), "{error}");
}

#[tokio::test]
async fn the_items_before_an_error_arrive_before_it() {
    let client = client().await;
    let count = within(client.call_server_stream::<_, u32>("Shapes.Count", (0u32, 100u32))).await.unwrap();
    let items: Vec<_> = within(count.collect()).await;
    assert_eq!(items.len(), 14);
    assert!(items[..13].iter().enumerate().all(|(at, item)| item.as_ref().ok() == Some(&(at as u32))));
    let Err(Error::Status { status, .. }) = &items[13] else { panic!("{:?}", items[13]) };
    assert_eq!((status.code(), status.executed()), (Code::Aborted, Executed::Yes));
}
