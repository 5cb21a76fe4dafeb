#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use super::*;

const PLAN: Plan = Plan { seed: 7, calls: 90, streams: 90 };

/// What was written and told of one job.
#[derive(Clone)]
struct Case {
    job: Job,
    entries: Vec<Entry>,
    killed: bool,
    told: Vec<Told>,
}

impl Case {
    /// The first job of this kind that fits, ended as well as it can.
    fn good(kind: Kind, fits: impl Fn(&Job) -> bool) -> Self {
        let job = (0..PLAN.total()).map(|number| PLAN.job(number));
        let job = job.into_iter().find(|job| job.kind == kind && fits(job)).unwrap();
        let Job { number, items, .. } = job;
        let told = Told {
            number,
            outcome: Outcome::Ok,
            sent: if kind.sends() { items } else { 0 },
            finished: kind.sends(),
            got: if kind.answers() { items } else { 0 },
            right: true,
            answer: job.answer(),
            took: job.time(),
        };
        let ended = Ended { number, seen: items, right: true, complete: true };
        let entries = vec![Entry::Begun(number), Entry::Ended(ended)];
        Self { job, entries, killed: false, told: vec![told] }
    }

    /// One with some items.
    fn some(kind: Kind) -> Self {
        let streams = kind.sends() || kind.answers();
        Self::good(kind, |job| !streams || job.items > 2 && job.size > 0)
    }

    fn told(mut self, change: impl FnOnce(&mut Told)) -> Self {
        change(&mut self.told[0]);
        self
    }

    fn failed(self, outcome: Outcome) -> Self {
        self.told(|told| (told.outcome, told.answer) = (outcome, 0))
    }

    fn ended(mut self, change: impl FnOnce(&mut Ended)) -> Self {
        let Some(Entry::Ended(ended)) = self.entries.last_mut() else { panic!("it has no end") };
        change(ended);
        self
    }

    fn never_ran(mut self) -> Self {
        self.entries.clear();
        self
    }

    fn ran_twice(mut self) -> Self {
        self.entries.extend_from_within(..);
        self
    }

    /// The server was killed while it ran.
    fn killed(mut self) -> Self {
        self.entries.truncate(1);
        self.killed = true;
        self
    }

    /// What the judge finds, with all other jobs well.
    fn misses(self) -> String {
        let (mut entries, mut told) = (Vec::new(), self.told);
        for number in (0..PLAN.total()).filter(|number| *number != self.job.number) {
            let other = Self::good(PLAN.job(number).kind, |job| job.number == number);
            entries.extend(other.entries);
            told.extend(other.told);
        }
        let journals =
            [Journal { entries, killed: false }, Journal { entries: self.entries, killed: self.killed }];
        let mut misses = Misses::default();
        let tally = judge(&PLAN, &journals, &told, &mut misses);
        assert_eq!(tally.wrong, misses.count());
        if misses.is_empty() { String::new() } else { misses.to_string() }
    }

    fn holds(self) {
        assert_eq!(self.misses(), "");
    }

    fn breaks(self, rule: &str) {
        let misses = self.misses();
        assert!(misses.contains(rule), "not {rule}, but {misses}");
    }
}

#[test]
fn all_that_ended_well_is_fine() {
    Kind::ALL.into_iter().for_each(|kind| Case::some(kind).holds());
}

#[test]
fn what_is_told_of_an_error_has_to_be_so() {
    for kind in Kind::ALL {
        let unasked = |told: &mut Told| (told.sent, told.finished, told.got) = (0, false, 0);
        let failed = |outcome| Case::some(kind).failed(outcome);
        failed(Outcome::No).never_ran().told(unasked).holds();
        failed(Outcome::Maybe).never_ran().told(unasked).holds();
        failed(Outcome::Maybe).holds();
        failed(Outcome::Maybe).killed().holds();
        failed(Outcome::Yes).holds();
        failed(Outcome::No).breaks("told that it did not run, and it ran");
        failed(Outcome::No).killed().breaks("told that it did not run, and it ran");
        failed(Outcome::Yes).never_ran().breaks("told that it ran, and it did not");
    }
}

#[test]
fn only_what_is_idempotent_may_run_twice() {
    Case::some(Kind::Again).ran_twice().holds();
    Case::some(Kind::Again).failed(Outcome::Maybe).ran_twice().holds();
    Case::some(Kind::Again).failed(Outcome::No).ran_twice().breaks("did not run, and it ran");
    for kind in [Kind::Once, Kind::Server, Kind::Client, Kind::Bidi] {
        Case::some(kind).ran_twice().breaks("it ran more than once");
        Case::some(kind).failed(Outcome::Maybe).ran_twice().breaks("it ran more than once");
    }
}

#[test]
fn a_good_end_takes_a_handler_that_came_to_its_end() {
    for kind in Kind::ALL {
        Case::some(kind).killed().breaks("told that it ended well, and no handler did");
        Case::some(kind).ended(|ended| ended.complete = false).breaks("no handler did");
        Case::some(kind).never_ran().breaks("no handler did");
    }
}

#[test]
fn an_answer_is_the_right_one() {
    for kind in [Kind::Once, Kind::Again, Kind::Client] {
        Case::some(kind).told(|told| told.answer += 1).breaks("the answer is wrong");
    }
}

#[test]
fn a_call_ends_within_its_time_and_a_second() {
    for kind in Kind::ALL {
        Case::some(kind).failed(Outcome::Hung).breaks("it hung");
        Case::some(kind).told(|told| told.took += GRACE).holds();
        let late = GRACE + Duration::from_millis(1);
        Case::some(kind).told(|told| told.took += late).breaks("it ended long after its time");
    }
}

#[test]
fn items_that_are_told_are_the_next_ones_and_complete_means_all() {
    for kind in [Kind::Server, Kind::Bidi] {
        let cut = |told: &mut Told| told.got -= 1;
        Case::some(kind).told(|told| told.right = false).breaks("told items that are not the next ones");
        Case::some(kind).told(cut).breaks("told that it is complete, and items are missing");
        Case::some(kind).failed(Outcome::Maybe).told(cut).holds();
        Case::some(kind).failed(Outcome::Maybe).told(cut).killed().holds();
        Case::some(kind).told(|told| told.got += 1).breaks("items are missing");
        Case::some(kind)
            .failed(Outcome::Maybe)
            .never_ran()
            .breaks("told items of a handler that did not run");
        let gave_less = |ended: &mut Ended| (ended.seen, ended.complete) = (1, false);
        Case::some(kind).failed(Outcome::Maybe).ended(gave_less).breaks("more items than the handler gave");
    }
    let sent_less = |told: &mut Told| (told.sent, told.finished) = (1, false);
    Case::some(Kind::Bidi).failed(Outcome::Maybe).told(sent_less).breaks("told more items than were sent");
}

#[test]
fn a_handler_sees_what_was_sent_and_its_end_means_all() {
    for kind in [Kind::Client, Kind::Bidi] {
        let failed = || Case::some(kind).failed(Outcome::Maybe).told(|told| told.got = 0);
        let in_the_middle = |ended: &mut Ended| (ended.seen, ended.complete) = (1, false);
        let sent_less = |told: &mut Told| (told.sent, told.finished) = (1, false);
        failed().ended(in_the_middle).holds();
        failed().ended(in_the_middle).told(sent_less).holds();
        failed().ended(|ended| ended.right = false).breaks("the handler saw items that are not the next");
        failed().told(sent_less).breaks("the handler saw more items than were sent");
        failed().told(|told| told.finished = false).breaks("the handler saw an end that nobody sent");
        failed().ended(|ended| ended.seen -= 1).breaks("the handler ended well without all items");
        Case::some(kind).told(|told| told.finished = false).breaks("and not everything was sent");
    }
    Case::some(Kind::Server).ended(|ended| ended.seen += 1).breaks("ended well without all items");
}

#[test]
fn a_handler_without_an_end_was_killed() {
    let mut left = Case::some(Kind::Once).failed(Outcome::Maybe).killed();
    left.clone().holds();
    left.killed = false;
    left.breaks("1 handlers of a server that was not killed have no end");
}

#[test]
fn each_number_is_told_once_and_nothing_else_is() {
    let mut nobody = Case::some(Kind::Once);
    nobody.told.clear();
    nobody.breaks("nobody was told what became of");
    let mut twice = Case::some(Kind::Once);
    twice.told.extend_from_within(..);
    twice.breaks("was told twice");
    let mut unknown = Case::some(Kind::Once);
    unknown.told.push(Told { number: PLAN.total(), ..unknown.told[0] });
    unknown.breaks("which nobody asked");
    let mut unknown = Case::some(Kind::Once);
    unknown.entries.insert(0, Entry::Begun(PLAN.total()));
    unknown.breaks("has run, which nobody asked");
}

#[test]
fn a_plan_has_so_many_streams_and_items_unlike_each_other() {
    let jobs: Vec<_> = (0..PLAN.total()).map(|number| PLAN.job(number)).collect();
    let streams = jobs.iter().filter(|job| job.kind.sends() || job.kind.answers());
    assert_eq!(streams.count() as u64, PLAN.streams);
    assert_eq!(PLAN.to_string().parse::<Plan>().unwrap(), PLAN);
    let large = jobs.iter().find(|job| job.size >= 8).unwrap();
    let items: std::collections::HashSet<_> = (0..1000).map(|at| large.item(at)).collect();
    assert_eq!(items.len(), 1000);
}
