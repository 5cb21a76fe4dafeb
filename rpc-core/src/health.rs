//! The health service, which tells probes and balancers whether a server takes calls.
//!
//! Source: <https://github.com/grpc/grpc/blob/master/doc/health-checking.md>.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::service;
use crate::status::Status;

/// Whether a service takes calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Serving {
    /// It does.
    Serving,
    /// Not now: it starts, stops, or misses something that it needs.
    NotServing,
}

/// Asks a server how its services are.
#[service]
pub trait Health {
    /// Whether `service` takes calls; the empty name asks for the server as a whole.
    ///
    /// Fails with [`NotFound`](crate::Code::NotFound) for a service that nobody reports on.
    async fn check(&self, cx: &Context, service: String) -> Result<Serving, Status>;
}

/// Answers [`Health`] with what it was told last. A clone tells the same server.
///
/// ```
/// use rpc_core::Service;
/// use rpc_core::health::{HealthReporter, HealthServer, Serving};
///
/// let health = HealthReporter::new();
/// let service = Service::from(HealthServer::new(health.clone()));
///
/// health.set("Arith", Serving::Serving);
/// # assert_eq!(service.name(), "Health");
/// ```
#[derive(Clone)]
pub struct HealthReporter {
    services: Arc<Mutex<HashMap<String, Serving>>>,
}

impl HealthReporter {
    /// A reporter that knows one thing: the server as a whole is serving.
    #[must_use]
    pub fn new() -> Self {
        let services = HashMap::from([(String::new(), Serving::Serving)]);
        Self { services: Arc::new(Mutex::new(services)) }
    }

    /// Says how a service is from now on; the empty name is the server as a whole.
    pub fn set(&self, service: impl Into<String>, serving: Serving) {
        let service = service.into();
        self.services().insert(service, serving);
    }

    fn services(&self) -> MutexGuard<'_, HashMap<String, Serving>> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for HealthReporter {
    fn default() -> Self {
        Self::new()
    }
}

impl Health for HealthReporter {
    async fn check(&self, _cx: &Context, service: String) -> Result<Serving, Status> {
        let serving = self.services().get(&service).copied();
        serving.ok_or_else(|| Status::not_found(format!("nobody reports on a service `{service}`")))
    }
}

impl fmt::Debug for HealthReporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HealthReporter").field(&*self.services()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{self, Poll, Waker};

    use super::*;
    use crate::status::Code;

    fn check(health: &HealthReporter, service: &str) -> Result<Serving, Status> {
        let cx = Context::detached("Health.Check");
        let answer = pin!(health.check(&cx, service.to_owned()));
        match answer.poll(&mut task::Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => answer,
            Poll::Pending => panic!("a check does not wait"),
        }
    }

    #[test]
    fn a_reporter_answers_what_it_was_told_last() {
        let health = HealthReporter::new();
        let server = health.clone();
        assert_eq!(check(&server, ""), Ok(Serving::Serving));
        assert_eq!(check(&server, "Arith").unwrap_err().code(), Code::NotFound);

        health.set("Arith", Serving::Serving);
        health.set("", Serving::NotServing);
        assert_eq!(check(&server, "Arith"), Ok(Serving::Serving));
        assert_eq!(check(&server, ""), Ok(Serving::NotServing));
    }

    #[test]
    fn the_contract_is_health_check() {
        let service = crate::Service::from(HealthServer::new(HealthReporter::new()));
        assert_eq!((service.name(), service.methods()[0].name()), ("Health", "Check"));
    }
}
