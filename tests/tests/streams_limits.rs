//! What streams may have, and what becomes of those that want more.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use rpc_client::{Client, Error};
use rpc_core::client::OpenError;
use rpc_core::{Code, Context, Executed, SendError, Service, Status, Streaming};
use rpc_server::{Builder, Server};
use tests::{Args, END, Frame, Gate, MORE, Raw, arith, eventually, join, pipe, within};
use tokio::io::DuplexStream;

/// `Limits.Items`: items of these sizes. `Limits.Sum`: of sizes; once a gate lets it if it is asked to wait.
fn service(gate: &Gate) -> Builder {
    let gate = gate.clone();
    let service = Service::new("Limits")
        .server_stream("Items", |_: Context, sizes: Vec<usize>| async move {
            Ok::<_, Status>(stream::iter(sizes).map(|size| Ok::<_, Status>(Bytes::from(vec![7; size]))))
        })
        .client_stream("Sum", move |_: Context, waits: bool, mut items: Streaming<Bytes>| {
            let gate = gate.clone();
            async move {
                if waits {
                    gate.pass(0).await?;
                }
                let mut sum = 0;
                while let Some(item) = items.try_next().await? {
                    sum += item.len();
                }
                Ok::<_, Status>(sum)
            }
        });
    arith().register(service)
}

fn server() -> Server {
    service(&Gate::new()).build().unwrap()
}

async fn assert_answers(client: &Client) {
    let product: i64 = within(client.call("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap();
    assert_eq!(product, 56);
}

async fn sum(client: &Client, waits: bool, sizes: &[usize]) -> Result<usize, Error> {
    let call = client.call_client_stream::<_, Bytes, usize>("Limits.Sum", waits);
    let (mut items, sum) = within(call).await?;
    for size in sizes {
        if within(items.send(vec![7; *size].into())).await.is_err() {
            break;
        }
    }
    items.finish();
    within(sum).await
}

fn exhausted(error: &Error) -> bool {
    error.status().map(Status::code) == Some(Code::ResourceExhausted)
}

#[tokio::test]
async fn an_item_over_the_callers_limit_ends_its_stream_alone() {
    let client = Client::builder().max_frame(100_000).over(pipe(&server()));
    let client = within(client).await.unwrap();
    let beside = client.call_server_stream::<_, Bytes>("Limits.Items", vec![99_000usize; 20]);
    let beside = within(beside).await.unwrap();
    let call = client.call_server_stream::<_, Bytes>("Limits.Items", vec![10usize, 99_000, 100_001, 10]);
    let items: Vec<_> = within(within(call).await.unwrap().collect()).await;
    assert_eq!(items.len(), 3);
    assert_eq!(items[1].as_ref().unwrap().len(), 99_000);
    let error = items[2].as_ref().unwrap_err();
    assert!(exhausted(error) && error.executed() == Executed::Yes, "{error:?}");
    assert_eq!(within(beside.filter(|item| std::future::ready(item.is_ok())).count()).await, 20);
    assert_answers(&client).await;
}

#[tokio::test]
async fn an_item_over_the_servers_limit_is_not_sent_and_its_stream_goes_on() {
    let server = service(&Gate::new()).max_frame(100_000).build().unwrap();
    let client = within(Client::new(pipe(&server))).await.unwrap();
    let call = client.call_client_stream::<_, Bytes, usize>("Limits.Sum", false);
    let (mut items, sum) = within(call).await.unwrap();
    within(items.send(vec![7; 90_000].into())).await.unwrap();
    let error = within(items.send(vec![7; 100_000].into())).await.unwrap_err();
    assert!(matches!(error, SendError::TooLarge { len: 100_005, limit: 100_000 }), "{error:?}");
    within(items.send(vec![7; 5].into())).await.unwrap();
    items.finish();
    assert_eq!(within(sum).await.unwrap(), 90_005);
}

#[tokio::test]
async fn items_fit_through_the_smallest_limits_that_can_be_announced() {
    let server = service(&Gate::new()).max_frame(65_536).stream_window(65_536).build().unwrap();
    let client = Client::builder().max_frame(65_536).stream_window(65_536).over(pipe(&server));
    let client = within(client).await.unwrap();
    // With the three bytes of its length: up to the limit itself.
    let sizes: Vec<usize> = (65_500..=65_533).collect();
    let call = client.call_server_stream::<_, Bytes>("Limits.Items", &sizes);
    let items: Vec<_> = within(within(call).await.unwrap().map(|item| item.unwrap().len()).collect()).await;
    assert_eq!(items, sizes);
    assert_eq!(sum(&client, false, &sizes).await.unwrap(), sizes.iter().sum::<usize>());
}

async fn raw_sum(server: &Server) -> (Raw<DuplexStream>, u64) {
    let mut raw = Raw::enter(pipe(server), "").await;
    let mut request = Frame::request(1, "Limits.Sum", &false);
    request.flags |= MORE;
    raw.send(&request).await;
    (raw, request.id)
}

#[tokio::test]
async fn an_item_over_the_servers_limit_that_is_sent_all_the_same_ends_its_stream_alone() {
    let (mut raw, id) = raw_sum(&service(&Gate::new()).max_frame(100_000).build().unwrap()).await;
    raw.send(&Frame::begin(id, 100_001, &[0; 60_000])).await;
    let (code, executed, text) = raw.frame().await.status();
    assert_eq!((code, executed), (Code::ResourceExhausted.to_wire(), 2), "{text}");
    raw.send(&Frame::new(Frame::DATA, id, vec![0; 40_001])).await;
    raw.send(&Frame::new(END, id, [])).await;
    raw.send(&Frame::request(2, "Arith.Multiply", &Args { a: 7, b: 8 })).await;
    assert_eq!(raw.frame().await.kind, Frame::RESPONSE);
}

#[tokio::test]
async fn an_item_that_does_not_decode_ends_its_stream_alone_as_invalid() {
    let (mut raw, id) = raw_sum(&server()).await;
    raw.send(&Frame::item(id, &[200, 1, 2, 3])).await;
    assert_eq!(raw.frame().await.status().0, Code::InvalidArgument.to_wire());
    let client = within(Client::new(pipe(&server()))).await.unwrap();
    let call = client.call_server_stream::<_, (String, String)>("Limits.Items", vec![5usize; 100]);
    let items: Vec<_> = within(within(call).await.unwrap().collect()).await;
    assert!(matches!(items[..], [Err(Error::Decode { .. })]), "{items:?}");
    assert_answers(&client).await;
}

#[tokio::test]
async fn a_stream_beyond_the_servers_memory_ends_and_the_server_goes_on() {
    let gate = Gate::new();
    let (client, _server) = join(service(&gate).max_memory(200_000)).await;
    let held = tokio::spawn({
        let client = client.clone();
        async move { sum(&client, true, &[100_000]).await }
    });
    gate.entered().await;
    within(client.ping()).await.unwrap();
    let call = client.call_client_stream::<_, Bytes, usize>("Limits.Sum", true);
    let (mut items, sum_of_them) = within(call).await.unwrap();
    for size in [90_000, 90_000] {
        within(items.send(vec![7; size].into())).await.unwrap();
    }
    items.finish();
    gate.entered().await;
    // With each of them 64 KiB go out.
    for _ in 0..5 {
        within(client.ping()).await.unwrap();
    }
    gate.open(2);
    let error = within(sum_of_them).await.unwrap_err();
    assert!(exhausted(&error), "{error:?}");
    assert_answers(&client).await;
    assert_eq!(within(held).await.unwrap().unwrap(), 100_000);
    // All is given back.
    assert_eq!(sum(&client, false, &[190_000; 20]).await.unwrap(), 20 * 190_000);
}

#[tokio::test]
async fn memory_of_streams_is_given_back_with_their_connection() {
    let gate = Gate::new();
    let server = service(&gate).max_memory(200_000).build().unwrap();
    for _ in 0..10 {
        // Its answer waits to go out, and what it sends is never read.
        let mut raw = Raw::enter(pipe(&server), "Rpc-Window: 10000000\r\n").await;
        let mut request = Frame::request(1, "Limits.Items", &vec![1_000_000usize; 10]);
        request.flags |= MORE;
        raw.send(&request).await;
        raw.send(&Frame::item(request.id, &[0; 60_000])).await;
        assert_eq!(raw.frame().await.kind, Frame::RESPONSE);
        drop(raw);
        eventually("the connection is over", || server.connections() == 0).await;
    }
    let client = within(Client::new(pipe(&server))).await.unwrap();
    assert_eq!(sum(&client, false, &[190_000]).await.unwrap(), 190_000);
}

#[tokio::test]
async fn one_stream_over_the_limit_fails_here_and_is_refused_by_the_server() {
    let gate = Gate::new();
    let server = service(&gate).max_streams_per_connection(2).build().unwrap();
    let client = within(Client::new(pipe(&server))).await.unwrap();
    let open = || client.call_client_stream::<_, Bytes, usize>("Limits.Sum", true);
    let (_first, _second) = (within(open()).await.unwrap(), within(open()).await.unwrap());
    let error = within(open()).await.unwrap_err();
    let source = OpenError::TooManyStreams { limit: 2 };
    assert!(matches!(&error, Error::Limit { source: was, .. } if *was == source), "{error:?}");
    assert_eq!(error.executed(), Executed::No);
    assert_answers(&client).await;

    let mut raw = Raw::enter(pipe(&server), "").await;
    for counter in 1..=3 {
        let mut request = Frame::request(counter, "Limits.Sum", &true);
        request.flags |= MORE;
        raw.send(&request).await;
    }
    let refusal = raw.frame().await;
    let (code, executed, text) = refusal.status();
    assert_eq!((refusal.id, code, executed), (3 << 16, Code::ResourceExhausted.to_wire(), 0), "{text}");
}

#[tokio::test]
async fn a_server_without_streams_says_so_and_serves_calls() {
    let server = service(&Gate::new()).max_streams_per_connection(0).build().unwrap();
    let client = within(Client::new(pipe(&server))).await.unwrap();
    let call = client.call_server_stream::<_, Bytes>("Limits.Items", vec![1usize]);
    let error = within(call).await.unwrap_err();
    assert!(matches!(error, Error::Limit { .. }), "{error:?}");
    assert_answers(&client).await;
}

#[tokio::test]
async fn a_call_of_another_shape_than_its_method_is_unimplemented_and_has_not_run() {
    let client = within(Client::new(pipe(&server()))).await.unwrap();
    let unary = within(client.call::<_, usize>("Limits.Sum", false)).await.unwrap_err();
    let call = client.call_server_stream::<_, i64>("Arith.Multiply", Args { a: 7, b: 8 });
    let stream = within(call).await.unwrap_err();
    for error in [unary, stream] {
        assert_eq!(error.status().unwrap().code(), Code::Unimplemented);
        assert_eq!(error.executed(), Executed::No);
    }
}
