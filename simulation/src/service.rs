//! What the servers do.

use std::future::{Future, pending};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rpc_core::{Context, Service, Status};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::fleet::Fleet;
use crate::journal::Journal;
use crate::script::{Call, Method, Uid};

/// What a handler is told.
#[derive(Debug, Serialize, Deserialize)]
pub struct Args {
    uid: Uid,
    work: Duration,
    answer: usize,
    body: Bytes,
}

/// What it says.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answer {
    uid: Uid,
    body: Bytes,
}

impl Args {
    /// Of that call.
    #[must_use]
    pub fn new(call: &Call) -> Self {
        let body = body(call.uid, call.request);
        Self { uid: call.uid, work: call.work, answer: call.answer, body }
    }
}

impl Answer {
    /// Whether it is the answer to `call`.
    #[must_use]
    pub fn is_to(&self, call: &Call) -> bool {
        self.uid == call.uid && self.body == body(!call.uid, call.answer)
    }
}

/// Differs from call to call, so that one is not taken for another's.
pub(crate) fn body(uid: Uid, len: usize) -> Bytes {
    let mixed = (uid as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    let mut body = mixed.repeat(len.div_ceil(mixed.len()));
    body.truncate(len);
    body.into()
}

/// The work of one server instance.
#[derive(Clone, Debug)]
pub struct Work {
    /// Where calls are written down.
    pub journal: Arc<Journal>,
    /// Where instances are.
    pub fleet: Arc<Fleet>,
    /// Which instance this is.
    pub instance: usize,
}

impl Work {
    /// As a service.
    #[must_use]
    pub fn service(&self) -> Service {
        Method::ALL.into_iter().fold(Service::new("Sim"), |service, method| {
            let work = self.clone();
            let handler = move |_: Context, args: Args| work.clone().run(method, args);
            service.with(rpc_core::Method::new(method.name(), handler).execution(method.execution()))
        })
    }

    fn run(self, method: Method, args: Args) -> impl Future<Output = Result<Answer, Status>> + Send + use<> {
        let Args { uid, work, answer, body: sent } = args;
        self.journal.begun(uid, self.instance);
        self.fleet.begun(self.instance, method);
        if sent != body(uid, sent.len()) {
            self.journal.garbled(uid);
        }
        let run = Run { work: self, uid };
        async move {
            let _run = run;
            match method {
                Method::Fast => {}
                Method::Wait | Method::Spawned | Method::Fail => sleep(work).await,
                Method::Never | Method::NeverSpawned => pending().await,
            }
            match method {
                Method::Fail => Err(Status::new(rpc_core::Code::DataLoss, format!("failed {uid}"))),
                _ => Ok(Answer { uid, body: body(!uid, answer) }),
            }
        }
    }
}

/// A handler, also one that is dropped.
struct Run {
    work: Work,
    uid: Uid,
}

impl Drop for Run {
    fn drop(&mut self) {
        self.work.journal.over(self.uid);
        self.work.fleet.over(self.work.instance);
    }
}
