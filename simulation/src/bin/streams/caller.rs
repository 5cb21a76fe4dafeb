//! Who makes the calls.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join;
use rpc_client::{Client, Error};
use rpc_core::stream::Shape;
use rpc_core::streaming::StreamShape;
use rpc_core::{Answer, CancelReason, Context, SendError, Sender, StreamCall, Streaming};
use tokio::time::{Instant, sleep, timeout};

use crate::handler::method;
use crate::item::{Item, Parcel};
use crate::ledger::{End, Ledger, SenderEnd};
use crate::pace::Walker;
use crate::plan::{self, Call, HEAD, Kind};

/// Makes the call of a stream, and does with it what was planned.
pub(crate) async fn call(ledger: Arc<Ledger>, client: Client, stream: usize) {
    let caller = Caller { ledger, client, stream };
    match caller.plan().kind {
        Kind::Bytes => caller.run::<Bytes>().await,
        Kind::Parcel => caller.run::<Parcel>().await,
        Kind::Unit => caller.run::<()>().await,
    }
}

/// Makes a call without a stream.
pub(crate) async fn echo(ledger: Arc<Ledger>, client: Client, call: Call) -> Option<Error> {
    sleep(call.start).await;
    let (body, made) = (Bytes::from(vec![call.len as u8; call.len]), Instant::now());
    ledger.state().calls.push(made);
    let end = client.call::<_, Bytes>("Test.Echo", (call.work, body.clone())).await;
    ledger.answered(made);
    match end {
        Ok(answer) => {
            if answer != body {
                ledger.broken(format!("{call:?} has another answer"));
            }
            None
        }
        Err(error) => Some(error),
    }
}

struct Caller {
    ledger: Arc<Ledger>,
    client: Client,
    stream: usize,
}

impl Caller {
    fn plan(&self) -> &plan::Stream {
        &self.ledger.plan.streams[self.stream]
    }

    async fn run<T: Item>(&self) {
        sleep(self.plan().start).await;
        let work = self.work::<T>();
        let in_time = match self.plan().dropped {
            None => {
                work.await;
                true
            }
            Some(after) => timeout(after, work).await.is_ok(),
        };
        let open = self.ledger.state().streams[self.stream].ends.is_empty();
        if !in_time && open {
            self.given_up();
            self.ended(End::Dropped);
        }
    }

    async fn work<T: Item>(&self) {
        let (name, args) = (method(self.plan()), self.stream);
        match self.plan().shape {
            Shape::Server => {
                let call = self.client.call_server_stream::<_, T>(name, args);
                let call = match self.plan().idle_timeout {
                    Some(time) => call.idle_timeout(time),
                    None => call,
                };
                match self.made(call).await {
                    Ok(items) => self.read(items).await,
                    Err(error) => self.ended(End::Failed(error)),
                }
            }
            Shape::Client => match self.made(self.client.call_client_stream::<_, T, _>(name, args)).await {
                Ok((sender, answer)) => {
                    join(self.send(sender), self.await_answer(answer)).await;
                }
                Err(error) => self.ended(End::Failed(error)),
            },
            Shape::Bidi => {
                let call = self.client.call_bidi_stream::<_, T, T>(name, args);
                let call = match self.plan().idle_timeout {
                    Some(time) => call.idle_timeout(time),
                    None => call,
                };
                match self.made(call).await {
                    Ok((sender, items)) => {
                        join(self.send(sender), self.read(items)).await;
                    }
                    Err(error) => self.ended(End::Failed(error)),
                }
            }
        }
    }

    async fn made<S: StreamShape>(
        &self,
        call: StreamCall<Client, usize, S>,
    ) -> Result<S::Made<Error>, Error> {
        let mut call = call;
        if let Some(time) = self.plan().timeout {
            call = call.timeout(time);
        }
        if let Some(after) = self.plan().parent {
            let parent = Context::detached("Test.Parent");
            call = call.within(&parent);
            tokio::spawn(async move {
                sleep(after).await;
                parent.cancel(CancelReason::Caller);
            });
        }
        call.await
    }

    fn given_up(&self) {
        self.ledger.record(self.stream, "caller gives up", |record, _| record.given_up = true);
    }

    fn ended(&self, end: End) {
        self.ledger.closed(self.stream, false);
        self.ledger.record(self.stream, end.clone(), |record, _| record.ends.push(end));
    }

    async fn send<T: Item>(&self, mut sender: Sender<T>) {
        let (ledger, stream, plan) = (&self.ledger, self.stream, self.plan());
        let mut walker = Walker::producer(&plan.up.producer);
        let end = |end| ledger.record(stream, end, |record, _| record.sender_ends.push(end));
        for (at, len) in plan.up.items.iter().copied().enumerate() {
            if plan.unfinished == Some(at) {
                break;
            }
            walker.pause(ledger).await;
            let place = ledger.next_place(stream, true, len);
            let sent = loop {
                let sending = async {
                    let sent = sender.send(T::at(place)).await;
                    if sent.is_ok() {
                        // Nobody runs between the one and the other.
                        ledger.handed(place);
                    }
                    sent
                };
                if let Some(sent) = walker.attempt(sending).await {
                    break sent;
                }
            };
            let too_large = len > ledger.plan.server.max_frame - HEAD;
            match sent {
                Ok(()) if too_large => ledger.broken(format!("stream {stream}: {place:?} is over the limit")),
                Ok(()) => {}
                Err(SendError::TooLarge { .. }) if too_large => {}
                Err(SendError::Closed) => return end(SenderEnd::Closed),
                Err(error) => ledger.broken(format!("stream {stream}: {place:?}: {error}")),
            }
        }
        if plan.unfinished.is_some() {
            self.given_up();
            drop(sender);
            end(SenderEnd::Dropped);
        } else {
            walker.pause(ledger).await;
            sender.finish();
            end(SenderEnd::Finished);
        }
    }

    async fn read<T: Item>(&self, mut items: Streaming<T, Error>) {
        let (ledger, stream, plan) = (&self.ledger, self.stream, self.plan());
        let mut walker = Walker::consumer(&plan.down.consumer, stream, false);
        let mut taken = 0;
        let end = loop {
            walker.pause(ledger).await;
            if plan.stops == Some(taken) {
                self.given_up();
                break End::Dropped;
            }
            let item = loop {
                if let Some(item) = walker.attempt(items.next()).await {
                    break item;
                }
            };
            match item {
                Some(Ok(item)) => {
                    ledger.taken(stream, false, &item);
                    taken += 1;
                }
                Some(Err(error)) => break End::Failed(error),
                None => break End::Complete,
            }
        };
        if !matches!(end, End::Dropped) && items.next().await.is_some() {
            ledger.broken(format!("stream {stream}: something came after its end"));
        }
        self.ended(end);
    }

    async fn await_answer(&self, answer: Answer<(usize, bool), Error>) {
        // Where others stop to take items, this one stops to wait.
        let answer = match self.plan().stops {
            Some(after) => timeout(Duration::from_millis(after as u64 * 50), answer).await.ok(),
            None => Some(answer.await),
        };
        let end = match answer {
            Some(Ok((taken, complete))) => End::Answer(taken, complete),
            Some(Err(error)) => End::Failed(error),
            None => {
                self.given_up();
                End::Dropped
            }
        };
        self.ended(end);
    }
}
