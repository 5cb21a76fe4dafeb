//! Streams among the calls of a world: what they do, what happened to them at both ends, and whether that
//! may be.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join;
use futures_util::stream::unfold;
use rand::Rng;
use rand::rngs::SmallRng;
use rpc_client::{Client, Error};
use rpc_core::stream::Shape;
use rpc_core::{Code, Context, Executed, Service, Status, Stream, StreamCall, Streaming};
use tokio::time::{Instant, sleep, timeout};

use crate::fleet::Fleet;
use crate::journal::{Journal, Outcome, UNUSED};
use crate::oracle::{Check, LATE, Violation};
use crate::script::{Uid, millis};
use crate::service::body;

/// The name of the service whose methods have streams.
pub const SERVICE: &str = "Streams";

/// A call with items.
#[derive(Clone, Debug)]
pub struct StreamPlan {
    /// Which, among those with items.
    pub uid: Uid,
    /// Which directions have some.
    pub shape: Shape,
    /// Lengths of the client's items.
    pub up: Vec<u32>,
    /// Lengths of the server's.
    pub down: Vec<u32>,
    /// The longest pause before an item.
    pub pause: Duration,
    /// After its items the handler fails.
    pub fails: bool,
    /// After its items the handler waits until it is given up.
    pub endless: bool,
    /// The time it is given.
    pub timeout: Option<Duration>,
    /// The caller drops all of it after so long.
    pub dropped: Option<Duration>,
}

/// What happened to it.
#[derive(Clone, Debug, Default)]
pub struct StreamRecord {
    /// Lengths of items that were handed over: the client's, and the server's.
    pub handed: [Vec<u32>; 2],
    /// How many of them were taken at the other end.
    pub taken: [usize; 2],
    /// One was not what was sent.
    pub garbled: bool,
    /// How often a handler was made for it, and how often one was gone.
    pub begun: u32,
    /// See `begun`.
    pub over: u32,
    /// The handler had all of the client's items.
    pub input_complete: bool,
    /// The handler had sent all of its own, or its answer.
    pub output_complete: bool,
    /// The client had sent all of its own.
    pub finished: bool,
    /// How it ended for its caller, how long after it was made; once, that is.
    pub ended: Vec<(Outcome, Duration)>,
}

impl StreamPlan {
    /// Any.
    pub fn random(rng: &mut SmallRng, uid: Uid) -> Self {
        let shape = [Shape::Server, Shape::Client, Shape::Bidi][rng.random_range(0..3)];
        let items = |rng: &mut SmallRng, there: bool| {
            let count = if there { rng.random_range(0..12) } else { 0 };
            let len = |_| match rng.random_range(0..100) {
                0..80 => rng.random_range(0..300),
                80..95 => rng.random_range(300..20_000),
                _ => rng.random_range(50_000..150_000),
            };
            (0..count).map(len).collect::<Vec<_>>()
        };
        let (up, down) = (items(rng, shape.sends()), items(rng, shape.answers()));
        let endless = rng.random_bool(0.15);
        let timeout = rng.random_bool(0.3).then(|| millis(rng, 1..400));
        let dropped = (endless && timeout.is_none() || rng.random_bool(0.2)).then(|| millis(rng, 0..200));
        let (pause, fails) = (millis(rng, 1..20), rng.random_bool(0.1));
        Self { uid, shape, up, down, pause, fails, endless, timeout, dropped }
    }

    fn limit(&self) -> Option<Duration> {
        self.timeout.into_iter().chain(self.dropped).min()
    }
}

/// The streams of one server instance.
#[derive(Clone, Debug)]
pub struct StreamWork {
    /// All streams of the world.
    pub plans: Arc<Vec<StreamPlan>>,
    /// Where they are written down.
    pub journal: Arc<Journal>,
    /// Where instances are.
    pub fleet: Arc<Fleet>,
    /// Which instance this is.
    pub instance: usize,
}

impl StreamWork {
    /// As a service.
    #[must_use]
    pub fn service(&self) -> Service {
        let [for_server, for_client, for_both] = [(); 3].map(|()| self.clone());
        Service::new(SERVICE)
            .server_stream("Server", move |_: Context, uid: Uid| {
                let run = for_server.begin(uid);
                async move { Ok::<_, Status>(run.output()) }
            })
            .client_stream("Client", move |_: Context, uid: Uid, items: Streaming<Bytes>| {
                let run = for_client.begin(uid);
                async move {
                    run.take(items).await?;
                    run.rest().await?;
                    run.note(|record| record.output_complete = true);
                    Ok::<_, Status>(uid)
                }
            })
            .bidi_stream("Bidi", move |_: Context, uid: Uid, items: Streaming<Bytes>| {
                let run = for_both.begin(uid);
                async move {
                    run.take(items).await?;
                    Ok::<_, Status>(run.output())
                }
            })
    }

    fn begin(&self, uid: Uid) -> Run {
        self.fleet.begun_stream(self.instance);
        self.journal.stream_begun(uid, self.instance);
        Run { work: self.clone(), uid }
    }
}

/// A handler, also one that is dropped.
struct Run {
    work: StreamWork,
    uid: Uid,
}

impl Run {
    fn plan(&self) -> &StreamPlan {
        &self.work.plans[self.uid]
    }

    fn note(&self, change: impl FnOnce(&mut StreamRecord)) {
        self.work.journal.stream(self.uid, change);
    }

    async fn take(&self, mut items: Streaming<Bytes>) -> Result<(), Status> {
        while let Some(item) = items.try_next().await? {
            self.note(|record| record.take(self.uid, 0, &item));
            sleep(self.plan().pause / 2).await;
        }
        self.note(|record| record.input_complete = true);
        Ok(())
    }

    /// What the handler does after its items.
    async fn rest(&self) -> Result<(), Status> {
        if self.plan().endless {
            std::future::pending::<()>().await;
        }
        match self.plan().fails {
            true => Err(Status::new(Code::DataLoss, "as planned")),
            false => Ok(()),
        }
    }

    fn output(self) -> impl Stream<Item = Result<Bytes, Status>> + Send + 'static {
        unfold((self, 0), |(run, at)| async move {
            let Some(len) = run.plan().down.get(at).copied() else {
                if let Err(status) = run.rest().await {
                    return Some((Err(status), (run, at)));
                }
                run.note(|record| record.output_complete = true);
                return None;
            };
            sleep(run.plan().pause).await;
            run.note(|record| record.handed[1].push(len));
            Some((Ok(item(run.uid, 1, at, len)), (run, at + 1)))
        })
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.work.journal.stream_over(self.uid);
        self.work.fleet.over(self.work.instance);
    }
}

fn item(uid: Uid, way: usize, index: usize, len: u32) -> Bytes {
    body(uid << 20 | way << 19 | index, len as usize)
}

impl StreamRecord {
    fn take(&mut self, uid: Uid, way: usize, came: &Bytes) {
        let index = self.taken[way];
        self.taken[way] += 1;
        let sent = self.handed[way].get(index).map(|len| item(uid, way, index, *len));
        self.garbled |= sent.as_ref() != Some(came);
    }
}

/// Makes the call, and takes and sends its items.
pub async fn make(client: Client, plan: StreamPlan, journal: Arc<Journal>) {
    let made = Instant::now();
    journal.stream_made(plan.uid);
    let work = work(&client, &plan, &journal);
    let outcome = match plan.dropped {
        Some(after) => timeout(after, work).await.unwrap_or(Outcome::GivenUp),
        None => work.await,
    };
    journal.stream_ended(plan.uid, outcome, made.elapsed());
}

async fn work(client: &Client, plan: &StreamPlan, journal: &Journal) -> Outcome {
    let (uid, name) = (plan.uid, format!("{SERVICE}.{:?}", plan.shape));
    let ended = match plan.shape {
        Shape::Server => match timed(client.call_server_stream::<_, Bytes>(name, uid), plan).await {
            Ok(items) => read(items, plan, journal).await,
            Err(error) => Err(error),
        },
        Shape::Client => match timed(client.call_client_stream::<_, Bytes, Uid>(name, uid), plan).await {
            Ok((sender, answer)) => {
                let answer = async { answer.await.map(|answer| answer == uid) };
                join(send(sender, plan, journal), answer).await.1
            }
            Err(error) => Err(error),
        },
        Shape::Bidi => match timed(client.call_bidi_stream::<_, Bytes, Bytes>(name, uid), plan).await {
            Ok((sender, items)) => join(send(sender, plan, journal), read(items, plan, journal)).await.1,
            Err(error) => Err(error),
        },
    };
    match ended {
        Ok(right) => Outcome::Answered { right },
        Err(error) => Outcome::of_error(&error),
    }
}

async fn timed<S: rpc_core::streaming::StreamShape>(
    call: StreamCall<Client, Uid, S>,
    plan: &StreamPlan,
) -> Result<S::Made<Error>, Error> {
    match plan.timeout {
        Some(time) => call.timeout(time).await,
        None => call.await,
    }
}

async fn send(mut sender: rpc_core::Sender<Bytes>, plan: &StreamPlan, journal: &Journal) {
    for (at, len) in plan.up.iter().copied().enumerate() {
        sleep(plan.pause).await;
        if sender.send(item(plan.uid, 0, at, len)).await.is_err() {
            // Its other half knows why.
            return sender.finish();
        }
        journal.stream(plan.uid, |record| record.handed[0].push(len));
    }
    journal.stream(plan.uid, |record| record.finished = true);
    sender.finish();
}

async fn read(
    mut items: Streaming<Bytes, Error>,
    plan: &StreamPlan,
    journal: &Journal,
) -> Result<bool, Error> {
    while let Some(item) = items.try_next().await? {
        journal.stream(plan.uid, |record| record.take(plan.uid, 1, &item));
        sleep(plan.pause / 2).await;
    }
    Ok(items.next().await.is_none())
}

/// Judges one stream when all is over, of a client that makes lost connections again, or of one that does not.
pub fn judge(plan: &StreamPlan, record: &StreamRecord, reconnects: bool, violations: &mut Vec<Violation>) {
    let mut broken = |check, text: &str| {
        let text = format!("stream {}: {text}: {plan:?}, {record:?}", plan.uid);
        violations.push(Violation::of(check, text));
    };
    if record.ended.len() != 1 || record.begun != record.over {
        broken(Check::EndsOnce, "it did not end once at each end");
    }
    if record.begun > 1 {
        broken(Check::AtMostOnce, "it ran again");
    }
    if record.garbled {
        broken(Check::RightItems, "what came is not what was sent");
    }
    if record.input_complete && (!record.finished || record.taken[0] != record.handed[0].len()) {
        broken(Check::RightItems, "its handler lacks items and does not know");
    }
    for (outcome, took) in &record.ended {
        // What came in time is there to be read after it, at its reader's pace.
        let reading = plan.pause / 2 * (record.taken[1] as u32 + 1);
        if plan.limit().is_some_and(|limit| *took > limit + reading + LATE) {
            broken(Check::EndsInTime, "it took longer than its time");
        }
        match outcome {
            Outcome::GivenUp => {}
            Outcome::Answered { right } => {
                let all = record.taken[1] == record.handed[1].len() && record.output_complete;
                if !right || !all || plan.shape.sends() && !record.input_complete {
                    broken(Check::RightItems, "it lacks items, and is said to be complete");
                }
            }
            Outcome::Failed { executed, kind, .. } => {
                // With a sender in its caller's hands it stays where it is.
                if *kind == UNUSED && reconnects && !plan.shape.sends() {
                    broken(Check::Reconnects, "it did not move to another connection");
                }
                if kind.starts_with("unexpected") {
                    broken(Check::Honesty, kind);
                }
                match executed {
                    Executed::No if record.begun > 0 => broken(Check::NoIsNo, "it ran"),
                    Executed::Yes if record.begun == 0 => broken(Check::YesIsYes, "it never ran"),
                    _ => {}
                }
            }
        }
    }
}
