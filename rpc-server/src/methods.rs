//! The methods that a connection has named, each with the lane of its calls.

use std::mem;
use std::sync::Arc;

use rpc_core::lane::Lane;
use rpc_core::{Origin, Status};

use crate::registry::Entry;
use crate::state::State;

/// By method index; index 1 is the first.
#[derive(Default)]
pub(crate) struct Methods(Vec<Route>);

pub(crate) enum Route {
    Method(Arc<Entry>, Box<dyn Lane>),
    Unknown(Status),
    /// The method was introduced before, and stands there: a lane may be large.
    Same(usize),
    /// Out for a call.
    Busy,
}

impl Methods {
    /// Gives a name the next index. Where calls of it go.
    pub(crate) fn introduce(&mut self, server: &State, origin: &Arc<Origin>, name: &[u8]) -> usize {
        let found = server.registry.find(name);
        let first = found.as_ref().ok().and_then(|entry| self.0.iter().position(|known| known.is_of(entry)));
        if self.0.is_empty() {
            // Many connections call one method all their life; room for four would come with it.
            self.0.reserve_exact(1);
        }
        self.0.push(first.map_or_else(|| Route::to(found, origin), Route::Same));
        first.unwrap_or(self.0.len() - 1)
    }

    /// Where calls of that index go, which was introduced.
    #[inline]
    pub(crate) fn place(&self, index: u16) -> usize {
        let at = usize::from(index) - 1;
        match self.0[at] {
            Route::Same(first) => first,
            _ => at,
        }
    }

    #[inline]
    pub(crate) fn take(&mut self, at: usize) -> Route {
        mem::replace(&mut self.0[at], Route::Busy)
    }

    #[inline]
    pub(crate) fn put(&mut self, at: usize, route: Route) {
        self.0[at] = route;
    }
}

impl Route {
    /// Of a name that is not remembered.
    pub(crate) fn once(server: &State, origin: &Arc<Origin>, name: &[u8]) -> Self {
        Self::to(server.registry.find(name), origin)
    }

    fn to(found: Result<Arc<Entry>, Status>, origin: &Arc<Origin>) -> Self {
        match found {
            Ok(entry) => {
                let lane = entry.method.lane(origin.clone(), entry.name.clone());
                Self::Method(entry, lane)
            }
            Err(status) => Self::Unknown(status),
        }
    }

    fn is_of(&self, method: &Arc<Entry>) -> bool {
        matches!(self, Self::Method(entry, _) if Arc::ptr_eq(entry, method))
    }
}
