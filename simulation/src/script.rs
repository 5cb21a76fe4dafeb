//! What a client is going to do, decided before it begins.

use std::time::Duration;

use rand::Rng;
use rand::rngs::SmallRng;
use rpc_core::Execution;

use crate::streams::StreamPlan;

/// The place of a call in its world's journal, and what its handler is told.
pub type Uid = usize;

/// Bodies from here on take more than one read, and go by reference.
const BIG: std::ops::Range<usize> = 60_000..180_000;

/// A call that was started is polled after this at the latest.
pub const HELD_MOST: Duration = Duration::from_millis(60);

/// What a method does with its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Answers at once.
    Fast,
    /// Answers after a while, in the connection's task.
    Wait,
    /// Answers after a while, in a task of its own.
    Spawned,
    /// Waits until it is given up.
    Never,
    /// Waits in a task of its own until it is given up.
    NeverSpawned,
    /// Fails after a while.
    Fail,
}

impl Method {
    /// All of them.
    pub const ALL: [Method; 6] =
        [Method::Fast, Method::Wait, Method::Spawned, Method::Never, Method::NeverSpawned, Method::Fail];

    /// Its name within the service.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Method::Fast => "Fast",
            Method::Wait => "Wait",
            Method::Spawned => "Spawned",
            Method::Never => "Never",
            Method::NeverSpawned => "NeverSpawned",
            Method::Fail => "Fail",
        }
    }

    /// Its full name.
    #[must_use]
    pub fn full_name(self) -> &'static str {
        match self {
            Method::Fast => "Sim.Fast",
            Method::Wait => "Sim.Wait",
            Method::Spawned => "Sim.Spawned",
            Method::Never => "Sim.Never",
            Method::NeverSpawned => "Sim.NeverSpawned",
            Method::Fail => "Sim.Fail",
        }
    }

    /// Where its handlers are polled.
    #[must_use]
    pub fn execution(self) -> Execution {
        match self {
            Method::Spawned | Method::NeverSpawned => Execution::Spawn,
            _ => Execution::Inline,
        }
    }

    fn is_endless(self) -> bool {
        matches!(self, Method::Never | Method::NeverSpawned)
    }
}

/// How a caller gives its call up before the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiveUp {
    /// It waits.
    Never,
    /// The call's future is dropped before it is polled at all.
    Unpolled,
    /// The call's future is dropped after one poll.
    Begun,
    /// The call's future is dropped after so long.
    After(Duration),
    /// The call that it is made within is cancelled after so long.
    Parent(Duration),
}

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which.
    pub uid: Uid,
    /// Of what.
    pub method: Method,
    /// How long the handler takes, if it is one that waits.
    pub work: Duration,
    /// Bytes of the arguments.
    pub request: usize,
    /// Bytes of the answer.
    pub answer: usize,
    /// The time it is given.
    pub timeout: Option<Duration>,
    /// Whether the caller stays.
    pub give_up: GiveUp,
    /// Whether it may run more than once.
    pub idempotent: bool,
    /// Made by `start` and polled only after so long.
    pub held: Option<Duration>,
}

impl Call {
    /// The longest that it may take, if anything but its answer ends it.
    #[must_use]
    pub fn limit(&self) -> Option<Duration> {
        let held = self.held.unwrap_or_default();
        let leaves = match self.give_up {
            GiveUp::Never => None,
            GiveUp::Unpolled | GiveUp::Begun => Some(held),
            GiveUp::After(after) => Some(held + after),
            GiveUp::Parent(after) => Some(held.max(after)),
        };
        let timeout = self.timeout.map(|timeout| timeout.max(held));
        leaves.into_iter().chain(timeout).min()
    }
}

/// What a client does next.
#[derive(Clone, Debug)]
pub enum Act {
    /// Makes a call, and goes on.
    Call(Call),
    /// Makes a call with items, and goes on.
    Stream(StreamPlan),
    /// Asks its server whether it is there.
    Ping,
    /// Closes its client; the next call is made through another one.
    Close,
    /// Drops its client; the next call is made through another one.
    Forget,
}

/// Something that a client does, so long after what it did before.
#[derive(Clone, Debug)]
pub struct Step {
    /// The pause before it.
    pub after: Duration,
    /// What.
    pub act: Act,
}

/// A time of so many milliseconds.
pub fn millis(rng: &mut SmallRng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(rng.random_range(range))
}

/// A script of `calls` calls within about `time`. Uids are counted on in `next`.
pub fn script(rng: &mut SmallRng, calls: usize, time: Duration, next: &mut Uid) -> Vec<Step> {
    let pause = (2 * time.as_millis() as u64 / calls as u64).max(2);
    let bursts = rng.random_range(0.0..0.9);
    let mut steps = Vec::new();
    for _ in 0..calls {
        let after = if rng.random_bool(bursts) { Duration::ZERO } else { millis(rng, 0..pause) };
        steps.push(Step { after, act: Act::Call(call(rng, *next)) });
        *next += 1;
        let act = match rng.random_range(0..100) {
            0 => Act::Close,
            1 => Act::Forget,
            2..5 => Act::Ping,
            _ => continue,
        };
        steps.push(Step { after: millis(rng, 0..pause), act });
    }
    steps
}

fn call(rng: &mut SmallRng, uid: Uid) -> Call {
    let method = match rng.random_range(0..100) {
        0..45 => Method::Fast,
        45..66 => Method::Wait,
        66..78 => Method::Spawned,
        78..86 => Method::Never,
        86..91 => Method::NeverSpawned,
        _ => Method::Fail,
    };
    let timeout = match rng.random_range(0..100) {
        0..45 => None,
        45..70 => Some(millis(rng, 1..60)),
        _ => Some(millis(rng, 100..600)),
    };
    let mut give_up = match rng.random_range(0..100) {
        0..75 => GiveUp::Never,
        75..78 => GiveUp::Unpolled,
        78..84 => GiveUp::Begun,
        84..96 => GiveUp::After(millis(rng, 0..80)),
        _ => GiveUp::Parent(millis(rng, 0..80)),
    };
    if let (GiveUp::After(after), Some(timeout)) = (&mut give_up, timeout)
        && rng.random_bool(0.3)
    {
        // Cancelled from both sides at once: by the caller, and by the server's own clock.
        *after = timeout;
    }
    if method.is_endless() && timeout.is_none() && give_up == GiveUp::Never {
        give_up = GiveUp::After(millis(rng, 0..150));
    }
    let size = |rng: &mut SmallRng| match rng.random_range(0..100) {
        0..88 => rng.random_range(0..200),
        88..93 => rng.random_range(200..20_000),
        _ => rng.random_range(BIG),
    };
    Call {
        uid,
        method,
        work: millis(rng, 0..120),
        request: size(rng),
        answer: size(rng),
        timeout,
        give_up,
        idempotent: rng.random_bool(0.2),
        held: rng
            .random_bool(0.2)
            .then(|| if rng.random_bool(0.3) { Duration::ZERO } else { millis(rng, 0..60) }),
    }
}
