//! A world, as its seed decides it.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::fault::{Spell, spells};
use crate::script::{Act, Call, Step, millis, script};
use crate::settings::Settings;
use crate::stream::Manners;

/// All that is decided before a world begins.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What decided it.
    pub seed: u64,
    /// The step of its time.
    pub tick: Duration,
    /// Messages take between the one and the other.
    pub latency: (Duration, Duration),
    /// Of client and server.
    pub settings: Settings,
    /// How many servers there are.
    pub servers: usize,
    /// Scripts of the clients on each host.
    pub clients: Vec<Vec<Vec<Step>>>,
    /// How streams behave.
    pub manners: Manners,
    /// What goes wrong.
    pub spells: Vec<Spell>,
    /// From when on nothing does, and no call is made.
    pub healed: Duration,
    /// At the very end the clients' hosts are cut off, so that nothing tells the servers.
    pub silent_end: bool,
}

impl Plan {
    /// The world of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let rng = &mut rng;
        let time = millis(rng, 150..700);
        let servers = rng.random_range(1..=2);
        let hosts = rng.random_range(1..=2);
        let mut next = 0;
        let clients = (0..hosts).map(|_| {
            let here = rng.random_range(1..=2);
            let scripts = (0..here).map(|_| {
                let calls = rng.random_range(5..=20);
                script(rng, calls, time, &mut next)
            });
            scripts.collect::<Vec<_>>()
        });
        let clients = clients.collect::<Vec<_>>();
        let faults = rng.random_range(0..=4);
        let spells = spells(rng, faults, time, servers, hosts);
        let scripts = clients.iter().flatten();
        let last_step = scripts.map(|steps| steps.iter().map(|step| step.after).sum()).max();
        let last_fault = spells.iter().map(|spell| spell.until).max();
        let fastest = millis(rng, 0..5);
        let (mut settings, manners) = (Settings::random(rng), Manners::random(rng));
        if manners.is_narrow() {
            // A request that takes longer than a connection lasts never arrives.
            (settings.age, settings.unused) = (None, None);
        }
        Self {
            seed,
            tick: Duration::from_millis([1, 2, 2, 4][rng.random_range(0..4)]),
            latency: (fastest, fastest + millis(rng, 0..30)),
            settings,
            servers,
            clients,
            manners,
            spells,
            healed: last_step.max(last_fault).unwrap_or_default(),
            silent_end: rng.random_bool(0.2),
        }
    }

    /// All calls, by uid.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        let steps = self.clients.iter().flatten().flatten();
        let calls = steps.filter_map(|step| match &step.act {
            Act::Call(call) => Some(call.clone()),
            Act::Ping | Act::Close | Act::Forget => None,
        });
        calls.collect()
    }
}
