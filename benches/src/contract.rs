//! The services that are called.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use rpc_core::{Context, Service, Status, Streaming, service};
use serde::{Deserialize, Serialize};

/// net/rpc's arguments.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Args {
    /// The first number.
    pub a: i64,
    /// The second.
    pub b: i64,
}

/// net/rpc's example: what a small call is.
#[service]
pub trait Arith {
    /// The product.
    async fn multiply(&self, cx: &Context, args: Args) -> Result<i64, Status>;
}

/// An item of 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quote(pub [f64; 8]);

impl Quote {
    /// One of them.
    pub const SOME: Self = Self([1.5, 2.25, 3.0, 4.125, 5.0, 6.5, 7.75, 8.0]);
}

/// What a call with a body is.
#[service]
pub trait Echo {
    /// The body itself.
    async fn echo(&self, cx: &Context, body: Bytes) -> Result<Bytes, Status>;

    /// Nothing, after [`PAUSE`].
    async fn wait(&self, cx: &Context) -> Result<(), Status>;
}

/// What a handler that waits waits for.
pub const PAUSE: Duration = Duration::from_millis(1);

/// Streams without end: of one and the same item, and of what comes in.
#[must_use]
pub fn items() -> Service {
    Service::new("Items")
        .server_stream("Repeat", |_: Context, size: u32| async move {
            let item = Bytes::from(vec![7; size as usize]);
            Ok::<_, Status>(stream::repeat_with(move || Ok::<_, Status>(item.clone())))
        })
        .server_stream("Quotes", |_: Context, (): ()| async move {
            Ok::<_, Status>(stream::repeat_with(|| Ok::<_, Status>(Quote::SOME)))
        })
        .bidi_stream("Exchange", |_: Context, (): (), items: Streaming<Bytes>| async move {
            Ok::<_, Status>(items)
        })
}

/// Implements both; ready at once.
#[derive(Debug)]
pub struct Handlers;

impl Arith for Handlers {
    async fn multiply(&self, _cx: &Context, args: Args) -> Result<i64, Status> {
        Ok(args.a.wrapping_mul(args.b))
    }
}

impl Echo for Handlers {
    async fn echo(&self, _cx: &Context, body: Bytes) -> Result<Bytes, Status> {
        Ok(body)
    }

    async fn wait(&self, _cx: &Context) -> Result<(), Status> {
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }
}
