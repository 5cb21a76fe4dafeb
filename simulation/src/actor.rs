//! Somebody who makes calls, by a script.

use std::future::{Future, IntoFuture, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use rpc_client::{Client, ConnectionState, Error, StateWatch};
use rpc_core::{CancelReason, Context};
use tokio::time::{Instant, sleep, timeout};

use crate::journal::{Journal, Outcome};
use crate::oracle::{Check, Violation};
use crate::plan::Plan;
use crate::script::{Act, Call, GiveUp, HELD_MOST, Step, Uid};
use crate::service::{Answer, Args};
use crate::stage::Stage;
use crate::streams;

/// Somebody who makes calls.
pub struct Actor {
    /// Where.
    pub stage: Stage,
    /// Its number, which also says which server it tries first.
    pub number: usize,
}

impl Actor {
    fn client(&self) -> Client {
        let Stage { plan, network, crowd, .. } = &self.stage;
        let client = plan.settings.client(network.dialler(self.number));
        crowd.watch(&client);
        client
    }

    /// Follows the script, and stays until it is to leave.
    pub async fn act(self, steps: Vec<Step>) {
        let mut client = self.client();
        // The calls made through this client.
        let mut made = Vec::new();
        let mut lost = Vec::new();
        let mut calls = Vec::new();
        for Step { after, act } in steps {
            if !after.is_zero() {
                sleep(after).await;
            }
            match act {
                Act::Call(call) => {
                    if client.is_closed() {
                        lost.push(std::mem::replace(&mut client, self.client()));
                        made.clear();
                    }
                    made.push(call.uid);
                    calls.push(tokio::spawn(make(client.clone(), call, self.stage.journal.clone())));
                }
                Act::Stream(plan) => {
                    if client.is_closed() {
                        lost.push(std::mem::replace(&mut client, self.client()));
                        made.clear();
                    }
                    let journal = self.stage.journal.clone();
                    calls.push(tokio::spawn(streams::make(client.clone(), plan, journal)));
                }
                Act::Close => {
                    self.stage.journal.note(|| format!("actor {}: closes", self.number));
                    let client = std::mem::replace(&mut client, self.client());
                    let (made, journal) = (std::mem::take(&mut made), self.stage.journal.clone());
                    calls.push(tokio::spawn(close(client, made, journal)));
                }
                Act::Forget => {
                    self.stage.journal.note(|| format!("actor {}: forgets", self.number));
                    client = self.client();
                    made.clear();
                }
                Act::Ping => {
                    let client = client.clone();
                    calls.push(tokio::spawn(async move { _ = client.ping().await }));
                }
            }
        }
        self.stage.closing.cancelled().await;
        lost.push(client);
        for client in lost {
            let _ = client.close().await;
        }
        for call in calls {
            // Those that failed by a panic have ended their host.
            let _ = call.await;
        }
    }
}

/// All actors of a world, and their clients, whose states are watched.
#[derive(Debug)]
pub struct Crowd {
    reconnects: bool,
    present: AtomicUsize,
    states: Mutex<Vec<StateWatch>>,
}

impl Crowd {
    /// Who is about to come.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let present = plan.clients.iter().map(Vec::len).sum();
        Self {
            reconnects: plan.settings.reconnect,
            present: AtomicUsize::new(present),
            states: Mutex::default(),
        }
    }

    /// One has done all it had to do.
    pub fn left(&self) {
        self.present.fetch_sub(1, Relaxed);
    }

    /// Whether all have.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.present.load(Relaxed) == 0
    }

    fn watch(&self, client: &Client) {
        self.states.lock().unwrap_or_else(PoisonError::into_inner).push(client.watch_state());
    }

    /// Whether nobody is about to connect.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.iter_mut().all(|state| {
            use ConnectionState::{Closed, Failed, Idle, Ready};
            let state = state.current();
            matches!(state, Closed | Idle | Ready) || matches!(state, Failed(_) if !self.reconnects)
        })
    }
}

/// Once a client is closed, its calls have failed: those in flight, and those on connections that
/// it had left.
async fn close(client: Client, made: Vec<Uid>, journal: Arc<Journal>) {
    let _ = client.close().await;
    sleep(HELD_MOST).await;
    let open = journal.open_among(&made);
    if !open.is_empty() {
        let text = format!("calls {open:?} go on though their client was closed");
        journal.broken(Violation::of(Check::EndsOnce, text));
    }
}

type Pending = Pin<Box<dyn Future<Output = Result<Answer, Error>> + Send>>;

async fn make(client: Client, call: Call, journal: Arc<Journal>) {
    let (uid, made) = (call.uid, Instant::now());
    journal.made(uid);
    let parent = Context::detached("Sim.Parent");
    let mut request = client.call(call.method.full_name(), Args::new(&call));
    if call.idempotent {
        request = request.idempotent();
    }
    if let Some(timeout) = call.timeout {
        request = request.timeout(timeout);
    }
    if let GiveUp::Parent(after) = call.give_up {
        request = request.within(&parent);
        let parent = parent.clone();
        tokio::spawn(async move {
            sleep(after).await;
            parent.cancel(CancelReason::Caller);
        });
    }
    let mut pending: Pending = match call.held {
        None => Box::pin(request.into_future()),
        Some(held) => {
            let pending = request.start();
            if !held.is_zero() {
                sleep(held).await;
            }
            Box::pin(pending)
        }
    };
    let result = match call.give_up {
        GiveUp::Never | GiveUp::Parent(_) => Some(pending.await),
        GiveUp::Unpolled => None,
        GiveUp::Begun => match poll_fn(|cx| Poll::Ready(pending.as_mut().poll(cx))).await {
            Poll::Ready(result) => Some(result),
            Poll::Pending => {
                drop(pending);
                None
            }
        },
        GiveUp::After(after) => timeout(after, pending).await.ok(),
    };
    let outcome = match result {
        None => Outcome::GivenUp,
        Some(Ok(answer)) => Outcome::Answered { right: answer.is_to(&call) },
        Some(Err(error)) => Outcome::of_error(&error),
    };
    journal.ended(uid, outcome, made.elapsed());
}
