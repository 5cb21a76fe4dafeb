//! Staying connected: when to dial again.

use std::future::poll_fn;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use rpc_core::jitter::Jitter;
use rpc_io::now;
use tokio::time::sleep;

use crate::connect_error::ConnectError;
use crate::endpoint::{Dial, Endpoint, Phase};
use crate::link::Link;

/// Each wait is so many times the one before, and varies by so much: gRPC's numbers
/// (<https://github.com/grpc/grpc/blob/master/doc/connection-backoff.md>).
const FACTOR: f64 = 1.6;
const VARIATION: f64 = 0.2;

/// The least of them: without any, a server that refuses would be dialled all the time.
const LEAST: Duration = Duration::from_millis(1);

/// How a client comes back to its server; see the methods of [`Builder`](crate::Builder).
#[derive(Clone, Debug)]
pub(crate) struct Reconnect {
    pub(crate) enabled: bool,
    pub(crate) wait_for_ready: bool,
    pub(crate) first: Duration,
    pub(crate) most: Duration,
    pub(crate) seed: Option<u64>,
}

impl Default for Reconnect {
    fn default() -> Self {
        Self {
            enabled: true,
            wait_for_ready: false,
            first: Duration::from_millis(100),
            most: Duration::from_secs(30),
            seed: None,
        }
    }
}

/// The waits between attempts.
#[derive(Debug)]
struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
    jitter: Jitter,
}

impl Backoff {
    fn new(settings: &Reconnect) -> Self {
        let Reconnect { seed, .. } = *settings;
        let (first, most) = (settings.first.max(LEAST), settings.most.max(LEAST));
        let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(0));
        Self { first, most, next: first.min(most), jitter: Jitter::new(seed) }
    }

    fn wait(&mut self) -> Duration {
        let wait = self.jitter.vary(self.next, VARIATION);
        let more = Duration::try_from_secs_f64(self.next.as_secs_f64() * FACTOR);
        self.next = more.unwrap_or(Duration::MAX).min(self.most);
        wait
    }

    /// The shortest wait, which no outage before makes longer.
    fn shortest(&self) -> Duration {
        self.first.min(self.most)
    }

    fn reset(&mut self) {
        self.next = self.shortest();
    }
}

/// Whoever waits for a connection must not wait for a task that is gone with its runtime.
struct Rest(Option<Weak<Endpoint>>);

impl Rest {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        if let Some(endpoint) = self.0.take().and_then(|endpoint| endpoint.upgrade()) {
            endpoint.rest();
        }
    }
}

/// Keeps the endpoint connected until it is closed or gone, beginning with `link` if there is one.
pub(crate) fn stay_connected(
    endpoint: Weak<Endpoint>,
    link: Option<Arc<Link>>,
) -> impl Future<Output = ()> + Send {
    // Made before the task, which a runtime that ends may drop before it runs.
    let rest = Rest(Some(endpoint.clone()));
    async move {
        dial_and_dial_again(endpoint, link).await;
        rest.disarm();
    }
}

/// `None`: the endpoint was closed or is gone.
async fn dial_and_dial_again(endpoint: Weak<Endpoint>, mut link: Option<Arc<Link>>) -> Option<()> {
    let (mut backoff, address) = {
        let endpoint = endpoint.upgrade()?;
        (Backoff::new(&endpoint.reconnect), endpoint.peer.clone())
    };
    // Whether the next loss is followed by a dial without a wait.
    let mut at_once = true;
    loop {
        let made = match link.take() {
            Some(link) => Ok(link),
            None => {
                let dial = endpoint.upgrade()?.dial()?;
                let made = no_panic(dial, &address).await;
                if let Ok(link) = &made {
                    endpoint.upgrade()?.adopt(link.clone()).then_some(())?;
                }
                made
            }
        };
        let error = match made {
            Ok(link) => {
                let (leaving, shared) = (link.leaving.clone(), link.shared.clone());
                drop(link);
                // Not from the dial on: one that takes long is no connection that lasts.
                let since = now();
                leaving.cancelled().await;
                let endpoint = endpoint.upgrade()?;
                if !endpoint.reconnects() {
                    endpoint.tell();
                    return Some(());
                }
                if shared.was_unused() {
                    let mut phase = endpoint.phase();
                    endpoint.unused();
                    drop(endpoint);
                    phase.wait_for(|phase| !matches!(phase, Phase::Unused | Phase::Ready(_))).await.ok()?;
                    backoff.reset();
                    at_once = true;
                    continue;
                }
                // What lasts no longer than the shortest wait, twice, is no better than a dial that fails.
                // The next wait is no measure: after an outage, a connection of many seconds would be none.
                if now() - since > backoff.shortest() {
                    backoff.reset();
                    at_once = true;
                }
                if mem::take(&mut at_once) {
                    continue;
                }
                ConnectError::Lost { address: address.to_string(), source: shared.lost() }
            }
            Err(error) => error,
        };
        let wait = backoff.wait();
        tracing::debug!(%error, ?wait, "not connected");
        let failed = endpoint.upgrade()?;
        failed.fail(error).then_some(())?;
        if !failed.reconnects() {
            return Some(());
        }
        drop(failed);
        sleep(wait).await;
    }
}

/// A connector is the user's. Its panic is an attempt that failed, and no end of all attempts.
async fn no_panic(mut dial: Dial, address: &str) -> Result<Arc<Link>, ConnectError> {
    poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| dial.as_mut().poll(cx)));
        polled.unwrap_or_else(|_| {
            Poll::Ready(Err(ConnectError::dial(address, io::Error::other("the connector panicked"))))
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_by_1_6_up_to_the_cap_and_vary_by_a_fifth() {
        let settings = Reconnect { seed: Some(1), ..Reconnect::default() };
        let mut backoff = Backoff::new(&settings);
        let mut middle = settings.first.as_secs_f64();
        for _ in 0..40 {
            let wait = backoff.wait().as_secs_f64();
            assert!((0.8 * middle..=1.2 * middle).contains(&wait), "{wait} beside {middle}");
            middle = (middle * 1.6).min(30.0);
        }
        assert_eq!(backoff.next, settings.most);
        backoff.reset();
        assert_eq!(backoff.next, settings.first);
    }
}
