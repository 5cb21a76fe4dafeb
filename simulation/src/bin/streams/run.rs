//! One schedule, from its seed to the judgement.

use std::cell::RefCell;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use rpc_client::{Client, Error};
use rpc_core::planted::{Bug, plant};
use rpc_core::{Code, Streaming};
use rpc_server::Server;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::{Builder, RngSeed};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::caller;
use crate::handler::service;
use crate::judge::judge;
use crate::ledger::{End, Ledger};
use crate::pipe::pipe;
use crate::plan::{Call, Ending, LONGEST, Plan, RELEASE};
use crate::tally::Tally;

/// What is given up is gone on the server within this.
const SETTLED: Duration = Duration::from_secs(120);

/// The server's memory is filled to its limit in one of so many schedules.
const FILLED: u64 = 8;

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// What became of a schedule.
pub(crate) struct Verdict {
    pub(crate) violations: Vec<String>,
    pub(crate) tally: Tally,
    pub(crate) events: Vec<String>,
}

/// Lets panics be told by the schedules that they end, instead of at once.
pub(crate) fn keep_panics() {
    std::panic::set_hook(Box::new(|info| {
        PANIC.with_borrow_mut(|kept| _ = kept.get_or_insert(info.to_string()));
    }));
}

/// Runs the schedule of `seed`, with a bug if there is to be one.
pub(crate) fn run(seed: u64, traced: bool, bug: Option<Bug>) -> Verdict {
    plant(bug);
    let ended = catch_unwind(|| {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .rng_seed(RngSeed::from_bytes(&seed.to_le_bytes()))
            .build();
        let runtime = runtime.unwrap_or_else(|error| panic!("no runtime: {error}"));
        runtime.block_on(happen(Plan::new(seed), traced))
    });
    plant(None);
    let mut verdict = ended.unwrap_or_else(|_| Verdict {
        violations: Vec::new(),
        tally: Tally::default(),
        events: Vec::new(),
    });
    // Also one in a task, whoever lived on after it.
    verdict.violations.extend(PANIC.take());
    verdict.tally.schedule(verdict.violations.len());
    verdict
}

async fn happen(plan: Plan, traced: bool) -> Verdict {
    let plan = Arc::new(plan);
    let ledger = Ledger::new(plan.clone(), traced);
    ledger.note(|| format!("{plan:#?}"));
    let began = Instant::now();
    if timeout(LONGEST, Schedule::new(&ledger).run()).await.is_err() {
        let state = ledger.state();
        let open = state.streams.iter().enumerate().filter(|(_, record)| record.ends.is_empty());
        let open: Vec<_> = open.map(|(stream, _)| stream).collect();
        drop(state);
        ledger.broken(format!("deadlock: streams {open:?} have not ended after {LONGEST:?}"));
    }
    let mut tally = Tally::default();
    let state = std::mem::take(&mut *ledger.state());
    let mut violations = state.violations;
    if violations.is_empty() {
        state.streams.iter().enumerate().for_each(|(at, record)| judge(&plan, at, record, &mut violations));
    }
    state.streams.iter().zip(&plan.streams).for_each(|(record, stream)| tally.stream(stream, record));
    tally.count("item", state.items);
    tally.count("byte of items", state.bytes);
    tally.count("schedule with all streams stalled, and items over the window", state.jammed.into());
    tally.most("largest simulated time, in ms", began.elapsed().as_millis() as u64);
    tally.most(
        "most bytes on their way, of all that are allowed, in percent",
        state.peak * 100 / ledger.bound().max(1),
    );
    Verdict { violations, tally, events: state.events.unwrap_or_default() }
}

struct Schedule<'a> {
    ledger: &'a Arc<Ledger>,
    plan: &'a Plan,
    /// Lets the calls go that hold the server's memory.
    held: CancellationToken,
}

impl<'a> Schedule<'a> {
    fn new(ledger: &'a Arc<Ledger>) -> Self {
        Self { ledger, plan: &ledger.plan, held: CancellationToken::new() }
    }

    fn server(&self) -> Server {
        let Plan { server, max_streams, max_calls, seed, .. } = *self.plan;
        let server = Server::builder()
            .register(service(self.ledger, &self.held))
            .stream_window(server.window)
            .max_frame(server.max_frame)
            .max_streams_per_connection(max_streams)
            .concurrency_limit_per_connection(max_calls)
            .max_memory(self.plan.memory())
            .seed(seed)
            .build();
        server.unwrap_or_else(|error| panic!("no server: {error}"))
    }

    async fn run(&self) {
        let (plan, server) = (self.plan, self.server());
        let bytes = match plan.ending {
            Ending::CutAt(bytes) => Some(bytes),
            _ => None,
        };
        let (near, far, scissors) = pipe(plan.manners, plan.seed, bytes);
        let serving = serve(server.clone(), far);
        let client = Client::builder()
            .stream_window(plan.client.window)
            .max_frame(plan.client.max_frame)
            .seed(plan.seed)
            .over(near)
            .await;
        let client = match client {
            Ok(client) => client,
            Err(error) => {
                if bytes.is_none() {
                    self.ledger.broken(format!("no connection: {error}"));
                }
                return self.never_began();
            }
        };
        let ends = async {
            let what = match plan.ending {
                Ending::Cut(after) => {
                    sleep(after).await;
                    scissors.cut();
                    "cut"
                }
                Ending::Drain(after, grace) => {
                    sleep(after).await;
                    self.ledger.note(|| "the server is to end".into());
                    server.shutdown(grace).await;
                    "drained"
                }
                Ending::Close(after) => {
                    sleep(after).await;
                    self.ledger.note(|| "the client closes".into());
                    let _ = client.close().await;
                    "closed"
                }
                Ending::Idle | Ending::CutAt(_) => return,
            };
            self.ledger.note(|| format!("the connection was {what}"));
        };
        let release = async {
            sleep(RELEASE).await;
            self.ledger.release();
            self.ledger.note(|| "all are told to go on".into());
        };
        let streams = (0..plan.streams.len())
            .map(|stream| tokio::spawn(caller::call(self.ledger.clone(), client.clone(), stream)));
        let calls = plan
            .calls
            .iter()
            .map(|call| tokio::spawn(caller::echo(self.ledger.clone(), client.clone(), *call)));
        let (streams, calls): (Vec<_>, Vec<_>) = (streams.collect(), calls.collect());
        let (_, _, streams, calls) = tokio::join!(ends, release, join_all(streams), join_all(calls));
        for error in streams.into_iter().filter_map(Result::err) {
            self.ledger.broken(format!("a caller failed: {error}"));
        }
        for (call, end) in plan.calls.iter().zip(calls) {
            self.judge_call(call, end.ok().flatten());
        }
        self.settle(&server).await;
        if plan.ending == Ending::Idle {
            self.reuse(&client).await;
        }
        let _ = client.close().await;
        if timeout(SETTLED, serving).await.is_err() {
            self.ledger.broken("the server still serves a connection that was closed");
        }
        if !matches!(plan.ending, Ending::Drain(..)) && plan.seed % FILLED == 0 {
            self.fill(&server).await;
        }
    }

    /// The connection was cut before there was one.
    fn never_began(&self) {
        for record in &mut self.ledger.state().streams {
            record.given_up = true;
            record.ends.push(End::Dropped);
        }
    }

    fn judge_call(&self, call: &Call, error: Option<Error>) {
        let explained = match (&error, self.plan.ending) {
            (None, _) => true,
            (Some(error), Ending::Cut(_) | Ending::CutAt(_)) => matches!(error, Error::ConnectionLost { .. }),
            (Some(Error::ConnectionLost { .. }), Ending::Drain(..)) => true,
            (Some(error), Ending::Drain(..)) => {
                error.status().is_some_and(|status| status.code() == Code::Unavailable)
            }
            (Some(error), Ending::Close(_)) => matches!(error, Error::Shutdown { .. }),
            (Some(_), Ending::Idle) => false,
        };
        if !explained {
            self.ledger.broken(format!("nothing explains how {call:?} ended: {error:?}"));
        }
    }

    /// Nothing is left of any stream on the server.
    async fn settle(&self, server: &Server) {
        let is_quiet =
            || self.ledger.state().running == 0 && server.stats().iter().all(|method| method.in_flight == 0);
        if self.until(is_quiet).await {
            return;
        }
        let busy: Vec<_> = server.stats().into_iter().filter(|method| method.in_flight > 0).collect();
        let running = self.ledger.state().running;
        self.ledger.broken(format!("the server is left with {running} handlers, and counts {busy:?}"));
    }

    async fn until(&self, reached: impl Fn() -> bool) -> bool {
        let end = Instant::now() + SETTLED;
        while !reached() {
            if Instant::now() >= end {
                return false;
            }
            sleep(Duration::from_millis(100)).await;
        }
        true
    }

    /// Whatever there was of streams, there is room for as many as at the beginning.
    async fn reuse(&self, client: &Client) {
        let most = self.plan.max_streams.min(self.plan.max_calls).min(50);
        // Behind the last words on the streams before.
        let _ = client.ping().await;
        let opened = (0..most).map(|_| async {
            let mut items: Streaming<u32, Error> = client.call_server_stream("Test.One", ()).await?;
            let item = items.try_next().await?;
            Ok::<_, Error>((item, items.try_next().await?))
        });
        for end in join_all(opened).await {
            if !matches!(end, Ok((Some(7), None))) {
                self.ledger.broken(format!("a stream after all others: {end:?}"));
            }
        }
    }

    /// The server has all of its memory: calls that hold it to the last byte, and not one more.
    async fn fill(&self, server: &Server) {
        // As the server counts it, beside the body of a call with its length.
        const CALL: usize = 1024;
        const LARGEST: usize = 60_000;
        let (near, far) = tokio::io::duplex(1 << 20);
        let serving = serve(server.clone(), far);
        let client = match Client::new(near).await {
            Ok(client) => client,
            Err(error) => return self.ledger.broken(format!("no second connection: {error}")),
        };
        let (memory, count) = (self.plan.memory(), self.plan.memory().div_ceil(LARGEST));
        // The first one has what does not divide; the length stands in 3 bytes before each body.
        let bodies: Vec<_> = (0..count)
            .map(|at| memory / count + if at == 0 { memory % count } else { 0 } - CALL - 3)
            .collect();
        let hold = |len: usize| client.call::<_, ()>("Test.Hold", Bytes::from(vec![1; len]));
        let limit = self.plan.max_calls as usize;
        if bodies.len() < limit {
            let mut holding = Vec::new();
            for len in bodies {
                holding.push(hold(len).start());
                // What is started without room for it would not go out.
                let _ = timeout(SETTLED, client.ping()).await;
            }
            let more = timeout(SETTLED, hold(0)).await;
            let refused =
                more.as_ref().ok().and_then(|more| more.as_ref().err()?.status().map(|status| status.code()));
            if refused != Some(Code::ResourceExhausted) {
                self.ledger.broken(format!("the server has more memory than it may have: {more:?}"));
            }
            self.held.cancel();
            for end in join_all(holding).await {
                if let Err(error) = end {
                    self.ledger.broken(format!("the server has not got its memory back: {error}"));
                }
            }
        }
        let _ = client.close().await;
        let _ = serving.await;
    }
}

fn serve<IO>(server: Server, io: IO) -> JoinHandle<()>
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    tokio::spawn(async move { drop(server.serve_connection(io).await) })
}
