//! What the service is about, by RPC and by REST: a number that is counted up.

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use rpc_core::{Code, Context, Status};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// The contract. A crate of its own in a real project.
#[rpc_core::service(name = "Counter")]
pub(crate) trait Count {
    /// Adds `n`; what is there then.
    async fn add(&self, cx: &Context, n: u32) -> Result<u64, Status>;

    /// What is there, as soon as that is `total` or more.
    async fn reach(&self, cx: &Context, total: u64) -> Result<u64, Status>;
}

/// The number; clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counter(watch::Sender<u64>);

impl Counter {
    fn add(&self, n: u32) -> Result<u64, Status> {
        let mut sum = None;
        self.0.send_if_modified(|total| {
            sum = total.checked_add(n.into());
            *total = sum.unwrap_or(*total);
            sum.is_some()
        });
        sum.ok_or_else(|| Status::out_of_range("the total has over 64 bits"))
    }

    async fn reach(&self, least: u64) -> Result<u64, Status> {
        Ok(*self.0.subscribe().wait_for(|total| *total >= least).await?)
    }
}

impl Count for Counter {
    async fn add(&self, _cx: &Context, n: u32) -> Result<u64, Status> {
        self.add(n)
    }

    async fn reach(&self, _cx: &Context, total: u64) -> Result<u64, Status> {
        self.reach(total).await
    }
}

#[derive(Deserialize)]
struct Add {
    add: u32,
}

#[derive(Serialize)]
struct Total {
    total: u64,
}

type Answer = Result<Json<Total>, (StatusCode, String)>;

/// The same two as resources: `GET /counter` and `/counter/reached/{total}`, `POST /counter`.
pub(crate) fn rest(counter: Counter) -> Router {
    Router::new()
        .route(
            "/counter",
            get(async |State(counter): State<Counter>| total(counter.reach(0).await)).post(add),
        )
        .route("/counter/reached/{total}", get(reached))
        .with_state(counter)
}

async fn add(State(counter): State<Counter>, Json(Add { add }): Json<Add>) -> Answer {
    total(counter.add(add))
}

async fn reached(State(counter): State<Counter>, Path(least): Path<u64>) -> Answer {
    total(counter.reach(least).await)
}

fn total(result: Result<u64, Status>) -> Answer {
    let refused = |status: Status| {
        let code = match status.code() {
            Code::InvalidArgument | Code::OutOfRange => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (code, status.message().to_owned())
    };
    result.map(|total| Json(Total { total })).map_err(refused)
}
