//! A world, as its seed decides it.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::fault::{Spell, spells};
use crate::script::{Act, Call, Step, millis, script};
use crate::settings::Settings;
use crate::stream::Manners;
use crate::streams::StreamPlan;

/// Tells the seed of the streams from that of the world.
const STREAMS: u64 = 0x5374_7265_616d_7321;

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
        let mut clients = clients.collect::<Vec<_>>();
        // From a source of their own, so that the calls are what they would be without them.
        add_streams(&mut SmallRng::seed_from_u64(seed ^ STREAMS), &mut clients);
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
            Act::Stream(_) | Act::Ping | Act::Close | Act::Forget => None,
        });
        calls.collect()
    }

    /// All calls with items, by uid.
    #[must_use]
    pub fn streams(&self) -> Vec<StreamPlan> {
        let steps = self.clients.iter().flatten().flatten();
        let streams = steps.filter_map(|step| match &step.act {
            Act::Stream(plan) => Some(plan.clone()),
            _ => None,
        });
        let mut streams = streams.collect::<Vec<_>>();
        streams.sort_by_key(|plan| plan.uid);
        streams
    }
}

/// Streams among the steps of every other world.
fn add_streams(rng: &mut SmallRng, clients: &mut [Vec<Vec<Step>>]) {
    if rng.random_bool(0.5) {
        return;
    }
    let mut uid = 0;
    for steps in clients.iter_mut().flatten() {
        for _ in 0..rng.random_range(0..=4) {
            let at = rng.random_range(0..=steps.len());
            steps.insert(at, Step { after: Duration::ZERO, act: Act::Stream(StreamPlan::random(rng, uid)) });
            uid += 1;
        }
    }
}
