//! Calls from end to end: all ways to make one, all that travels with it, all formats.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use bytes::Bytes;
use futures_util::future::join_all;
use rpc_client::{Client, Error};
use rpc_core::{Code, Context, Executed, Format, Status};
use rpc_server::Builder;
use tests::{Args, ArithClient, Frame, Gate, Quotient, Raw, arith, join, listen, pipe, within};

fn echo(builder: Builder) -> Builder {
    builder
        .register_fn("Echo.Bytes", |_: Context, bytes: Bytes| async move { Ok::<_, Status>(bytes) })
        .register_fn("Echo.Key", |cx: Context, key: String| async move {
            let value = cx.metadata().text(&key).map(str::to_owned);
            cx.reply_metadata("Seen", &key)?;
            cx.reply_metadata("seen", "twice")?;
            value.ok_or_else(|| Status::not_found(key).with_details(vec![1, 2, 3]))
        })
}

/// One and the same list of calls, for every format.
async fn assert_all_kinds_of_calls(client: &Client) {
    let arith = ArithClient::new(client.clone());
    assert_eq!(within(arith.multiply(Args { a: 7, b: 8 })).await.unwrap(), 56);
    let divided = Quotient { quo: 3, rem: 2 };
    assert_eq!(within(arith.divide(Args { a: 17, b: 5 }).start()).await.unwrap(), divided);
    let args = Args { a: 17, b: 5 };
    assert_eq!(within(client.call::<_, Quotient>("Arith.Divide", &args)).await.unwrap(), divided);
    assert_eq!(within(client.start::<Quotient>("Arith.Divide", args)).await.unwrap(), divided);
    let status = within(arith.divide(Args { a: 1, b: 0 })).await.unwrap_err().status().cloned().unwrap();
    assert_eq!((status.code(), status.message()), (Code::Unknown, "divide by zero"));
    let bad = within(client.call::<_, i64>("Arith.Multiply", "text")).await.unwrap_err();
    assert_eq!(bad.status().unwrap().code(), Code::InvalidArgument);
    let bad = within(client.call::<_, String>("Arith.Multiply", args)).await.unwrap_err();
    assert!(matches!(bad, Error::Decode { .. }), "{bad:?}");
    let body = Bytes::from(vec![0xa5; 100_000]);
    assert_eq!(within(client.call::<_, Bytes>("Echo.Bytes", &body)).await.unwrap(), body);
}

#[tokio::test]
async fn bincode_and_json_run_the_same_calls() {
    let (address, _server) = listen(echo(arith())).await;
    for format in [Format::Bincode, Format::Json] {
        let client = Client::builder().format(format).connect(address.to_string());
        assert_all_kinds_of_calls(&within(client).await.unwrap()).await;
    }
}

#[tokio::test]
async fn a_server_of_one_format_takes_the_clients_second_choice() {
    let server = echo(arith()).formats([Format::Json]).build().unwrap();
    let client = Client::builder().formats([Format::Bincode, Format::Json]).over(pipe(&server));
    assert_all_kinds_of_calls(&within(client).await.unwrap()).await;
}

#[tokio::test]
async fn metadata_travels_beside_arguments_results_and_errors() {
    let (client, _server) = join(echo(arith())).await;
    let call = client.call::<_, String>("Echo.Key", "tenant").metadata("Tenant", "a").metadata("tenant", "b");
    let reply = within(call.with_metadata()).await.unwrap();
    assert_eq!(reply.value, "a");
    let pairs: Vec<_> = reply.metadata.iter().collect();
    assert_eq!(pairs, [("seen", &b"tenant"[..]), ("seen", b"twice")]);
    let error = within(client.call::<_, String>("Echo.Key", "nobody")).await.unwrap_err();
    let status = error.status().unwrap();
    assert_eq!(
        (status.code(), status.message(), status.details()),
        (Code::NotFound, "nobody", &[1, 2, 3][..])
    );
    assert_eq!(status.metadata().text("seen"), Some("nobody"));
}

#[tokio::test]
async fn metadata_that_is_none_fails_the_call_before_it_is_sent() {
    let (client, _server) = join(echo(arith())).await;
    let call = client.call::<_, String>("Echo.Key", "a").metadata("not a key", "a");
    let error = within(call).await.unwrap_err();
    assert!(matches!(error, Error::Metadata { .. }), "{error:?}");
    assert_eq!(error.executed(), Executed::No);
}

#[tokio::test]
async fn large_bodies_go_both_ways_beside_small_calls() {
    let (address, _server) = listen(echo(arith())).await;
    let client = within(Client::connect(address.to_string())).await.unwrap();
    let large = (0..8u8).map(|at| {
        let (client, body) = (client.clone(), Bytes::from(vec![at; 1 << 20]));
        async move { assert_eq!(client.call::<_, Bytes>("Echo.Bytes", body.clone()).await.unwrap(), body) }
    });
    let small = (0..100).map(|at| {
        let arith = ArithClient::new(client.clone());
        async move { assert_eq!(arith.multiply(Args { a: at, b: 2 }).await.unwrap(), 2 * at) }
    });
    within(futures_util::future::join(join_all(large), join_all(small))).await;
}

#[tokio::test]
async fn a_started_call_is_sent_without_being_polled() {
    let gate = Gate::new();
    let (client, _server) = join(gate.register(arith())).await;
    let call = client.start::<i64>("Gate.Pass", 5);
    gate.entered().await;
    gate.open(1);
    assert_eq!(within(call).await.unwrap(), 5);
}

#[tokio::test]
async fn a_call_that_is_not_started_is_sent_when_it_is_polled() {
    let gate = Gate::new();
    let (client, _server) = join(gate.register(arith())).await;
    let call = client.call::<_, i64>("Gate.Pass", 5);
    let first: i64 = within(client.call("Arith.Multiply", Args { a: 1, b: 1 })).await.unwrap();
    assert_eq!((first, gate.ran()), (1, 0));
    gate.open(1);
    assert_eq!(within(call).await.unwrap(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_share_a_connection_and_each_gets_its_own_answer() {
    let (address, server) = listen(arith()).await;
    let client = within(Client::connect(address.to_string())).await.unwrap();
    let callers = (0..64).map(|caller| {
        let arith = ArithClient::new(client.clone());
        tokio::spawn(async move {
            for b in 0..200 {
                assert_eq!(arith.multiply(Args { a: caller, b }).await.unwrap(), caller * b);
            }
        })
    });
    within(join_all(callers)).await.into_iter().for_each(Result::unwrap);
    assert_eq!(server.connections(), 1);
    let multiply = server.stats().into_iter().find(|stats| stats.method == "Multiply").unwrap();
    assert_eq!((multiply.calls, multiply.errors, multiply.in_flight), (64 * 200, 0, 0));
}

#[tokio::test]
async fn answers_come_in_any_order() {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let admitted = tokio::spawn(Raw::admit(far, ""));
    let client = within(Client::new(near)).await.unwrap();
    let mut raw = admitted.await.unwrap();
    let calls: Vec<_> = (0..10).map(|at| client.start::<i64>("Any.Name", at)).collect();
    let mut requests = Vec::new();
    for _ in 0..10 {
        requests.push(raw.frame().await);
    }
    for (at, request) in requests.iter().enumerate().rev() {
        raw.send(&Frame::response(request.id, &(at as i64 * 100))).await;
    }
    let answers: Vec<i64> = within(join_all(calls)).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers, (0..10).map(|at| at * 100).collect::<Vec<_>>());
}

#[tokio::test]
async fn callers_hold_themselves_back_to_what_the_server_takes() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = (now.clone(), most.clone());
    let builder =
        arith().concurrency_limit_per_connection(4).register_fn("Slow.Call", move |_: Context, n: i64| {
            let (now, most) = counted.clone();
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::Relaxed);
                Ok::<_, Status>(n)
            }
        });
    let (client, server) = join(builder).await;
    let polled = (0..100).map(|n| client.call::<_, i64>("Slow.Call", n).into_future());
    let started = (100..200).map(|n| client.start::<i64>("Slow.Call", n));
    let calls: Vec<_> = started.map(|call| Box::pin(call) as Pin<Box<dyn Future<Output = _>>>).collect();
    let calls = calls.into_iter().chain(polled.map(|call| Box::pin(call) as Pin<Box<_>>));
    let mut answers: Vec<i64> = within(join_all(calls)).await.into_iter().map(Result::unwrap).collect();
    answers.sort_unstable();
    assert_eq!(answers, (0..200).collect::<Vec<_>>());
    assert_eq!(most.load(Ordering::Relaxed), 4);
    let slow = server.stats().into_iter().find(|stats| stats.method == "Call").unwrap();
    assert_eq!((slow.calls, slow.errors), (200, 0), "none was refused");
}

#[tokio::test]
async fn a_started_call_without_room_holds_up_nobody_who_came_later() {
    let gate = Gate::new();
    let (client, _server) = join(gate.register(arith()).concurrency_limit_per_connection(1)).await;
    let holds = client.start::<i64>("Gate.Pass", 1);
    let without_room = client.start::<i64>("Gate.Pass", 2);
    gate.open(2);
    assert_eq!(within(holds).await.unwrap(), 1);
    let product: i64 = within(client.call("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap();
    assert_eq!(product, 56);
    assert_eq!(within(without_room).await.unwrap(), 2);
}

#[tokio::test]
async fn a_waiting_caller_that_leaves_passes_its_turn_on() {
    let gate = Gate::new();
    let (client, _server) = join(gate.register(arith()).concurrency_limit_per_connection(1)).await;
    let holds = client.start::<i64>("Gate.Pass", 1);
    gate.entered().await;
    let mut leaves = client.call::<_, i64>("Gate.Pass", 2).into_future();
    let mut stays = client.call::<_, i64>("Gate.Pass", 3).into_future();
    poll_fn(|cx| {
        assert!(Pin::new(&mut leaves).poll(cx).is_pending());
        assert!(Pin::new(&mut stays).poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    gate.open(2);
    assert_eq!(within(holds).await.unwrap(), 1);
    drop(leaves);
    assert_eq!(within(stays).await.unwrap(), 3);
    assert_eq!(gate.ran(), 2);
}
