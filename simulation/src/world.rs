//! One world, from its seed to the judgement.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rpc_core::planted::{Bug, plant};
use turmoil::Sim;

use crate::fault::{Fault, Spell, cut};
use crate::oracle::{Check, Violation, judge_call, judge_instance};
use crate::plan::Plan;
use crate::stage::Stage;
use crate::streams::judge as judge_stream;
use crate::tally::Tally;

/// A client that is closed has said its last words by then.
const CLOSING: Duration = Duration::from_millis(1200);

/// A mark that no world's answers reach.
const WIDE_MARK: usize = 1 << 20;

/// How many lists tokio keeps the tasks of a single-threaded runtime in, or a multiple of that.
const TASK_LISTS: u64 = 64;

/// Held by the one world that runs.
static ALONE: Mutex<()> = Mutex::new(());

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

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

/// Lets panics be told by the worlds that they end, instead of at once.
pub fn keep_panics() {
    std::panic::set_hook(Box::new(|info| {
        PANIC.with_borrow_mut(|kept| _ = kept.get_or_insert(info.to_string()));
    }));
}

/// Lets the world of `seed` happen, with a bug in it if there is to be one, and judges it.
#[must_use]
pub fn run(seed: u64, traced: bool, bug: Option<Bug>) -> Verdict {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    number_tasks_anew();
    plant(bug);
    let stage = Stage::new(Plan::new(seed), traced);
    let mut violations = Vec::new();
    let ended = catch_unwind(AssertUnwindSafe(|| World::new(&stage).happen(&mut violations)));
    plant(None);
    let mut tally = Tally::default();
    if ended.is_err() {
        let text = PANIC.take().unwrap_or_default();
        violations.push(Violation::of(Check::NoPanic, text));
    }
    stage.journal.records().iter().for_each(|record| tally.call(record));
    stage.journal.streams().iter().for_each(|record| tally.stream(record));
    stage.plan.spells.iter().for_each(|spell| tally.count(spell.fault.name(), 1));
    tally.count("connection", stage.network.made());
    tally.count("connection that failed", stage.network.failed());
    tally.world(violations.len());
    stage.fleet.disband();
    Verdict { violations, tally, events: stage.journal.events() }
}

/// Tokio drops the tasks of a host that crashes by the remainders of their numbers, and numbers all
/// tasks of a process in one row. So each world begins at the same remainder, and none runs beside
/// it.
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
    stage: &'a Stage,
    plan: &'a Plan,
    /// Beginnings and ends of what goes wrong, the next one last.
    due: Vec<(Duration, bool, Spell)>,
}

impl<'a> World<'a> {
    fn new(stage: &'a Stage) -> Self {
        let spells = stage.plan.spells.iter();
        let due = spells.flat_map(|spell| [(spell.from, true, *spell), (spell.until, false, *spell)]);
        let mut due = due.collect::<Vec<_>>();
        due.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
        Self { sim: stage.sim(), stage, plan: &stage.plan, due }
    }

    fn happen(&mut self, violations: &mut Vec<Violation>) {
        let Stage { journal, fleet, crowd, network, closing, .. } = self.stage;
        let (patience, silence) = (self.plan.settings.longest_wait(), self.plan.settings.longest_silence());
        let (calls, streams) = (self.plan.calls(), self.plan.streams());
        self.until(self.plan.healed + self.plan.tick, |_| false);
        network.heal();
        let all_ended = self.within(patience, |_| {
            journal.open() == 0 && journal.made_so_far() == calls.len() + streams.len()
        });
        if !all_ended {
            let text = format!("calls {:?} have not ended", self.open_calls());
            violations.push(Violation::of(Check::EndsInTime, text));
        }
        // A request that is still on its way must not run after its call was said not to have.
        let late = 2 * self.plan.latency.1 + Duration::from_millis(20);
        self.within(late, |_| false);
        if all_ended && !self.within(silence, Self::is_quiet) {
            violations.extend(self.unrest("while the clients are connected"));
        }
        if self.plan.silent_end {
            journal.note(|| "the clients are cut off".into());
            cut(&self.sim, self.plan.servers, self.plan.clients.len());
        }
        closing.cancel();
        if !self.within(CLOSING, |_| crowd.is_gone()) {
            let text = format!("clients are not closed; calls {:?}", self.open_calls());
            violations.push(Violation::of(Check::EndsInTime, text));
        }
        if !self.within(silence, |world| world.is_quiet() && network.open() == 0) {
            violations.extend(self.unrest("after the clients were closed"));
        }
        violations.extend(journal.violations());
        for (call, record) in calls.iter().zip(&journal.records()) {
            judge_call(call, record, self.plan.settings.reconnect, violations);
        }
        for (plan, record) in streams.iter().zip(&journal.streams()) {
            judge_stream(plan, record, self.plan.settings.reconnect, violations);
        }
        for (at, instance) in fleet.instances().iter().enumerate() {
            judge_instance(at, instance, violations);
        }
    }

    /// A server that was told to end so long ago has given its handlers up when its grace ended.
    fn judge_drain(&self, fault: Fault, took: Duration) {
        let late = self.plan.settings.grace + 3 * self.plan.tick;
        let Fault::Drain(server) = fault else { return };
        let running = self.stage.fleet.running(server);
        // Above its mark of output a server does not look after handlers until its client reads.
        let looks = self.plan.settings.output_mark >= WIDE_MARK;
        if took > late && running > 0 && looks {
            let text = format!("server {server} runs {running} handlers {took:?} after it was told to end");
            self.stage.journal.broken(Violation::of(Check::NoOrphans, text));
        }
    }

    fn is_quiet(&self) -> bool {
        let Stage { journal, fleet, network, crowd, .. } = self.stage;
        journal.running() == 0 && fleet.connections() == network.open() && crowd.is_settled()
    }

    fn open_calls(&self) -> Vec<usize> {
        let records = self.stage.journal.records();
        let open = records.iter().enumerate().filter(|(_, record)| record.ended.is_empty());
        open.map(|(uid, _)| uid).collect()
    }

    fn unrest(&self, when: &str) -> Vec<Violation> {
        let Stage { journal, fleet, network, crowd, .. } = self.stage;
        let records = journal.records();
        let running = records.iter().enumerate().filter(|(_, record)| record.running() > 0);
        let mut violations: Vec<Violation> = running
            .map(|(uid, record)| {
                let text = format!("its handler still runs {when}: {record:?}");
                Violation { check: Check::NoOrphans, uid: Some(uid), text }
            })
            .collect();
        let (servers, clients) = (fleet.connections(), network.open());
        if servers != clients {
            let text = format!("servers count {servers} connections, clients {clients}, {when}");
            violations.push(Violation::of(Check::Counts, text));
        }
        if !crowd.is_settled() {
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
        let (now, clients) = (self.sim.elapsed(), self.plan.clients.len());
        let Stage { journal, fleet, .. } = self.stage;
        journal.set_time(now);
        while let Some((at, begins, Spell { fault, from, .. })) = self.due.pop_if(|(at, ..)| *at <= now) {
            let what = if begins { "begins" } else { "ends" };
            journal.note(|| format!("{what}: {fault:?} (due {at:?})"));
            match begins {
                true => fault.begin(&mut self.sim, fleet, clients),
                false => {
                    self.judge_drain(fault, now - from);
                    fault.end(&mut self.sim, clients, self.plan.latency.1);
                }
            }
        }
        if let Err(error) = self.sim.step() {
            panic!("a host failed: {error}");
        }
    }
}
