//! What goes wrong in a world, and how it is done.

use std::fmt;
use std::time::Duration;

use rand::Rng;
use rand::rngs::SmallRng;
use turmoil::Sim;

use crate::fleet::Fleet;
use crate::script::millis;

/// Between two faults of one server: a host that is started runs with the next step of time.
const BREATH: Duration = Duration::from_millis(10);

/// A server's host name.
#[must_use]
pub fn server_name(server: usize) -> String {
    format!("server-{server}")
}

/// A client's host name.
#[must_use]
pub fn client_name(client: usize) -> String {
    format!("client-{client}")
}

/// Between which client's host and which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The client's host.
    pub client: usize,
    /// The server.
    pub server: usize,
}

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// What is sent is lost, both ways.
    Partition(Link),
    /// What the client sends is lost.
    PartitionUp(Link),
    /// What the server sends is lost.
    PartitionDown(Link),
    /// What is sent waits.
    Hold(Link),
    /// The process ends: its connections are closed by the system.
    Crash(usize),
    /// The machine ends: nobody says anything.
    PowerLoss(usize),
    /// The server is told to end.
    Drain(usize),
    /// Every message takes up to so long.
    Slow(Duration),
}

impl Fault {
    /// What it is counted as.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Fault::Partition(_) => "partition",
            Fault::PartitionUp(_) => "partition of requests",
            Fault::PartitionDown(_) => "partition of answers",
            Fault::Hold(_) => "hold",
            Fault::Crash(_) => "crash",
            Fault::PowerLoss(_) => "power loss",
            Fault::Drain(_) => "drain",
            Fault::Slow(_) => "slow network",
        }
    }

    fn overlaps(self, other: Self) -> bool {
        match (self.server(), other.server()) {
            (Some(one), Some(two)) => one == two,
            (None, None) => true,
            _ => false,
        }
    }

    fn server(self) -> Option<usize> {
        match self {
            Fault::Partition(link)
            | Fault::PartitionUp(link)
            | Fault::PartitionDown(link)
            | Fault::Hold(link) => Some(link.server),
            Fault::Crash(server) | Fault::PowerLoss(server) | Fault::Drain(server) => Some(server),
            Fault::Slow(_) => None,
        }
    }

    /// Lets it go wrong.
    pub fn begin(self, sim: &mut Sim<'_>, fleet: &Fleet, clients: usize) {
        match self {
            Fault::Partition(link) => sim.partition(client_name(link.client), server_name(link.server)),
            Fault::PartitionUp(link) => {
                sim.partition_oneway(client_name(link.client), server_name(link.server))
            }
            Fault::PartitionDown(link) => {
                sim.partition_oneway(server_name(link.server), client_name(link.client))
            }
            Fault::Hold(link) => sim.hold(client_name(link.client), server_name(link.server)),
            Fault::Crash(server) => sim.crash(server_name(server)),
            Fault::PowerLoss(server) => {
                (0..clients).for_each(|client| sim.partition(client_name(client), server_name(server)));
                sim.crash(server_name(server));
            }
            Fault::Drain(server) => fleet.drain(server),
            Fault::Slow(latency) => sim.set_max_message_latency(latency),
        }
    }

    /// Puts it right. `latency` is the usual one.
    pub fn end(self, sim: &mut Sim<'_>, clients: usize, latency: Duration) {
        match self {
            Fault::Partition(link) | Fault::PartitionUp(link) | Fault::PartitionDown(link) => {
                sim.repair(client_name(link.client), server_name(link.server));
            }
            Fault::Hold(link) => sim.release(client_name(link.client), server_name(link.server)),
            Fault::Crash(server) | Fault::Drain(server) => sim.bounce(server_name(server)),
            Fault::PowerLoss(server) => {
                (0..clients).for_each(|client| sim.repair(client_name(client), server_name(server)));
                sim.bounce(server_name(server));
            }
            Fault::Slow(_) => sim.set_max_message_latency(latency),
        }
    }
}

/// Cuts all links, for good.
pub fn cut(sim: &Sim<'_>, servers: usize, clients: usize) {
    for server in 0..servers {
        (0..clients).for_each(|client| sim.partition(client_name(client), server_name(server)));
    }
}

/// A fault with its times.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Spell {
    /// What.
    pub fault: Fault,
    /// From when.
    pub from: Duration,
    /// Until when.
    pub until: Duration,
}

impl fmt::Debug for Spell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}..{:?}", self.fault, self.from, self.until)
    }
}

/// Up to `most` faults within `time`, none of which gets in another's way.
pub fn spells(rng: &mut SmallRng, most: usize, time: Duration, servers: usize, clients: usize) -> Vec<Spell> {
    let end = time.as_millis() as u64;
    let mut spells: Vec<Spell> = Vec::new();
    for _ in 0..most {
        let server = rng.random_range(0..servers);
        let link = Link { client: rng.random_range(0..clients), server };
        let fault = match rng.random_range(0..100) {
            0..12 => Fault::Partition(link),
            12..19 => Fault::PartitionUp(link),
            19..26 => Fault::PartitionDown(link),
            26..46 => Fault::Hold(link),
            46..62 => Fault::Crash(server),
            62..70 => Fault::PowerLoss(server),
            70..88 => Fault::Drain(server),
            _ => Fault::Slow(millis(rng, 30..120)),
        };
        let from = millis(rng, 1..end);
        let spell = Spell { fault, from, until: from + millis(rng, 1..200) };
        let clear = |other: &Spell| {
            spell.until + BREATH < other.from
                || other.until + BREATH < spell.from
                || !spell.fault.overlaps(other.fault)
        };
        if spells.iter().all(clear) {
            spells.push(spell);
        }
    }
    spells.sort_by_key(|spell| spell.from);
    spells
}
