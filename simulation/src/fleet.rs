//! The servers that ran, each from its start to its end.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rpc_server::{Report, Server};
use tokio_util::sync::CancellationToken;

use crate::script::Method;

/// One run of a server's process.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Which server.
    pub server: usize,
    /// What counts its calls.
    pub counts: Server,
    /// Handlers made, by method.
    pub begun: [u64; Method::ALL.len()],
    /// Handlers of streams made.
    pub streams: u64,
    /// Handlers that run.
    pub running: u64,
    /// What it told when it had ended in good order, and what ran then.
    pub report: Option<(Report, u64)>,
    drain: CancellationToken,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Fleet {
    instances: Mutex<Vec<Instance>>,
}

impl Fleet {
    fn lock(&self) -> MutexGuard<'_, Vec<Instance>> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the next one.
    #[must_use]
    pub fn next(&self) -> usize {
        self.lock().len()
    }

    /// One begins; cancelling what this returns is its signal to end.
    pub fn launch(&self, server: usize, counts: Server) -> CancellationToken {
        let drain = CancellationToken::new();
        let begun = Default::default();
        self.lock().push(Instance {
            server,
            counts,
            begun,
            streams: 0,
            running: 0,
            report: None,
            drain: drain.clone(),
        });
        drain
    }

    /// A handler is made in that one.
    pub fn begun(&self, instance: usize, method: Method) {
        let mut instances = self.lock();
        instances[instance].begun[method as usize] += 1;
        instances[instance].running += 1;
    }

    /// A handler of a stream is made in that one.
    pub fn begun_stream(&self, instance: usize) {
        let mut instances = self.lock();
        instances[instance].streams += 1;
        instances[instance].running += 1;
    }

    /// A handler is gone from that one.
    pub fn over(&self, instance: usize) {
        self.lock()[instance].running -= 1;
    }

    /// That one has ended in good order.
    pub fn ended(&self, instance: usize, report: Report) {
        let instance = &mut self.lock()[instance];
        instance.report = Some((report, instance.running));
    }

    /// Tells a server to end.
    pub fn drain(&self, server: usize) {
        let current = self.lock().iter().rfind(|one| one.server == server).map(|one| one.drain.clone());
        current.into_iter().for_each(|drain| drain.cancel());
    }

    /// Handlers that run in the last instance of a server.
    #[must_use]
    pub fn running(&self, server: usize) -> u64 {
        self.lock().iter().rfind(|one| one.server == server).map_or(0, |one| one.running)
    }

    /// Connections that are open, in all of them.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.lock().iter().map(|one| one.counts.connections()).sum()
    }

    /// Forgets all of them: a server holds its handlers, which hold the fleet.
    pub fn disband(&self) {
        let instances = std::mem::take(&mut *self.lock());
        drop(instances);
    }

    /// All of them, in the order in which they began.
    #[must_use]
    pub fn instances(&self) -> Vec<Instance> {
        self.lock().clone()
    }
}
