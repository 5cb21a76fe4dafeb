//! What all connections of a server share.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rpc_core::jitter::Jitter;
use rpc_core::{Code, Context, Executed, Status};
use rpc_io::now;
use tracing::Span;

use crate::config::Config;
use crate::interceptor::{Ended, Intercepted, Interceptor};
use crate::registry::Registry;
use crate::room::Room;
use crate::route::Routes;
use crate::shutdown::Shutdown;

/// Connections that were made together must not end together, and be made again together.
const AGE_JITTER: f64 = 0.1;

pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) registry: Registry,
    /// What is answered beside RPC, by path.
    pub(crate) routes: Routes,
    pub(crate) shutdown: Shutdown,
    pub(crate) room: Room,
    /// Bytes that waiting calls count for.
    pub(crate) memory: Arc<AtomicUsize>,
    pub(crate) interceptors: Vec<Box<dyn Interceptor>>,
    pub(crate) jitter: Mutex<Jitter>,
}

impl State {
    /// How old the next connection may get.
    pub(crate) fn connection_age(&self) -> Option<Duration> {
        let age = self.config.max_connection_age?;
        Some(self.jitter.lock().unwrap_or_else(PoisonError::into_inner).vary(age, AGE_JITTER))
    }

    /// Shows the call to the interceptors; what they need to see its end, if there are any.
    pub(crate) fn before(&self, cx: &Context) -> (Option<Intercepted>, Result<(), Status>) {
        if self.interceptors.is_empty() {
            return (None, Ok(()));
        }
        let mut intercepted = Intercepted { since: now(), agreed: 0 };
        for interceptor in &self.interceptors {
            let allowed = catch_unwind(AssertUnwindSafe(|| interceptor.before(cx)));
            if let Err(status) = allowed.unwrap_or_else(|_| Err(Status::internal("an interceptor panicked")))
            {
                return (Some(intercepted), Err(status.with_executed(Executed::No)));
            }
            intercepted.agreed += 1;
        }
        (Some(intercepted), Ok(()))
    }

    pub(crate) fn after(&self, cx: &Context, code: Option<Code>, intercepted: Option<Intercepted>) {
        let Some(Intercepted { since, agreed }) = intercepted else { return };
        let ended = Ended { method: cx.method(), peer: cx.peer(), code, elapsed: now() - since };
        for interceptor in self.interceptors[..agreed].iter().rev() {
            if catch_unwind(AssertUnwindSafe(|| interceptor.after(&ended))).is_err() {
                tracing::error!(method = cx.method(), "interceptor panicked");
            }
        }
    }

    /// The span of a call, with OpenTelemetry's names; nothing when nobody listens.
    pub(crate) fn span(&self, cx: &Context) -> Span {
        if !tracing::enabled!(target: "rpc_server::call", tracing::Level::INFO) {
            return Span::none();
        }
        let (service, method) = cx.method().rsplit_once('.').unwrap_or(("", cx.method()));
        let span = tracing::info_span!(
            target: "rpc_server::call",
            "rpc",
            otel.kind = "server",
            otel.name = cx.method(),
            rpc.system = "rpc_connect",
            rpc.service = service,
            rpc.method = method,
            network.peer.address = tracing::field::Empty,
            network.peer.port = tracing::field::Empty,
            error.type = tracing::field::Empty,
        );
        if let Some(address) = cx.peer().address {
            span.record("network.peer.address", tracing::field::display(address.ip()));
            span.record("network.peer.port", address.port());
        }
        span
    }
}
