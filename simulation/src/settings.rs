//! The one place where client and server get their settings.

use std::time::Duration;

use rand::Rng;
use rand::rngs::SmallRng;
use rpc_client::Client;
use rpc_core::limits::MIN_WINDOW;
use rpc_server::Server;

use crate::network::Dialler;
use crate::script::millis;
use crate::service::Work;
use crate::streams::StreamWork;

/// What is set of client and server in a world.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Of each client: the time to dial.
    pub dial_timeout: Duration,
    /// Of each client: the time for the answer to CONNECT.
    pub answer_timeout: Duration,
    /// Of each client: how long a server may say nothing.
    pub ping_interval: Duration,
    /// Of each client: how long it may take to answer then.
    pub ping_timeout: Duration,
    /// Of each client: whether it connects again.
    pub reconnect: bool,
    /// Of each client: the first wait between attempts, and the longest.
    pub backoff: (Duration, Duration),
    /// Of each client: whether its calls wait for a connection.
    pub wait_for_ready: bool,
    /// Of each client: its random choices.
    pub seed: u64,
    /// Of each server: calls in flight per connection.
    pub concurrency: u32,
    /// Of each server: bytes of answers that may wait.
    pub output_mark: usize,
    /// Of each server: bytes that the arguments of waiting calls may take.
    pub memory: usize,
    /// Of each server: the time for a request head.
    pub head_timeout: Duration,
    /// Of each server: how long a client may take nothing.
    pub write_timeout: Duration,
    /// Of each server: how long calls may go on when it ends.
    pub grace: Duration,
    /// Of each server: how long a client may say nothing.
    pub idle: Duration,
    /// Of each server: how long it may take to answer then.
    pub answer: Duration,
    /// Of each server: how old a connection may get.
    pub age: Option<Duration>,
    /// Of each server: how long a connection may be unused.
    pub unused: Option<Duration>,
    /// Of each server: the most time for a handler.
    pub call_timeout: Option<Duration>,
    /// Of each server, and of each client: bytes of items that a stream may carry.
    pub windows: (u32, u32),
    /// Of each server: connections from one host.
    pub per_address: usize,
}

impl Settings {
    /// Any that a user might choose, and some that none would.
    pub fn random(rng: &mut SmallRng) -> Self {
        Self {
            dial_timeout: millis(rng, 50..400),
            answer_timeout: millis(rng, 50..400),
            ping_interval: millis(rng, 50..300),
            ping_timeout: millis(rng, 50..300),
            reconnect: rng.random_bool(0.85),
            backoff: (millis(rng, 1..50), millis(rng, 50..200)),
            wait_for_ready: rng.random_bool(0.5),
            seed: rng.random(),
            concurrency: if rng.random_bool(0.3) { rng.random_range(1..6) } else { 1024 },
            output_mark: if rng.random_bool(0.2) { rng.random_range(1..10_000) } else { 1 << 20 },
            memory: if rng.random_bool(0.1) { rng.random_range(1_000..50_000) } else { 1 << 30 },
            head_timeout: millis(rng, 100..400),
            write_timeout: millis(rng, 300..600),
            grace: millis(rng, 1..300),
            // Less than a second it does not take.
            idle: millis(rng, 1000..1400),
            answer: millis(rng, 50..300),
            age: rng.random_bool(0.25).then(|| millis(rng, 100..800)),
            unused: rng.random_bool(0.3).then(|| millis(rng, 50..400)),
            call_timeout: rng.random_bool(0.2).then(|| millis(rng, 20..300)),
            windows: (MIN_WINDOW, MIN_WINDOW),
            per_address: if rng.random_bool(0.15) { rng.random_range(3..6) } else { 100 },
        }
    }

    /// A server that does `work`.
    ///
    /// # Errors
    /// When the settings are none.
    pub fn server(&self, work: &Work, streams: &StreamWork) -> Result<Server, rpc_server::BuildError> {
        let server = Server::builder()
            .register(work.service())
            .register(streams.service())
            .stream_window(self.windows.0)
            .concurrency_limit_per_connection(self.concurrency)
            .output_mark(self.output_mark)
            .max_memory(self.memory)
            .head_timeout(self.head_timeout)
            .write_timeout(self.write_timeout)
            .grace(self.grace)
            .ping_interval(self.idle)
            .ping_timeout(self.answer)
            .max_connections_per_address(self.per_address)
            .idle_timeout(self.unused)
            .seed(self.seed);
        let server = match self.call_timeout {
            Some(time) => server.call_timeout(time),
            None => server,
        };
        match self.age {
            Some(age) => server.max_connection_age(age).build(),
            None => server.build(),
        }
    }

    /// A client that connects through `dialler` at its first call.
    #[must_use]
    pub fn client(&self, dialler: Dialler) -> Client {
        Client::builder()
            .stream_window(self.windows.1)
            .dial_timeout(self.dial_timeout)
            .answer_timeout(self.answer_timeout)
            .ping_interval(self.ping_interval)
            .ping_timeout(self.ping_timeout)
            .reconnect(self.reconnect)
            .backoff(self.backoff.0, self.backoff.1)
            .wait_for_ready(self.wait_for_ready)
            .seed(self.seed)
            .lazy_with(dialler, "servers:80")
    }

    /// Within this, a server has noticed that a client is gone which it took for one that has said all:
    /// the first Ping is answered with a reset, and the second meets it.
    #[must_use]
    pub fn longest_silence(&self) -> Duration {
        2 * self.idle + self.answer + self.longest_wait()
    }

    /// Within this, every call has ended, once nothing is in its way.
    #[must_use]
    pub fn longest_wait(&self) -> Duration {
        // The last words of both shells take up to a second each, and so may a refusal.
        let last_words = Duration::from_secs(2);
        let dead = self.ping_interval + self.ping_timeout;
        let door = self.dial_timeout + self.answer_timeout.max(self.head_timeout);
        last_words + dead + 2 * self.backoff.1 + door + self.write_timeout + self.grace
    }
}
