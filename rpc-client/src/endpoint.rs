//! Where a client's calls go: the server it was told of, and the connection with it.

use std::borrow::Cow;
use std::future::Future;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use rpc_core::Format;
use rpc_io::now;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::connect_error::ConnectError;
use crate::error::{CallInfo, Error};
use crate::interceptor::{Ended, Interceptor};
use crate::link::Link;
use crate::reconnect::{Reconnect, stay_connected};

/// What all clones of a client share.
pub(crate) struct Endpoint {
    pub(crate) peer: Arc<str>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) interceptors: Vec<Box<dyn Interceptor>>,
    /// What was asked for in the handshake, in this order.
    pub(crate) formats: Vec<Format>,
    /// `None`: it has the one stream that it was given.
    dialler: Option<Dialler>,
    pub(crate) reconnect: Reconnect,
    phase: watch::Sender<Phase>,
    keeper: Mutex<Keeper>,
}

/// Makes a connection.
pub(crate) type Dialler = Box<dyn Fn() -> Dial + Send + Sync>;
pub(crate) type Dial = Pin<Box<dyn Future<Output = Result<Arc<Link>, ConnectError>> + Send>>;

/// Where the client stands with its server.
#[derive(Clone)]
pub(crate) enum Phase {
    /// Nobody has called yet.
    Idle,
    /// The server has closed a connection that nobody used. The next call dials.
    Unused,
    Connecting,
    Ready(Arc<Link>),
    /// Tried again after a while, if it is tried again.
    Failed(Arc<ConnectError>),
    Closed,
}

/// The task that keeps the client connected, and what it leaves behind.
#[derive(Default)]
struct Keeper {
    task: Option<AbortHandle>,
    /// Connections that take no new calls and finish those they have.
    leaving: Vec<Weak<Link>>,
}

/// Why there is no connection for a call.
pub(crate) enum NotConnected {
    /// The client was closed.
    Closed,
    Failed(Arc<ConnectError>),
}

/// What an endpoint is made of.
pub(crate) struct Settings {
    pub(crate) peer: Arc<str>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) interceptors: Vec<Box<dyn Interceptor>>,
    pub(crate) formats: Vec<Format>,
    pub(crate) reconnect: Reconnect,
}

impl Endpoint {
    /// One that is connected by `link` from the start, or by `dialler` when it is needed.
    pub(crate) fn new(settings: Settings, link: Option<Arc<Link>>, dialler: Option<Dialler>) -> Arc<Self> {
        let Settings { peer, timeout, interceptors, formats, reconnect } = settings;
        let phase = watch::Sender::new(Phase::Idle);
        let keeper = Mutex::default();
        let endpoint =
            Arc::new(Self { peer, timeout, interceptors, formats, dialler, reconnect, phase, keeper });
        if let Some(link) = link {
            endpoint.adopt(link.clone());
            endpoint.keep(Some(link));
        }
        endpoint
    }

    pub(crate) fn call_info(&self, method: Cow<'static, str>) -> Box<CallInfo> {
        Box::new(CallInfo { method, peer: self.peer.clone() })
    }

    /// Lets the first `agreed` interceptors see the end of a call that was made then.
    pub(crate) fn after(
        &self,
        method: &str,
        made: Instant,
        agreed: usize,
        outcome: Option<Result<(), &Error>>,
    ) {
        let ended = Ended { method, outcome, elapsed: now() - made };
        self.interceptors[..agreed].iter().rev().for_each(|one| one.after(&ended));
    }

    /// Whether a connection that is lost is followed by another one.
    pub(crate) fn reconnects(&self) -> bool {
        self.reconnect.enabled && self.dialler.is_some()
    }

    pub(crate) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// The connection, if there is one. It may be lost, and nobody has noticed yet.
    #[inline]
    pub(crate) fn link(&self) -> Option<Arc<Link>> {
        match &*self.phase.borrow() {
            Phase::Ready(link) => Some(link.clone()),
            _ => None,
        }
    }

    /// Waits for a connection that takes calls, and begins to make one if nobody has.
    pub(crate) fn connected(
        self: &Arc<Self>,
    ) -> impl Future<Output = Result<Arc<Link>, NotConnected>> + Send + use<> {
        let (endpoint, mut phase) = (self.clone(), self.phase.subscribe());
        async move {
            let (mut waited, mut begun) = (false, false);
            loop {
                let seen = phase.borrow_and_update().clone();
                if let Some(decided) = endpoint.decide(seen, waited, &mut begun) {
                    return decided;
                }
                waited = true;
                // The sender is in the endpoint, which this holds.
                phase.changed().await.map_err(|_| NotConnected::Closed)?;
            }
        }
    }

    /// What a call makes of the phase; `None`: it waits for the next. `begun`: it has begun to
    /// connect, which it does once.
    fn decide(
        self: &Arc<Self>,
        seen: Phase,
        waited: bool,
        begun: &mut bool,
    ) -> Option<Result<Arc<Link>, NotConnected>> {
        match seen {
            Phase::Ready(link) if self.reconnects() && link.shared.is_over() => None,
            Phase::Ready(link) => Some(Ok(link)),
            Phase::Closed => Some(Err(NotConnected::Closed)),
            Phase::Failed(_) if self.reconnects() && self.reconnect.wait_for_ready => None,
            // Nobody else tries again.
            Phase::Failed(_) if !self.reconnects() && !waited => {
                *begun = self.begin();
                None
            }
            Phase::Failed(error) => Some(Err(NotConnected::Failed(error))),
            // The runtime is gone in which this call runs, or takes no tasks any more.
            Phase::Idle if *begun => {
                let ended = io::Error::other("the runtime has ended");
                Some(Err(NotConnected::Failed(Arc::new(ConnectError::dial(&self.peer, ended)))))
            }
            // Also one that was made for this call, if nobody used it before it was seen.
            Phase::Idle | Phase::Unused => {
                *begun = self.begin();
                None
            }
            Phase::Connecting => None,
        }
    }

    /// Begins to connect, unless somebody has; whether it was this one.
    fn begin(self: &Arc<Self>) -> bool {
        let mut first = false;
        self.phase.send_if_modified(|phase| {
            // While it is unused, the task waits for this.
            first = matches!(phase, Phase::Idle | Phase::Failed(_));
            let rests = first || matches!(phase, Phase::Unused);
            if rests {
                *phase = Phase::Connecting;
            }
            rests
        });
        if first {
            self.keep(None);
        }
        first
    }

    fn keep(self: &Arc<Self>, link: Option<Arc<Link>>) {
        let task = tokio::spawn(stay_connected(Arc::downgrade(self), link)).abort_handle();
        self.keeper().task = Some(task.clone());
        // Who closed it meanwhile found no task to abort.
        if matches!(*self.phase.borrow(), Phase::Closed) {
            task.abort();
        }
    }

    fn keeper(&self) -> MutexGuard<'_, Keeper> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to dial. `None` when the client was closed.
    pub(crate) fn dial(&self) -> Option<Dial> {
        let dialler = self.dialler.as_ref()?;
        self.enter(Phase::Connecting).then(dialler)
    }

    /// Calls go to `link` from now on; false when the client was closed.
    pub(crate) fn adopt(&self, link: Arc<Link>) -> bool {
        self.enter(Phase::Ready(link))
    }

    /// No connection could be made, for now; false when the client was closed.
    pub(crate) fn fail(&self, error: ConnectError) -> bool {
        self.enter(Phase::Failed(Arc::new(error)))
    }

    /// The task that kept it connected is gone with its runtime: whoever calls next begins anew.
    pub(crate) fn rest(&self) {
        let dials = self.reconnects() || matches!(*self.phase.borrow(), Phase::Connecting);
        match dials {
            true => _ = self.enter(Phase::Idle),
            false => self.tell(),
        }
    }

    /// Nobody used the connection and it was closed for that: whoever calls next dials again.
    pub(crate) fn unused(&self) {
        self.enter(Phase::Unused);
    }

    /// Tells those who watch that the connection is lost, where none follows.
    pub(crate) fn tell(&self) {
        self.phase.send_modify(|_| ());
    }

    fn enter(&self, next: Phase) -> bool {
        let mut before = None;
        let open = self.phase.send_if_modified(|phase| {
            if matches!(phase, Phase::Closed) {
                return false;
            }
            let left = mem::replace(phase, next);
            if let Phase::Ready(link) = &left {
                let mut keeper = self.keeper();
                keeper.leaving.retain(|link| link.strong_count() > 0);
                keeper.leaving.push(Arc::downgrade(link));
            }
            before = Some(left);
            true
        });
        // The last handle of a connection closes it, which is no work for under a lock.
        drop(before);
        open
    }

    /// Closes it; `None` if that was done before. Otherwise the connections that end with it.
    pub(crate) fn close(&self) -> Option<Vec<Arc<Link>>> {
        let mut before = Phase::Closed;
        if !self.phase.send_if_modified(|phase| {
            before = mem::replace(phase, Phase::Closed);
            !matches!(before, Phase::Closed)
        }) {
            return None;
        }
        let mut keeper = self.keeper();
        let task = keeper.task.take();
        let mut links: Vec<_> = keeper.leaving.drain(..).filter_map(|link| link.upgrade()).collect();
        drop(keeper);
        task.inspect(AbortHandle::abort);
        if let Phase::Ready(link) = before {
            links.push(link);
        }
        Some(links)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // Those who watch hold on to the phase, and so to the connection in it.
        self.close();
    }
}
