//! The service that a tested server has, ours.

use std::future::{pending, ready};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use rpc_core::handshake::Refusal;
use rpc_core::{Code, Context, Service, Status, Streaming};
use rpc_server::{Request, Server};
use tokio::time::sleep;

use crate::value::{Args, Failure, Quotient, Tree, Types};
use crate::vector::Setup;

/// A server to be tested, set up as vectors ask for it.
///
/// # Errors
/// None that a program could cause.
pub fn server(setup: Setup) -> Result<Server> {
    let enter = async |request: Request| match request.head.headers.get("conform-enter") {
        Some(_) => Err(Refusal::forbidden("whoever says so is not let in")),
        None => Ok(()),
    };
    let server = Server::builder().authorize(enter).register(arith()).register(calls()).register(streams());
    let server = match setup {
        Setup::Default => server,
        Setup::Small => server
            .max_frame(65_536)
            .concurrency_limit_per_connection(4)
            .stream_window(65_536)
            .max_streams_per_connection(2),
        Setup::Aging => server.max_connection_age(Duration::from_secs(1)),
    };
    Ok(server.build()?)
}

fn arith() -> Service {
    let multiply = |_: Context, Args { a, b }: Args| {
        ready(a.checked_mul(b).ok_or_else(|| Status::out_of_range("product over 64 bits")))
    };
    let divide = |_: Context, Args { a, b }: Args| {
        ready(match b {
            0 => Err(Status::unknown("divide by zero")),
            _ => Ok(Quotient { quo: a.wrapping_div(b), rem: a.wrapping_rem(b) }),
        })
    };
    Service::new("Arith").method("Multiply", multiply).method("Divide", divide)
}

fn calls() -> Service {
    let fail = |_: Context, failure: Failure| {
        let Failure { code, message, details } = failure;
        ready(Err::<(), _>(Status::new(Code::from_wire(code), message).with_details(details)))
    };
    let metadata = |cx: Context, (): ()| async move {
        for (key, value) in cx.metadata().iter() {
            cx.reply_metadata(key, value).map_err(Status::from_display)?;
        }
        Ok::<_, Status>(())
    };
    let sleeps = |_: Context, ms: u64| async move {
        sleep(Duration::from_millis(ms)).await;
        Ok::<_, Status>(())
    };
    let filled = |_: Context, size: u32| ready(Ok::<_, Status>(Bytes::from(vec![7; size as usize])));
    Service::new("Conform")
        .method("Echo", |_: Context, bytes: Bytes| ready(Ok::<_, Status>(bytes)))
        .method("Bytes", filled)
        .method("Hold", |_: Context, (): ()| pending::<Result<(), Status>>())
        .method("Sleep", sleeps)
        .method("Fail", fail)
        .method("Panic", |_: Context, (): ()| async move { panicking() })
        .method("Metadata", metadata)
        .method("Types", |_: Context, types: Types| ready(Ok::<_, Status>(types)))
        .method("Tree", |_: Context, tree: Tree| ready(Ok::<_, Status>(tree.depth())))
        .method("Units", |_: Context, units: Vec<()>| ready(Ok::<_, Status>(units.len() as u64)))
        .method("Strings", |_: Context, texts: Vec<String>| ready(Ok::<_, Status>(texts.len() as u64)))
}

fn streams() -> Service {
    let numbers = |_: Context, n: i64| ready(Ok::<_, Status>(stream::iter((1..=n).map(Ok::<_, Status>))));
    let labelled = |cx: Context, n: i64| async move {
        cx.reply_metadata("Part", "head").map_err(Status::from_display)?;
        // Asked for behind the last number.
        let label = stream::once(async move {
            cx.reply_metadata("Part", "end").map_err(Status::from_display).map(|()| None)
        });
        let numbers = stream::iter((1..=n).map(|number| Ok(Some(number))));
        Ok::<_, Status>(numbers.chain(label).try_filter_map(|number| ready(Ok(number))))
    };
    let blobs = |_: Context, (count, size): (u32, u32)| {
        let blob = Bytes::from(vec![7; size as usize]);
        ready(Ok::<_, Status>(stream::iter((0..count).map(move |_| Ok::<_, Status>(blob.clone())))))
    };
    let broken = |_: Context, n: i64| {
        let numbers = stream::iter((1..=n).map(Ok).chain([Err(Status::new(Code::Aborted, "enough"))]));
        ready(Ok::<_, Status>(numbers))
    };
    let sum = |_: Context, (): (), mut items: Streaming<i64>| async move {
        let mut sum = 0_i64;
        while let Some(item) = items.try_next().await? {
            sum = sum.wrapping_add(item);
        }
        Ok::<_, Status>(sum)
    };
    let count = |_: Context, (): (), mut items: Streaming<Bytes>| async move {
        let mut count = (0_u64, 0_u64);
        while let Some(item) = items.try_next().await? {
            count = (count.0 + 1, count.1 + item.len() as u64);
        }
        Ok::<_, Status>(count)
    };
    let unread = |_: Context, (): (), items: Streaming<Bytes>| async move {
        let _held = items;
        pending::<Result<(), Status>>().await
    };
    let deaf = |_: Context, (): (), items: Streaming<Bytes>| {
        drop(items);
        pending::<Result<(), Status>>()
    };
    let first = |_: Context, (): (), mut items: Streaming<i64>| async move {
        Ok::<_, Status>(items.try_next().await?.unwrap_or_default())
    };
    let early = |_: Context, (): (), _items: Streaming<Bytes>| ready(Ok::<_, Status>(()));
    let chat = |_: Context, (): (), items: Streaming<i64>| ready(Ok::<_, Status>(items));
    Service::new("Stream")
        .server_stream("Numbers", numbers)
        .server_stream("Labelled", labelled)
        .server_stream("Blobs", blobs)
        .server_stream("Broken", broken)
        .client_stream("Sum", sum)
        .client_stream("Count", count)
        .client_stream("Unread", unread)
        .client_stream("Deaf", deaf)
        .client_stream("First", first)
        .client_stream("Early", early)
        .bidi_stream("Chat", chat)
}

fn panicking() -> Result<(), Status> {
    panic!("a handler that always does")
}
