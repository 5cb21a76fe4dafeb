//! What the server does.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::unfold;
use rpc_core::stream::Shape;
use rpc_core::{Code, Context, Execution, Method, Service, Status, Stream, Streaming};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::item::{Item, Parcel};
use crate::ledger::{InputEnd, Ledger, OutputEnd};
use crate::pace::Walker;
use crate::plan::{self, HEAD, Input, Kind};

/// What a failing handler says.
pub(crate) const FAILED: &str = "as planned";

/// The name of the method of a stream.
pub(crate) fn method(stream: &plan::Stream) -> String {
    let plan::Stream { shape, kind, spawned, .. } = stream;
    format!("Test.{shape:?}{kind:?}{}", if *spawned { "Spawned" } else { "" })
}

/// The whole service.
pub(crate) fn service(ledger: &Arc<Ledger>, held: &CancellationToken) -> Service {
    let held = held.clone();
    let mut service = Service::new("Test")
        .method("Echo", |_: Context, (work, body): (Duration, Bytes)| async move {
            if !work.is_zero() {
                sleep(work).await;
            }
            Ok::<_, Status>(body)
        })
        .method("Hold", move |_: Context, _: Bytes| {
            let held = held.clone();
            async move {
                held.cancelled().await;
                Ok::<_, Status>(())
            }
        })
        .server_stream("One", |_: Context, (): ()| async {
            Ok::<_, Status>(futures_util::stream::iter([Ok::<_, Status>(7u32)]))
        });
    for spawned in [false, true] {
        service = add::<Bytes>(service, ledger, Kind::Bytes, spawned);
        service = add::<Parcel>(service, ledger, Kind::Parcel, spawned);
        service = add::<()>(service, ledger, Kind::Unit, spawned);
    }
    service
}

fn add<T: Item>(mut service: Service, ledger: &Arc<Ledger>, kind: Kind, spawned: bool) -> Service {
    for shape in [Shape::Server, Shape::Client, Shape::Bidi] {
        let name = format!("{shape:?}{kind:?}{}", if spawned { "Spawned" } else { "" });
        let ledger = ledger.clone();
        let method = match shape {
            Shape::Server => Method::server_stream(name, move |_: Context, stream: usize| {
                let run = Run::new(&ledger, stream);
                async move {
                    run.may_begin()?;
                    Ok::<_, Status>(run.output::<T>())
                }
            }),
            Shape::Client => {
                Method::client_stream(name, move |_: Context, stream: usize, items: Streaming<T>| {
                    let run = Run::new(&ledger, stream);
                    async move { run.answer(items).await }
                })
            }
            Shape::Bidi => {
                Method::bidi_stream(name, move |_: Context, stream: usize, items: Streaming<T>| {
                    let run = Run::new(&ledger, stream);
                    async move { run.both(items).await }
                })
            }
        };
        let execution = if spawned { Execution::Spawn } else { Execution::Inline };
        service = service.with(method.execution(execution));
    }
    service
}

/// A handler, also one that is dropped.
struct Run {
    ledger: Arc<Ledger>,
    stream: usize,
}

impl Run {
    fn new(ledger: &Arc<Ledger>, stream: usize) -> Self {
        ledger.record(stream, "handler begins", |record, running| {
            record.begun += 1;
            *running += 1;
        });
        Self { ledger: ledger.clone(), stream }
    }

    fn plan(&self) -> &plan::Stream {
        &self.ledger.plan.streams[self.stream]
    }

    fn may_begin(&self) -> Result<(), Status> {
        match self.plan().fails {
            Some(0) => Err(failed()),
            _ => Ok(()),
        }
    }

    fn output<T: Item>(self) -> impl Stream<Item = Result<T, Status>> + Send + 'static {
        let walker = Walker::producer(&self.plan().down.producer);
        unfold((self, walker, 0usize), |(run, mut walker, at)| async move {
            walker.pause(&run.ledger).await;
            let (stream, plan) = (run.stream, run.plan());
            let end = |end| run.ledger.record(stream, end, |record, _| record.output_end = Some(end));
            if plan.fails.is_some_and(|after| after == at + 1) {
                end(OutputEnd::Failed);
                return Some((Err(failed()), (run, walker, at)));
            }
            let Some(len) = plan.down.items.get(at).copied() else {
                end(OutputEnd::Complete);
                return None;
            };
            let place = run.ledger.next_place(stream, false, len);
            if len > run.ledger.plan.client.max_frame - HEAD {
                end(OutputEnd::TooLarge);
            } else {
                run.ledger.handed(place);
            }
            Some((Ok(T::at(place)), (run, walker, at + 1)))
        })
    }

    async fn answer<T: Item>(self, mut items: Streaming<T>) -> Result<(usize, bool), Status> {
        self.may_begin()?;
        let input = self.plan().input;
        let (taken, complete) = match input {
            Input::First | Input::Beside => take(&self.ledger, self.stream, &mut items, None).await?,
            Input::Some(most) => {
                let taken = take(&self.ledger, self.stream, &mut items, Some(most)).await?;
                drop(items);
                // What still comes is discarded meanwhile.
                sleep(Duration::from_millis(100)).await;
                taken
            }
            Input::Holds => {
                sleep(Duration::from_millis(100)).await;
                (0, false)
            }
        };
        if self.plan().fails.is_some() {
            return Err(failed());
        }
        self.ledger.record(self.stream, ("answers", taken, complete), |record, _| {
            record.answer = Some((taken, complete));
        });
        Ok((taken, complete))
    }

    async fn both<T: Item>(
        self,
        mut items: Streaming<T>,
    ) -> Result<impl Stream<Item = Result<T, Status>> + Send + 'static, Status> {
        self.may_begin()?;
        let mut held = None;
        match self.plan().input {
            Input::First => {
                take(&self.ledger, self.stream, &mut items, None).await?;
            }
            Input::Beside => {
                let (ledger, stream) = (self.ledger.clone(), self.stream);
                tokio::spawn(async move { take(&ledger, stream, &mut items, None).await });
            }
            Input::Some(most) => {
                take(&self.ledger, self.stream, &mut items, Some(most)).await?;
                drop(items);
            }
            Input::Holds => held = Some(items),
        }
        let mut output = Box::pin(self.output::<T>());
        Ok(futures_util::stream::poll_fn(move |cx| {
            let _held = &held;
            output.as_mut().poll_next(cx)
        }))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.ledger.record(self.stream, "handler is over", |record, running| {
            record.over += 1;
            *running -= 1;
        });
        self.ledger.closed(self.stream, false);
    }
}

fn failed() -> Status {
    Status::new(Code::DataLoss, FAILED)
}

/// Takes the items of a stream, `most` at the most; how many there were, and whether these were all.
async fn take<T: Item>(
    ledger: &Arc<Ledger>,
    stream: usize,
    items: &mut Streaming<T>,
    most: Option<usize>,
) -> Result<(usize, bool), Status> {
    let mut reading = Reading { ledger: ledger.clone(), stream, ended: false };
    ledger.state().running += 1;
    let mut walker = Walker::consumer(&ledger.plan.streams[stream].up.consumer, stream, true);
    let mut taken = 0;
    while most.is_none_or(|most| taken < most) {
        walker.pause(ledger).await;
        let item = loop {
            if let Some(item) = walker.attempt(items.next()).await {
                break item;
            }
        };
        match item {
            Some(Ok(item)) => {
                ledger.taken(stream, true, &item);
                taken += 1;
            }
            Some(Err(status)) => {
                reading.end(InputEnd::Failed(status.code(), status.message().to_owned()));
                if items.next().await.is_some() {
                    ledger.broken(format!("stream {stream}: something came after the input's error"));
                }
                return Err(status);
            }
            None => {
                reading.end(InputEnd::Complete);
                if items.next().await.is_some() {
                    ledger.broken(format!("stream {stream}: something came after the input's end"));
                }
                return Ok((taken, true));
            }
        }
    }
    Ok((taken, false))
}

struct Reading {
    ledger: Arc<Ledger>,
    stream: usize,
    ended: bool,
}

impl Reading {
    fn end(&mut self, end: InputEnd) {
        self.ended = true;
        self.ledger.closed(self.stream, true);
        self.ledger.record(self.stream, end.clone(), |record, running| {
            record.input_ends.push(end);
            *running -= 1;
        });
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if !self.ended {
            self.end(InputEnd::Dropped);
        }
    }
}
