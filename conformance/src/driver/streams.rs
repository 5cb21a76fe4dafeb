//! Calls with streams, each half in a task of its own.

use std::future::{IntoFuture, ready};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail};
use bytes::Bytes;
use rpc_client::{Client, Error};
use rpc_core::{Answer, SendError, Sender, StreamCall, Streaming, streaming::StreamShape};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Tell;
use super::calls::Options;
use crate::value::Value;

/// An item, or the end of them; and whom to tell that it was begun with.
type Order = (Option<String>, oneshot::Sender<()>);

/// A call that was made.
pub(super) struct Handle {
    task: JoinHandle<()>,
    orders: UnboundedSender<Order>,
    /// An item waits for credit, and those behind it with it.
    blocked: Arc<AtomicBool>,
    reads: UnboundedSender<()>,
}

/// The tasks' end of it.
struct Orders {
    orders: UnboundedReceiver<Order>,
    blocked: Arc<AtomicBool>,
    reads: UnboundedReceiver<()>,
}

impl Handle {
    /// A call without streams.
    pub(super) fn of(task: JoinHandle<()>) -> Self {
        Self { task, ..Self::new(|_| tokio::spawn(ready(()))) }
    }

    fn new(spawn: impl FnOnce(Orders) -> JoinHandle<()>) -> Self {
        let ((orders, ordered), (reads, read)) = (unbounded_channel(), unbounded_channel());
        let blocked = Arc::<AtomicBool>::default();
        let task = spawn(Orders { orders: ordered, blocked: blocked.clone(), reads: read });
        Self { task, orders, blocked, reads }
    }

    pub(super) async fn send(&mut self, item: Option<String>, tell: Tell) {
        let (begun, begins) = oneshot::channel();
        let waits = self.orders.send((item, begun)).is_ok() && !self.blocked.load(Ordering::Relaxed);
        if waits {
            // An error: the call is over.
            let _ = begins.await;
        }
        tell.ok();
    }

    pub(super) fn read(&mut self, tell: Tell) {
        let _ = self.reads.send(());
        tell.ok();
    }

    /// Gives the call up.
    pub(super) async fn end(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

pub(super) fn server_stream(client: &Client, options: Options, tell: Tell) -> Result<Handle> {
    match &*options.method {
        "Stream.Blobs" => receive::<(u32, u32), Bytes>(client, options, tell),
        _ => receive::<i64, i64>(client, options, tell),
    }
}

pub(super) fn client_stream(client: &Client, options: Options, tell: Tell) -> Result<Handle> {
    match &*options.method {
        "Stream.Count" => send::<Bytes, (u64, u64)>(client, options, tell),
        "Stream.Sum" => send::<i64, i64>(client, options, tell),
        method => bail!("{method} takes no items"),
    }
}

pub(super) fn bidi(client: &Client, options: Options, tell: Tell) -> Result<Handle> {
    let (method, call) = (options.method.clone(), options.call);
    let opening = with(client.call_bidi_stream::<(), i64, i64>(method, ()), options);
    Ok(Handle::new(|Orders { orders, blocked, reads }| {
        tokio::spawn(async move {
            let Some((sender, items)) = open(call, opening, &tell).await else { return };
            let sends = sending(call, sender, orders, blocked, tell.clone());
            tokio::join!(sends, reading(call, items, reads, tell));
        })
    }))
}

fn receive<A, T>(client: &Client, options: Options, tell: Tell) -> Result<Handle>
where
    A: Value + Serialize + Send + 'static,
    T: Value + DeserializeOwned + Send + 'static,
{
    let (method, call, args) = (options.method.clone(), options.call, A::parse(&options.args)?);
    let opening = with(client.call_server_stream::<A, T>(method, args), options);
    Ok(Handle::new(|Orders { reads, .. }| {
        tokio::spawn(async move {
            let Some(items) = open(call, opening, &tell).await else { return };
            reading(call, items, reads, tell).await;
        })
    }))
}

fn send<T, R>(client: &Client, options: Options, tell: Tell) -> Result<Handle>
where
    T: Value + Serialize + Send + 'static,
    R: Value + DeserializeOwned + Send + 'static,
{
    let (method, call) = (options.method.clone(), options.call);
    let opening = with(client.call_client_stream::<(), T, R>(method, ()), options);
    Ok(Handle::new(|Orders { orders, blocked, .. }| {
        tokio::spawn(async move {
            let Some((sender, answer)) = open(call, opening, &tell).await else { return };
            let sends = sending(call, sender, orders, blocked, tell.clone());
            tokio::join!(sends, answered(call, answer, tell));
        })
    }))
}

fn with<A, S>(mut call: StreamCall<Client, A, S>, options: Options) -> StreamCall<Client, A, S>
where
    A: Serialize + Send,
    S: StreamShape,
{
    for (key, value) in options.metadata {
        call = call.metadata(&key, value);
    }
    match options.timeout {
        Some(timeout) => call.timeout(timeout),
        None => call,
    }
}

/// Makes the call; `None` when it failed.
async fn open<A, S>(number: u32, call: StreamCall<Client, A, S>, tell: &Tell) -> Option<S::Made<Error>>
where
    A: Serialize + Send,
    S: StreamShape,
{
    let mut opening = pin!(call.into_future());
    // It is on its way, or waits for room, when it was polled.
    let opened = tokio::select! {
        biased;
        opened = &mut opening => {
            tell.ok();
            opened
        }
        () = ready(()) => {
            tell.ok();
            opening.await
        }
    };
    opened.map_err(|error| tell.failed(number, &error)).ok()
}

async fn reading<T>(call: u32, mut items: Streaming<T, Error>, mut reads: UnboundedReceiver<()>, tell: Tell)
where
    T: Value,
{
    let mut head = items.metadata();
    head.take().into_iter().for_each(|head| tell.metadata(call, &head));
    while reads.recv().await.is_some() {
        match items.next().await {
            Some(Ok(item)) => tell.of(call, &format!("item {}", item.show())),
            Some(Err(error)) => tell.failed(call, &error),
            None => {
                tell.metadata(call, &items.trailers());
                tell.of(call, "end");
            }
        }
    }
}

async fn sending<T>(
    call: u32,
    mut sender: Sender<T>,
    mut orders: UnboundedReceiver<Order>,
    blocked: Arc<AtomicBool>,
    tell: Tell,
) where
    T: Value + Serialize + 'static,
{
    while let Some((item, begun)) = orders.recv().await {
        let Some(item) = item else {
            sender.finish();
            let _ = begun.send(());
            return;
        };
        let Ok(item) = T::parse(&item) else { return tell.of(call, "malformed") };
        let mut sent = pin!(sender.send(item));
        let sent = tokio::select! {
            biased;
            sent = &mut sent => {
                let _ = begun.send(());
                sent
            }
            () = ready(()) => {
                blocked.store(true, Ordering::Relaxed);
                let _ = begun.send(());
                let sent = sent.await;
                blocked.store(false, Ordering::Relaxed);
                sent
            }
        };
        match sent {
            // Why it is over, the answer tells.
            Ok(()) | Err(SendError::Closed) => {}
            Err(_) => tell.of(call, "unsent"),
        }
    }
}

async fn answered<R>(call: u32, answer: Answer<R, Error>, tell: Tell)
where
    R: Value + DeserializeOwned + Send + 'static,
{
    match answer.with_metadata().await {
        Ok(reply) => {
            tell.metadata(call, &reply.metadata);
            tell.of(call, &format!("response {}", reply.value.show()));
        }
        Err(error) => tell.failed(call, &error),
    }
}
