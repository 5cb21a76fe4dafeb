//! What is called through a proxy.

use std::future::IntoFuture;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use rpc_core::{Context, Status, Stream, Streaming, service};
use rpc_server::Server;
use tokio::net::TcpListener;
use tokio::time::sleep;

/// Everything that a proxy may do harm to.
#[service]
pub(crate) trait Probe {
    async fn echo(&self, cx: &Context, bytes: Bytes) -> Result<Bytes, Status>;

    /// Answers after so long.
    async fn wait(&self, cx: &Context, millis: u64) -> Result<(), Status>;

    /// How many calls wait.
    async fn waiting(&self, cx: &Context) -> Result<u64, Status>;

    /// Counts to `end`, and is silent for so long when it is half there.
    async fn count(
        &self,
        cx: &Context,
        end: u64,
        silence: u64,
    ) -> Result<impl Stream<Item = Result<u64, Status>>, Status>;

    async fn doubled(
        &self,
        cx: &Context,
        numbers: Streaming<u64>,
    ) -> Result<impl Stream<Item = Result<u64, Status>>, Status>;
}

#[derive(Default)]
struct Probed {
    waiting: AtomicU64,
}

/// Counted as long as its call is there.
struct Waiting<'a>(&'a AtomicU64);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Probe for Probed {
    async fn echo(&self, _cx: &Context, bytes: Bytes) -> Result<Bytes, Status> {
        Ok(bytes)
    }

    async fn wait(&self, _cx: &Context, millis: u64) -> Result<(), Status> {
        let _waiting = Waiting::new(&self.waiting);
        sleep(Duration::from_millis(millis)).await;
        Ok(())
    }

    async fn waiting(&self, _cx: &Context) -> Result<u64, Status> {
        Ok(self.waiting.load(Ordering::Relaxed))
    }

    async fn count(
        &self,
        _cx: &Context,
        end: u64,
        silence: u64,
    ) -> Result<impl Stream<Item = Result<u64, Status>>, Status> {
        let half = end / 2;
        Ok(stream::iter(0..end).then(move |number| async move {
            if number == half && silence > 0 {
                sleep(Duration::from_millis(silence)).await;
            }
            Ok(number)
        }))
    }

    async fn doubled(
        &self,
        _cx: &Context,
        numbers: Streaming<u64>,
    ) -> Result<impl Stream<Item = Result<u64, Status>>, Status> {
        Ok(numbers.map_ok(|number| 2 * number))
    }
}

/// Serves on a free port, which it prints, until the process ends.
pub(crate) async fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let server = Server::builder().register(ProbeServer::new(Probed::default())).upgrade(true);
    server.serve(listener).into_future().await?;
    Ok(())
}
