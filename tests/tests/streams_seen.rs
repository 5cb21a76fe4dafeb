//! What is seen of streams beside their items: interceptors, metadata, panics.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::sync::{Arc, Mutex};

use futures_util::{StreamExt, stream};
use rpc_client::{Client, Error, Outgoing};
use rpc_core::{Code, Context, Executed, Service, Status, Streaming};
use tests::{Args, Gate, arith, eventually, listen, pipe, within};

/// What was seen, a line for each event.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    /// Takes so many lines, once they are there.
    async fn take(&self, count: usize) -> Vec<String> {
        eventually("all was seen", || self.0.lock().unwrap().len() >= count).await;
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl rpc_client::Interceptor for Log {
    fn before(&self, call: &mut Outgoing<'_>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.note(format!("before {}", call.method));
        Ok(())
    }

    fn after(&self, call: &rpc_client::Ended<'_>) {
        let outcome = match call.outcome {
            None => "dropped".into(),
            Some(Ok(())) => "ok".into(),
            Some(Err(Error::Status { status, .. })) => status.code().to_string(),
            Some(Err(error)) => error.to_string(),
        };
        self.note(format!("after {} {outcome}", call.method));
    }
}

impl rpc_server::Interceptor for Log {
    fn before(&self, cx: &Context) -> Result<(), Status> {
        self.note(format!("before {}", cx.method()));
        Ok(())
    }

    fn after(&self, call: &rpc_server::Ended<'_>) {
        self.note(format!("after {} {:?}", call.method, call.code));
    }
}

/// Items, the last of which waits at a gate; a negative count is an error after none.
fn service(gate: &Gate) -> Service {
    let gate = gate.clone();
    Service::new("Seen")
        .server_stream("Items", move |_: Context, count: i64| {
            let gate = gate.clone();
            async move {
                let last = stream::once(async move {
                    if count < 0 { Err(Status::aborted("as asked")) } else { gate.pass(count).await }
                });
                Ok::<_, Status>(stream::iter(0..count).map(Ok::<_, Status>).chain(last))
            }
        })
        .client_stream("Sum", |_: Context, (): (), mut numbers: Streaming<i64>| async move {
            let mut sum = 0;
            while let Some(number) = numbers.try_next().await? {
                sum += number;
            }
            Ok::<_, Status>(sum)
        })
}

async fn watched(gate: &Gate) -> (Client, Log, Log) {
    let (near, far) = (Log::default(), Log::default());
    let server = arith().register(service(gate)).interceptor(far.clone()).build().unwrap();
    let client = Client::builder().interceptor(near.clone()).over(pipe(&server));
    (within(client).await.unwrap(), near, far)
}

#[tokio::test]
async fn interceptors_see_a_stream_once_and_its_end_when_it_ends() {
    let gate = Gate::new();
    let (client, near, far) = watched(&gate).await;
    let mut items = within(client.call_server_stream::<_, i64>("Seen.Items", 1i64)).await.unwrap();
    assert_eq!(within(items.next()).await.unwrap().unwrap(), 0);
    gate.entered().await;
    assert_eq!(near.take(1).await, ["before Seen.Items"]);
    assert_eq!(far.take(1).await, ["before Seen.Items"], "it goes on");
    gate.open(1);
    assert_eq!(within(items.next()).await.unwrap().unwrap(), 1);
    assert!(within(items.next()).await.is_none());
    assert_eq!(near.take(1).await, ["after Seen.Items ok"]);
    assert_eq!(far.take(1).await, ["after Seen.Items None"]);
    drop(items);
    assert_eq!(near.take(0).await, [""; 0]);
}

#[tokio::test]
async fn interceptors_see_the_one_answer_to_a_stream() {
    let (client, near, far) = watched(&Gate::new()).await;
    for with_metadata in [false, true] {
        let call = client.call_client_stream::<_, i64, i64>("Seen.Sum", ());
        let (mut numbers, sum) = within(call).await.unwrap();
        within(numbers.send(7)).await.unwrap();
        numbers.finish();
        let sum = match with_metadata {
            false => within(sum).await.unwrap(),
            true => within(sum.with_metadata()).await.unwrap().value,
        };
        assert_eq!(sum, 7);
        assert_eq!(near.take(2).await, ["before Seen.Sum", "after Seen.Sum ok"]);
        assert_eq!(far.take(2).await, ["before Seen.Sum", "after Seen.Sum None"]);
    }
}

#[tokio::test]
async fn interceptors_see_the_error_of_a_stream_and_that_it_was_dropped() {
    let gate = Gate::new();
    let (client, near, far) = watched(&gate).await;
    let call = client.call_server_stream::<_, i64>("Seen.Items", -1i64);
    within(within(call).await.unwrap().next()).await.unwrap().unwrap_err();
    assert_eq!(near.take(2).await, ["before Seen.Items", "after Seen.Items Aborted"]);
    assert_eq!(far.take(2).await, ["before Seen.Items", "after Seen.Items Some(Aborted)"]);
    let call = client.call_server_stream::<_, i64>("Seen.Items", 1i64);
    drop(within(call).await.unwrap());
    assert_eq!(near.take(2).await, ["before Seen.Items", "after Seen.Items dropped"]);
    assert_eq!(far.take(2).await, ["before Seen.Items", "after Seen.Items Some(Cancelled)"]);
    let call = client.call_client_stream::<_, i64, i64>("Seen.Sum", ());
    drop(within(call).await.unwrap());
    assert_eq!(near.take(2).await, ["before Seen.Sum", "after Seen.Sum dropped"]);
}

#[tokio::test]
async fn metadata_from_before_the_first_item_comes_with_it_and_the_rest_with_the_end() {
    let service = Service::new("Meta").server_stream("Items", |cx: Context, (): ()| async move {
        cx.reply_metadata("one", "first")?;
        let cx = cx.clone();
        Ok::<_, Status>(stream::iter(0..3).map(move |at| {
            cx.reply_metadata(&format!("at-{at}"), "later")?;
            Ok::<i64, Status>(at)
        }))
    });
    let (address, _server) = listen(arith().register(service)).await;
    let client = within(Client::connect(address.to_string())).await.unwrap();
    let mut items = within(client.call_server_stream::<_, i64>("Meta.Items", ())).await.unwrap();
    let first = items.metadata().unwrap();
    assert_eq!((first.text("one"), first.len()), (Some("first"), 1));
    while let Some(item) = within(items.next()).await {
        item.unwrap();
    }
    let last = items.trailers();
    assert_eq!((last.text("at-0"), last.text("at-2"), last.len()), (Some("later"), Some("later"), 3));
}

#[tokio::test]
async fn metadata_over_the_callers_limit_fails_its_stream_alone() {
    let service = Service::new("Meta").server_stream("Large", |cx: Context, len: usize| async move {
        cx.reply_metadata("key", vec![7; len])?;
        Ok::<_, Status>(stream::iter([Ok::<_, Status>(1i64)]))
    });
    let server = arith().register(service).build().unwrap();
    let client = within(Client::builder().max_frame(65_536).over(pipe(&server))).await.unwrap();
    let call = client.call_server_stream::<_, i64>("Meta.Large", 65_525usize);
    let error = within(call).await.unwrap_err();
    assert_eq!(error.status().map(Status::code), Some(Code::ResourceExhausted), "{error:?}");
    let mut items = within(client.call_server_stream::<_, i64>("Meta.Large", 60_000usize)).await.unwrap();
    assert_eq!(within(items.next()).await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn a_panic_in_a_stream_ends_it_as_internal_after_what_had_gone_out() {
    let gate = Gate::new();
    let waits = gate.clone();
    let service = Service::new("Broken").server_stream("Items", move |_: Context, waits_first: bool| {
        let gate = waits.clone();
        let last = stream::once(async move {
            if waits_first {
                gate.pass(1).await?;
            }
            panic!("on purpose")
        });
        async move { Ok::<_, Status>(stream::iter(0..3).map(Ok::<i64, Status>).chain(last)) }
    });
    let (address, _server) = listen(arith().register(service)).await;
    let client = within(Client::connect(address.to_string())).await.unwrap();
    let mut items = within(client.call_server_stream::<_, i64>("Broken.Items", true)).await.unwrap();
    for at in 0..3 {
        assert_eq!(within(items.next()).await.unwrap().unwrap(), at);
    }
    gate.open(1);
    let error = within(items.next()).await.unwrap().unwrap_err();
    // What was made in the same breath as the panic is lost with it, the beginning too.
    let at_once = within(client.call_server_stream::<_, i64>("Broken.Items", false)).await.unwrap_err();
    for error in [error, at_once] {
        assert_eq!(error.status().map(Status::code), Some(Code::Internal), "{error:?}");
        assert_eq!(error.executed(), Executed::Yes);
    }
    let product: i64 = within(client.call("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap();
    assert_eq!(product, 56);
}
