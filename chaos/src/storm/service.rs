//! The server's role: handlers that write down what they do.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use futures_util::stream::unfold;
use rpc_core::{Context, Service, Status, Stream, Streaming};
use rpc_server::Server;
use tokio::time::sleep;

use super::dice::mix;
use super::job::{Job, Kind, add};
use super::records::{Ended, Entry, Pen};
use crate::server::{say, until_told};

/// How long a server that ends waits for its calls. Some streams take longer.
const DRAIN: Duration = Duration::from_millis(500);

/// Items between two waits of a handler that lingers.
const STRIDE: u32 = 16;

/// An item and its number.
pub(crate) type Item = (u32, Bytes);

/// Serves until SIGTERM; see [`until_told`].
pub(crate) async fn serve(listen: SocketAddr, journal: &Path, lie: Option<u64>) -> Result<()> {
    let storm = Storm { pen: Arc::new(Pen::create(journal)?), lie };
    let report = until_told(listen, Server::builder().register(storm.service()).grace(DRAIN), None).await?;
    say(&format!("{} {}", report.finished, report.cancelled))
}

#[derive(Clone)]
struct Storm {
    pen: Arc<Pen>,
    /// One handler in so many does wrong.
    lie: Option<u64>,
}

impl Storm {
    fn service(&self) -> Service {
        let [once, again, server, client, both] = [(); 5].map(|()| self.clone());
        Service::new("Storm")
            .method("Once", move |_: Context, job: Job| once.clone().answer(job))
            .method("Again", move |_: Context, job: Job| again.clone().answer(job))
            .server_stream("Server", move |_: Context, job: Job| {
                let run = server.begin(job);
                async move { Ok::<_, Status>(run?.output()) }
            })
            .client_stream("Client", move |_: Context, job: Job, items: Streaming<Bytes>| {
                client.clone().sum(job, items)
            })
            .bidi_stream("Bidi", move |_: Context, job: Job, items: Streaming<Bytes>| {
                let run = both.begin(job);
                async move { Ok::<_, Status>(run?.echo(items)) }
            })
    }

    async fn answer(self, job: Job) -> Result<u64, Status> {
        let mut run = self.begin(job)?;
        if job.linger > 0 {
            sleep(job.linger()).await;
        }
        run.end();
        Ok(job.answer() ^ u64::from(run.lie))
    }

    async fn sum(self, job: Job, mut items: Streaming<Bytes>) -> Result<u64, Status> {
        let mut run = self.begin(job)?;
        let mut sum = u64::from(run.lie);
        while let Some(item) = items.try_next().await? {
            sum = add(sum, job.word(run.seen));
            run.see(&item).await;
        }
        run.end();
        Ok(sum)
    }

    fn begin(&self, job: Job) -> io::Result<Run> {
        let lies = self.lie.is_some_and(|lie| mix(job.number).is_multiple_of(lie));
        if lies && job.kind == Kind::Once {
            self.pen.write(Entry::Begun(job.number))?;
        }
        self.pen.write(Entry::Begun(job.number))?;
        Ok(Run { pen: self.pen.clone(), job, seen: 0, right: true, complete: false, lie: u32::from(lies) })
    }
}

/// A handler, also one that is dropped.
struct Run {
    pen: Arc<Pen>,
    job: Job,
    seen: u32,
    right: bool,
    complete: bool,
    /// What is added to what it says.
    lie: u32,
}

impl Run {
    /// It is over, and nothing is missing.
    fn end(&mut self) {
        self.complete = true;
    }

    /// Takes the next item of the client's.
    async fn see(&mut self, item: &Bytes) {
        self.right &= *item == self.job.item(self.seen);
        self.step().await;
    }

    async fn step(&mut self) {
        self.seen += 1;
        if self.job.linger > 0 && self.seen.is_multiple_of(STRIDE) {
            sleep(self.job.linger()).await;
        }
    }

    fn output(self) -> impl Stream<Item = Result<Item, Status>> + Send + 'static {
        unfold(self, |mut run| async move {
            if run.seen == run.job.items {
                run.end();
                return None;
            }
            let at = run.seen + run.lie;
            let item = run.job.item(at);
            run.step().await;
            Some((Ok((at, item)), run))
        })
    }

    fn echo(self, items: Streaming<Bytes>) -> impl Stream<Item = Result<Item, Status>> + Send + 'static {
        unfold(Some((self, items)), |state| async move {
            let (mut run, mut items) = state?;
            match items.next().await {
                Some(Ok(item)) => {
                    let at = run.seen + run.lie;
                    run.see(&item).await;
                    Some((Ok((at, item)), Some((run, items))))
                }
                // It ends with its first error.
                Some(Err(status)) => Some((Err(status), None)),
                None => {
                    run.end();
                    None
                }
            }
        })
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let Self { job: Job { number, .. }, seen, right, complete, .. } = *self;
        // An end that cannot be written is missed by whoever reads the file.
        let _ = self.pen.write(Entry::Ended(Ended { number, seen, right, complete }));
    }
}
