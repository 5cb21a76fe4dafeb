//! Calls and streams of many clients while their servers are killed, stopped, drained and cut off: what
//! handlers wrote down, beside what the clients were told.

mod client;
mod dice;
mod job;
mod judge;
mod phase;
mod post;
mod records;
mod service;
mod tally;

use std::hash::{BuildHasher, RandomState};

use anyhow::Result;

pub(crate) use self::client::ask;
use self::dice::mix;
pub(crate) use self::job::Plan;
use self::phase::{Course, Phase};
use self::post::Harms;
use self::records::Outcome;
pub(crate) use self::service::serve;
use self::tally::Tally;
use crate::namespaces::{Namespaces, obstacle};
use crate::verdict::{Misses, Verdict};

/// One in so many is asked through a router that is cut off now and then, where there can be one.
const CUT_OFF: u64 = 5;

/// What is to be done.
pub(crate) struct Order {
    pub(crate) calls: u64,
    pub(crate) streams: u64,
    pub(crate) seed: Option<u64>,
    pub(crate) servers: usize,
    pub(crate) clients: usize,
    /// One handler in so many does wrong, to see whether that is found.
    pub(crate) lie: Option<u64>,
}

pub(crate) async fn storm(order: Order) -> Result<Verdict> {
    let Order { calls, streams, servers, clients, lie, .. } = order;
    let seed = order.seed.unwrap_or_else(|| RandomState::new().hash_one(0));
    println!(
        "storm: seed {seed}, {calls} calls and {streams} streams by {clients} clients of {servers} servers"
    );
    let obstacle = obstacle();
    let cut_off = if obstacle.is_none() { CUT_OFF } else { u64::MAX };
    let (calls_through, streams_through) = (calls / cut_off, streams / cut_off);
    let phase = |seed, calls, streams| Phase { plan: Plan { seed, calls, streams }, servers, clients, lie };

    let mut misses = Misses::default();
    let direct = phase(seed, calls - calls_through, streams - streams_through);
    let mut all = Sum::default();
    all.add("on the loopback interface", direct.run(None, &mut misses).await?);
    let Some(why) = obstacle else {
        let namespaces = Namespaces::create()?;
        let switch = namespaces.enter()?;
        switch.forward(true)?;
        let through = phase(mix(seed), calls_through, streams_through);
        let course = through.run(Some((&namespaces, switch)), &mut misses).await?;
        misses.expect(course.cuts > 0, || "the network was never cut: too few calls for a storm".into());
        all.add("behind a router", course);
        all.end(&mut misses);
        return Ok(Verdict::Seen(misses));
    };
    all.end(&mut misses);
    Ok(misses.but_not_all(format!("the network was not cut: {why}")))
}

/// All phases.
#[derive(Default)]
struct Sum {
    tally: Tally,
    harms: Harms,
}

impl Sum {
    fn add(&mut self, place: &str, course: Course) {
        let Course { tally, harms, cuts, took } = course;
        let Harms { kills, stops, drains, finished, cancelled } = harms;
        println!(
            "  {place}, {took:.1?}: {kills} killed, {stops} stopped, {drains} drained ({finished} calls finished, \
             {cancelled} cancelled), {cuts} cuts; the longest wait {:.1?}",
            tally.longest
        );
        self.tally.add(&tally);
        self.harms.add(&harms);
    }

    fn end(&self, misses: &mut Misses) {
        println!("{}", self.tally);
        let Harms { kills, stops, drains, .. } = self.harms;
        misses.expect(kills > 0 && stops > 0 && drains > 0, || {
            format!("{kills} killed, {stops} stopped, {drains} drained: too few calls for a storm")
        });
        let doubtful = self.tally.ended(Outcome::Maybe);
        misses.expect(doubtful > 0, || "no call was left in doubt: the servers were not harmed".into());
    }
}
