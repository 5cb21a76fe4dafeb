//! The methods of a server, by name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use rpc_core::service::split_name;
use rpc_core::{Execution, Method, Service, Status};

use crate::error::BuildError;

/// See [`Entry::note_time`].
const STRIKES: u32 = 3;

/// A handler that computes for longer than this without a pause holds up its connection.
pub(crate) const SLOW: Duration = Duration::from_millis(1);

/// A registered method and what was counted of it.
pub(crate) struct Entry {
    pub(crate) name: Arc<str>,
    pub(crate) method: Method,
    calls: AtomicU64,
    errors: AtomicU64,
    waiting: AtomicU64,
    /// How often in a row it was seen computing for too long. Once may be the scheduler's doing;
    /// after [`STRIKES`] its handlers get tasks of their own.
    strikes: AtomicU32,
}

impl Entry {
    pub(crate) fn runs(&self) -> Execution {
        match self.method.runs() {
            Execution::Inline if self.strikes.load(Relaxed) >= STRIKES => Execution::Spawn,
            runs => runs,
        }
    }

    /// It computed for so long without a pause. One that holds up its connection is noticed.
    pub(crate) fn note_time(&self, took: Duration) {
        let strikes = self.strikes.load(Relaxed);
        if took <= SLOW {
            if (1..STRIKES).contains(&strikes) {
                self.strikes.store(0, Relaxed);
            }
        } else if strikes < STRIKES && self.strikes.fetch_add(1, Relaxed) + 1 == STRIKES {
            tracing::warn!(
                method = &*self.name,
                ?took,
                "handlers compute for over 1 ms: they are spawned from now on; say #[rpc(spawn)] or #[rpc(blocking)]"
            );
        }
    }

    pub(crate) fn count_start(&self) {
        self.calls.fetch_add(1, Relaxed);
    }

    /// It was not ready at once.
    pub(crate) fn count_waiting(&self) {
        self.waiting.fetch_add(1, Relaxed);
    }

    /// It is not waiting any more.
    pub(crate) fn count_waited(&self) {
        self.waiting.fetch_sub(1, Relaxed);
    }

    /// It ended without a result.
    pub(crate) fn count_error(&self) {
        self.errors.fetch_add(1, Relaxed);
    }
}

/// What a server counted of one method.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct MethodStats {
    /// The service.
    pub service: String,
    /// The method's name within it.
    pub method: String,
    /// The Rust name of the argument's type.
    pub argument: &'static str,
    /// The Rust name of the reply's type.
    pub reply: &'static str,
    /// Calls that came in.
    pub calls: u64,
    /// Calls that ended without a result.
    pub errors: u64,
    /// Calls that have not ended.
    pub in_flight: u64,
}

#[derive(Default)]
pub(crate) struct Registry {
    services: BTreeMap<String, BTreeMap<String, Arc<Entry>>>,
    /// The services that were registered as such; methods may be added to them one by one.
    whole: BTreeSet<String>,
}

impl Registry {
    pub(crate) fn add(&mut self, service: Service) -> Result<(), BuildError> {
        let (name, methods) = service.into_parts();
        if self.whole.contains(&*name) {
            return Err(BuildError::DuplicateService { service: name.into() });
        }
        if methods.is_empty() {
            return Err(BuildError::NoMethods { service: name.into() });
        }
        self.whole.insert(name.to_string());
        methods.into_iter().try_for_each(|method| self.add_method(&name, method))
    }

    pub(crate) fn add_method(&mut self, service: &str, method: Method) -> Result<(), BuildError> {
        let full = format!("{service}.{}", method.name());
        let callable = split_name(full.as_bytes()).is_ok_and(|parts| parts == (service, method.name()));
        if !callable || service.is_empty() || method.name().is_empty() {
            return Err(BuildError::Name { method: full });
        }
        let methods = self.services.entry(service.into()).or_default();
        if methods.contains_key(method.name()) {
            return Err(BuildError::DuplicateMethod { method: full });
        }
        let entry = Entry {
            name: full.into(),
            calls: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            strikes: AtomicU32::new(0),
            method,
        };
        methods.insert(entry.method.name().into(), Arc::new(entry));
        Ok(())
    }

    /// The method of that full name, or net/rpc's text for why there is none.
    pub(crate) fn find(&self, full: &[u8]) -> Result<Arc<Entry>, Status> {
        let (service, method) = split_name(full)?;
        let what = match self.services.get(service) {
            None => "service",
            Some(methods) => match methods.get(method) {
                Some(entry) => return Ok(entry.clone()),
                None => "method",
            },
        };
        Err(Status::unimplemented(format!("rpc: can't find {what} {service}.{method}")))
    }

    pub(crate) fn stats(&self) -> Vec<MethodStats> {
        let entries = self.services.iter().flat_map(|(service, methods)| {
            methods.iter().map(move |(method, entry)| (service, method, entry))
        });
        entries
            .map(|(service, method, entry)| MethodStats {
                service: service.clone(),
                method: method.clone(),
                argument: entry.method.argument(),
                reply: entry.method.reply(),
                calls: entry.calls.load(Relaxed),
                errors: entry.errors.load(Relaxed),
                in_flight: entry.waiting.load(Relaxed),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use rpc_core::Context;

    use super::*;

    fn echo() -> Service {
        Service::new("Echo").method("Say", |_: Context, text: String| async move { Ok::<_, Status>(text) })
    }

    #[test]
    fn services_without_methods_and_names_nobody_could_call_are_refused() {
        let mut registry = Registry::default();
        let none = registry.add(Service::new("Empty"));
        assert_eq!(none, Err(BuildError::NoMethods { service: "Empty".into() }));
        for name in ["", "A b", "A\n"] {
            assert!(matches!(registry.add(echo().named(name)), Err(BuildError::Name { .. })), "{name:?}");
        }
    }

    #[test]
    fn a_dotted_method_name_is_refused_because_calls_split_at_the_last_dot() {
        let service = Service::new("Echo").method("a.b", |_: Context, (): ()| async { Ok::<_, Status>(()) });
        assert!(matches!(Registry::default().add(service), Err(BuildError::Name { .. })));
    }
}
