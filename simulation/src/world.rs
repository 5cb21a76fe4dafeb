//! One world, from its seed to the judgement.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rpc_core::planted::{Bug, plant};
use tokio_util::sync::CancellationToken;
use turmoil::Sim;

use crate::actor::{Actor, Crowd};
use crate::fault::{Spell, client_name, server_name};
use crate::fleet::Fleet;
use crate::journal::Journal;
use crate::network::Network;
use crate::oracle::{Check, Violation, judge_call, judge_instance};
use crate::plan::Plan;
use crate::service::Work;
use crate::tally::Tally;

/// More segments than are ever on their way: turmoil loses the end of a stream whose queue is full. What limits a
/// sender is its [`Window`](crate::window::Window).
const SEGMENTS: usize = 1 << 14;

/// A client that is closed has said its last words by then.
const CLOSING: Duration = Duration::from_millis(1200);

/// What became of a world.
#[derive(Debug)]
pub struct Verdict {
    /// What was broken.
    pub violations: Vec<Violation>,
    /// What happened how often.
    pub tally: Tally,
    /// What happened, in order, if that was asked for.
    pub events: Vec<String>,
}

/// How many lists tokio keeps the tasks of a single-threaded runtime in, or a multiple of that.
const TASK_LISTS: u64 = 64;

/// Held by the one world that runs.
static ALONE: Mutex<()> = Mutex::new(());

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Lets panics be told by the worlds that they end, instead of at once.
pub fn keep_panics() {
    std::panic::set_hook(Box::new(|info| PANIC.with_borrow_mut(|kept| _ = kept.get_or_insert(info.to_string()))));
}

/// Lets the world of `seed` happen, with a bug in it if there is to be one, and judges it.
#[must_use]
pub fn run(seed: u64, traced: bool, bug: Option<Bug>) -> Verdict {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    number_tasks_anew();
    plant(bug);
    let plan = Plan::new(seed);
    let calls = plan.calls();
    let journal = Arc::new(Journal::new(calls.len(), traced));
    journal.note(|| format!("{plan:#?}"));
    let fleet = Arc::new(Fleet::default());
    let network = Network::new(&plan);
    let mut violations = Vec::new();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(&plan, &journal, &fleet, &network, calls.len());
        world.happen(&mut violations);
        let (records, at_rest) = (journal.records(), !plan.loses_messages());
        for (call, record) in calls.iter().zip(&records) {
            judge_call(call, record, &mut violations);
        }
        for (at, instance) in fleet.instances().iter().enumerate() {
            judge_instance(at, instance, at_rest, &mut violations);
        }
        records
    }));
    plant(None);
    let mut tally = Tally::default();
    match ended {
        Ok(records) => records.iter().for_each(|record| tally.call(record)),
        Err(_) => {
            let text = PANIC.take().unwrap_or_default();
            violations.push(Violation::of(Check::NoPanic, text));
        }
    }
    plan.spells.iter().for_each(|spell| tally.count(spell.fault.name(), 1));
    tally.count("connection", network.made());
    tally.count("connection that failed", network.failed());
    tally.world(violations.len());
    let events = journal.events();
    fleet.disband();
    Verdict { violations, tally, events }
}

/// Tokio drops the tasks of a host that crashes by the remainders of their numbers, and numbers all tasks of a process
/// in one row. So each world begins at the same remainder, and none runs beside it.
fn number_tasks_anew() {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.unwrap_or_else(|error| panic!("no runtime: {error}"));
    loop {
        let task = runtime.spawn(async {});
        let number = task.id().to_string().parse::<u64>().unwrap_or_default();
        let _ = runtime.block_on(task);
        if number % TASK_LISTS == 0 {
            return;
        }
    }
}

struct World<'a> {
    sim: Sim<'static>,
    plan: &'a Plan,
    journal: &'a Arc<Journal>,
    fleet: &'a Arc<Fleet>,
    network: &'a Arc<Network>,
    /// The next last; begin or end.
    due: Vec<(Duration, bool, Spell)>,
    crowd: Arc<Crowd>,
    closing: CancellationToken,
    calls: usize,
    /// All clients' hosts have ended.
    left: bool,
}

impl<'a> World<'a> {
    fn new(
        plan: &'a Plan,
        journal: &'a Arc<Journal>,
        fleet: &'a Arc<Fleet>,
        network: &'a Arc<Network>,
        calls: usize,
    ) -> Self {
        let mut sim = turmoil::Builder::new()
            .rng_seed(plan.seed)
            .tick_duration(plan.tick)
            .min_message_latency(plan.latency.0)
            .max_message_latency(plan.latency.1)
            .tcp_capacity(SEGMENTS)
            .enable_random_order()
            .simulation_duration(Duration::from_secs(3600))
            .build();
        let (closing, crowd) = (CancellationToken::new(), Arc::new(Crowd::new(&plan.settings)));
        for server in 0..plan.servers {
            let (settings, journal, fleet, network) =
                (plan.settings.clone(), journal.clone(), fleet.clone(), network.clone());
            sim.host(server_name(server), move || {
                let (settings, journal, fleet, network) =
                    (settings.clone(), journal.clone(), fleet.clone(), network.clone());
                async move {
                    let listener = network.listen().await?;
                    let instance = fleet.next();
                    let work = Work { journal, fleet: fleet.clone(), instance };
                    let counts = settings.server(&work)?;
                    let drain = fleet.launch(server, counts.clone());
                    let report = counts.serve(listener).with_graceful_shutdown(drain.cancelled_owned()).await?;
                    work.journal.note(|| format!("instance {instance}: {report:?}"));
                    fleet.ended(instance, report);
                    Ok(())
                }
            });
        }
        let mut number = 0;
        for (host, scripts) in plan.clients.iter().enumerate() {
            let actors = scripts.iter().map(|steps| {
                let (settings, network, journal) = (plan.settings.clone(), network.clone(), journal.clone());
                let (crowd, closing) = (crowd.clone(), closing.clone());
                let actor = Actor { settings, network, journal, number, crowd, closing };
                number += 1;
                (actor, steps.clone())
            });
            let actors = actors.collect::<Vec<_>>();
            sim.client(client_name(host), async move {
                let acting = actors.into_iter().map(|(actor, steps)| tokio::spawn(actor.act(steps)));
                for actor in acting.collect::<Vec<_>>() {
                    actor.await?;
                }
                Ok(())
            });
        }
        let spells = plan.spells.iter();
        let mut due =
            spells.flat_map(|spell| [(spell.from, true, *spell), (spell.until, false, *spell)]).collect::<Vec<_>>();
        due.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
        Self { sim, plan, journal, fleet, network, crowd, due, closing, calls, left: false }
    }

    fn happen(&mut self, violations: &mut Vec<Violation>) {
        let patience = self.plan.settings.longest_wait();
        self.until(self.plan.healed + self.plan.tick, |_| false);
        self.network.heal();
        let ended = |world: &Self| world.journal.open() == 0 && world.have_all_calls_been_made();
        let all_ended = self.within(patience, ended);
        if !all_ended {
            let open = self.open_calls();
            violations.push(Violation::of(Check::EndsInTime, format!("calls {open:?} have not ended")));
        }
        let at_rest = !self.plan.loses_messages();
        // A request that is still on its way must not run after its call was said not to have.
        let late = 2 * self.plan.latency.1 + Duration::from_millis(20);
        self.within(late, |_| false);
        let silence = self.plan.settings.longest_silence();
        if at_rest && all_ended && !self.within(silence, Self::is_quiet) {
            violations.extend(self.unrest("while the clients are connected"));
        }
        self.closing.cancel();
        if !self.within(CLOSING, |world| world.left) {
            let open = self.open_calls();
            violations.push(Violation::of(Check::EndsInTime, format!("clients are not closed; calls {open:?}")));
        }
        let alone = |world: &Self| world.is_quiet() && world.network.open() == 0;
        if at_rest && !self.within(silence, alone) {
            violations.extend(self.unrest("after the clients were closed"));
        }
    }

    fn have_all_calls_been_made(&self) -> bool {
        self.journal.made_so_far() == self.calls
    }

    fn is_quiet(&self) -> bool {
        self.journal.running() == 0
            && self.fleet.connections() == self.network.open()
            && self.crowd.is_settled()
    }

    fn open_calls(&self) -> Vec<usize> {
        let records = self.journal.records();
        records.iter().enumerate().filter(|(_, record)| record.ended.is_empty()).map(|(uid, _)| uid).collect()
    }

    fn unrest(&self, when: &str) -> Vec<Violation> {
        let records = self.journal.records();
        let running = records.iter().enumerate().filter(|(_, record)| record.running() > 0);
        let mut violations: Vec<Violation> = running
            .map(|(uid, record)| {
                let text = format!("its handler still runs {when}: {record:?}");
                Violation { check: Check::NoOrphans, uid: Some(uid), text }
            })
            .collect();
        let (servers, clients) = (self.fleet.connections(), self.network.open());
        if servers != clients {
            let text = format!("servers count {servers} connections, clients {clients}, {when}");
            violations.push(Violation::of(Check::Counts, text));
        }
        if !self.crowd.is_settled() {
            violations.push(Violation::of(Check::Reconnects, format!("a client is still connecting {when}")));
        }
        violations
    }

    /// Goes on for `time`, or until `reached`; whether it was.
    fn within(&mut self, time: Duration, reached: impl Fn(&Self) -> bool) -> bool {
        self.until(self.sim.elapsed() + time, reached)
    }

    fn until(&mut self, end: Duration, reached: impl Fn(&Self) -> bool) -> bool {
        while !reached(self) {
            if self.sim.elapsed() >= end {
                return false;
            }
            self.step();
        }
        true
    }

    fn step(&mut self) {
        let now = self.sim.elapsed();
        self.journal.set_time(now);
        while let Some((at, begins, spell)) = self.due.pop_if(|(at, ..)| *at <= now) {
            self.journal.note(|| format!("{} {:?} (due {at:?})", if begins { "begins:" } else { "ends:" }, spell.fault));
            match begins {
                true => spell.fault.begin(&mut self.sim, self.fleet, self.plan.clients.len()),
                false => spell.fault.end(&mut self.sim, self.plan.clients.len(), self.plan.latency.1),
            }
        }
        match self.sim.step() {
            Ok(left) => self.left = left,
            Err(error) => panic!("a host failed: {error}"),
        }
    }
}
