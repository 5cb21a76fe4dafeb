//! The hosts of a world, and what they share.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use turmoil::Sim;

use crate::actor::{Actor, Crowd};
use crate::fault::{client_name, server_name};
use crate::fleet::Fleet;
use crate::journal::Journal;
use crate::network::Network;
use crate::plan::Plan;
use crate::service::Work;
use crate::streams::StreamWork;

/// More segments than are ever on their way: turmoil loses the end of a stream whose queue is full.
/// What limits a sender is its [`Window`](crate::window::Window).
const SEGMENTS: usize = 1 << 14;

/// All that the hosts of a world share. Clones are the same.
#[derive(Clone)]
pub struct Stage {
    /// What was decided.
    pub plan: Arc<Plan>,
    /// Where calls are written down.
    pub journal: Arc<Journal>,
    /// The servers that ran.
    pub fleet: Arc<Fleet>,
    /// The clients that there are.
    pub crowd: Arc<Crowd>,
    /// The way from the ones to the others.
    pub network: Arc<Network>,
    /// When the clients are to leave.
    pub closing: CancellationToken,
}

impl Stage {
    /// For that world; with a log of what happens, if that is wanted.
    #[must_use]
    pub fn new(plan: Plan, traced: bool) -> Self {
        let journal = Journal::new(plan.calls().len(), plan.streams().len(), traced);
        journal.note(|| format!("{plan:#?}"));
        Self {
            journal: Arc::new(journal),
            fleet: Arc::default(),
            crowd: Arc::new(Crowd::new(&plan)),
            network: Network::new(&plan),
            closing: CancellationToken::new(),
            plan: Arc::new(plan),
        }
    }

    /// All hosts, about to begin.
    #[must_use]
    pub fn sim(&self) -> Sim<'static> {
        let plan = &self.plan;
        let mut sim = turmoil::Builder::new()
            .rng_seed(plan.seed)
            .tick_duration(plan.tick)
            .min_message_latency(plan.latency.0)
            .max_message_latency(plan.latency.1)
            .tcp_capacity(SEGMENTS)
            .enable_random_order()
            .simulation_duration(Duration::from_secs(3600))
            .build();
        for server in 0..plan.servers {
            let stage = self.clone();
            sim.host(server_name(server), move || stage.clone().serve(server));
        }
        let mut number = 0;
        for (host, scripts) in plan.clients.iter().enumerate() {
            let actors = scripts.iter().map(|steps| {
                number += 1;
                (Actor { stage: self.clone(), number }, steps.clone())
            });
            let (actors, crowd) = (actors.collect::<Vec<_>>(), self.crowd.clone());
            sim.client(client_name(host), async move {
                let acting = actors.into_iter().map(|(actor, steps)| tokio::spawn(actor.act(steps)));
                for actor in acting.collect::<Vec<_>>() {
                    actor.await?;
                    crowd.left();
                }
                // The time of a host whose software has ended stands still, also for connections
                // that nobody waits for.
                pending().await
            });
        }
        sim
    }

    async fn serve(self, server: usize) -> turmoil::Result {
        let Self { plan, journal, fleet, network, .. } = self;
        let listener = network.listen().await?;
        let instance = fleet.next();
        let work = Work { journal: journal.clone(), fleet: fleet.clone(), instance };
        let (journal_of_streams, fleet_of_streams) = (journal.clone(), fleet.clone());
        let streams = StreamWork {
            plans: Arc::new(plan.streams()),
            journal: journal_of_streams,
            fleet: fleet_of_streams,
            instance,
        };
        let counts = plan.settings.server(&work, &streams)?;
        let drain = fleet.launch(server, counts.clone());
        let report = counts.serve(listener).with_graceful_shutdown(drain.cancelled_owned()).await?;
        journal.note(|| format!("instance {instance}: {report:?}"));
        fleet.ended(instance, report);
        Ok(())
    }
}
