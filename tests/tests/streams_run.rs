//! Streams of handlers that run in tasks of their own or on threads for blocking work.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::time::Duration;

use futures_util::{StreamExt, stream};
use rpc_client::{Client, Error};
use rpc_core::{Code, Context, Execution, Method, Service, Status, Streaming};
use rpc_server::Server;
use tests::{Args, END, Frame, MORE, Raw, arith, decoded, encoded, eventually, join, pipe, within};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

const EXECUTIONS: [Execution; 3] = [Execution::Inline, Execution::Spawn, Execution::Blocking];

/// Numbers that never end, a sum of what comes, and what comes sent back; and all that the sum saw.
fn service(execution: Execution) -> (Service, mpsc::UnboundedReceiver<Result<i64, Status>>) {
    let (tell, told) = mpsc::unbounded_channel();
    let numbers =
        |_: Context, from: i64| async move { Ok::<_, Status>(stream::iter(from..).map(Ok::<_, Status>)) };
    let sum = move |_: Context, (): (), mut numbers: Streaming<i64>| {
        let tell = tell.clone();
        async move {
            let mut sum = 0;
            while let Some(number) = numbers.next().await {
                let _ = tell.send(number.clone());
                sum += number?;
            }
            Ok::<_, Status>(sum)
        }
    };
    let echo = |_: Context, (): (), numbers: Streaming<i64>| async move { Ok::<_, Status>(numbers) };
    let service = Service::new("Run")
        .with(Method::server_stream("Numbers", numbers).execution(execution))
        .with(Method::client_stream("Sum", sum).execution(execution))
        .with(Method::bidi_stream("Echo", echo).execution(execution));
    (service, told)
}

/// Waits until the sum has seen an item.
async fn seen(told: &mut mpsc::UnboundedReceiver<Result<i64, Status>>) {
    within(told.recv()).await.unwrap().unwrap();
}

/// How the items of the sum broke off.
async fn broken(told: &mut mpsc::UnboundedReceiver<Result<i64, Status>>) -> Code {
    loop {
        if let Err(status) = within(told.recv()).await.unwrap() {
            return status.code();
        }
    }
}

async fn assert_nothing_runs(server: &Server) {
    let in_flight = || server.stats().iter().map(|method| method.in_flight).sum::<u64>();
    eventually("no handler is left", || in_flight() == 0).await;
}

async fn numbers(client: &Client) -> Streaming<i64, Error> {
    within(client.call_server_stream("Run.Numbers", 5i64)).await.unwrap()
}

#[tokio::test]
async fn every_shape_works_wherever_its_handler_runs() {
    for execution in EXECUTIONS {
        let (client, server) = join(arith().register(service(execution).0)).await;
        let first: Vec<i64> =
            within(numbers(&client).await.take(100_000).map(Result::unwrap).collect()).await;
        assert!(first.into_iter().eq(5..100_005), "{execution:?}");
        let (mut sent, sum) = within(client.call_client_stream::<_, i64, i64>("Run.Sum", ())).await.unwrap();
        within(sent.send_all(stream::iter(0..10_000))).await.unwrap();
        sent.finish();
        assert_eq!(within(sum).await.unwrap(), (0..10_000).sum::<i64>(), "{execution:?}");
        let (mut sent, mut echo) =
            within(client.call_bidi_stream::<_, i64, i64>("Run.Echo", ())).await.unwrap();
        for number in 0..100 {
            within(sent.send(number)).await.unwrap();
            assert_eq!(within(echo.next()).await.unwrap().unwrap(), number, "{execution:?}");
        }
        sent.finish();
        assert!(within(echo.next()).await.is_none());
        assert_nothing_runs(&server).await;
    }
}

#[tokio::test]
async fn a_handler_whose_stream_is_given_up_ends_wherever_it_runs() {
    for execution in EXECUTIONS {
        let (service, mut told) = service(execution);
        let (client, server) = join(arith().register(service)).await;
        let mut unread = numbers(&client).await;
        within(unread.next()).await.unwrap().unwrap();
        drop(unread);
        let (mut sent, sum) = within(client.call_client_stream::<_, i64, i64>("Run.Sum", ())).await.unwrap();
        within(sent.send(1)).await.unwrap();
        seen(&mut told).await;
        drop((sent, sum));
        assert_nothing_runs(&server).await;
        if execution == Execution::Blocking {
            assert_eq!(
                broken(&mut told).await,
                Code::Cancelled,
                "one that cannot be dropped is told by its items"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_whose_stream_is_out_of_time_ends_wherever_it_runs() {
    for execution in [Execution::Inline, Execution::Spawn] {
        let (service, _told) = service(execution);
        let limit = Duration::from_millis(100);
        let (client, server) = join(arith().register(service).call_timeout(limit)).await;
        let (mut sent, sum) = within(client.call_client_stream::<_, i64, i64>("Run.Sum", ())).await.unwrap();
        within(sent.send(1)).await.unwrap();
        let error = within(sum).await.unwrap_err();
        assert_eq!(error.status().map(Status::code), Some(Code::DeadlineExceeded), "{execution:?} {error:?}");
        assert_nothing_runs(&server).await;
    }
}

#[tokio::test]
async fn a_blocking_handler_whose_stream_is_out_of_time_ends_and_says_so() {
    let (service, _told) = service(Execution::Blocking);
    let limit = Duration::from_millis(50);
    let (client, server) = join(arith().register(service).call_timeout(limit)).await;
    let (mut sent, sum) = within(client.call_client_stream::<_, i64, i64>("Run.Sum", ())).await.unwrap();
    let _ = within(sent.send(1)).await;
    let error = within(sum).await.unwrap_err();
    assert_eq!(error.status().map(Status::code), Some(Code::DeadlineExceeded), "{error:?}");
    assert_nothing_runs(&server).await;
}

#[tokio::test]
async fn items_of_a_client_that_has_closed_its_side_break_off_and_its_calls_are_answered() {
    for execution in EXECUTIONS {
        let (service, mut told) = service(execution);
        let server = arith().register(service).build().unwrap();
        let mut raw = Raw::enter(pipe(&server), "").await;
        for (counter, finished) in [(1, true), (2, false)] {
            let mut request = Frame::request(counter, "Run.Sum", &());
            request.flags |= MORE;
            raw.send(&request).await;
            raw.send(&Frame::item(request.id, &encoded(&7i64))).await;
            if finished {
                raw.send(&Frame::new(END, request.id, [])).await;
            }
        }
        raw.send(&Frame::request(3, "Arith.Multiply", &Args { a: 7, b: 8 })).await;
        raw.0.shutdown().await.unwrap();
        let mut answers = [None, None, None];
        while let Some(frame) = raw.call_frame().await {
            let at = (frame.id >> 16) as usize - 1;
            answers[at] = Some(if at == 1 { i64::from(frame.status().0) } else { decoded(&frame.body) });
        }
        assert_eq!(answers, [Some(7), Some(1), Some(56)], "the second is cancelled: {execution:?}");
        assert_eq!(broken(&mut told).await, Code::Cancelled);
    }
}
