//! What handlers wrote down beside what clients were told.

use std::collections::HashMap;

use super::job::{GRACE, Job, Kind, Plan};
use super::records::{Ended, Entry, Outcome, Told};
use super::tally::Tally;
use crate::verdict::Misses;

#[cfg(test)]
mod tests;

/// What one server process wrote.
pub(crate) struct Journal {
    pub(crate) entries: Vec<Entry>,
    /// It was killed, and its handlers may lack their ends.
    pub(crate) killed: bool,
}

/// What all servers wrote of one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Runs {
    begun: u32,
    ended: u32,
    complete: u32,
    /// The most items that a run saw.
    seen: u32,
    wrong: bool,
}

/// Compares all of a phase, and counts it.
pub(crate) fn judge(plan: &Plan, journals: &[Journal], told: &[Told], misses: &mut Misses) -> Tally {
    let before = misses.count();
    let mut runs = vec![Runs::default(); plan.total() as usize];
    for journal in journals {
        let left = gather(journal, &mut runs, misses);
        misses.expect(journal.killed || left == 0, || {
            format!("{left} handlers of a server that was not killed have no end")
        });
    }
    let mut answers: Vec<Option<&Told>> = vec![None; runs.len()];
    for told in told {
        let Some(place) = answers.get_mut(told.number as usize) else {
            misses
                .expect(false, || format!("a client was told of number {}, which nobody asked", told.number));
            continue;
        };
        misses.expect(place.replace(told).is_none(), || format!("number {} was told twice", told.number));
    }
    let mut tally = Tally::default();
    for (number, (runs, told)) in runs.iter().zip(answers).enumerate() {
        let job = plan.job(number as u64);
        let Some(told) = told else {
            misses.expect(false, || format!("nobody was told what became of {job:?}"));
            continue;
        };
        let broken = broken(&job, runs, told);
        tally.count(&job, told, runs.begun);
        misses.expect(broken.is_none(), || {
            format!("{}: {job:?}, {runs:?}, {told:?}", broken.unwrap_or_default())
        });
    }
    tally.wrong = misses.count() - before;
    tally
}

/// How many numbers have handlers without an end there.
pub(crate) fn open(entries: &[Entry]) -> usize {
    let open = entries.iter().fold(HashMap::<u64, i64>::new(), |mut open, entry| {
        match entry {
            Entry::Begun(number) => *open.entry(*number).or_default() += 1,
            Entry::Ended(ended) => *open.entry(ended.number).or_default() -= 1,
        }
        open
    });
    open.values().filter(|count| **count != 0).count()
}

/// Adds what a journal says. How many handlers have no end in it.
fn gather(journal: &Journal, runs: &mut [Runs], misses: &mut Misses) -> usize {
    for entry in &journal.entries {
        let (Entry::Begun(number) | Entry::Ended(Ended { number, .. })) = entry;
        let Some(runs) = runs.get_mut(*number as usize) else {
            misses.expect(false, || format!("number {number} has run, which nobody asked"));
            continue;
        };
        match entry {
            Entry::Begun(_) => runs.begun += 1,
            Entry::Ended(ended) => {
                runs.ended += 1;
                runs.complete += u32::from(ended.complete);
                runs.seen = runs.seen.max(ended.seen);
                runs.wrong |= !ended.right;
            }
        }
    }
    open(&journal.entries)
}

/// The first rule that this breaks.
fn broken(job: &Job, runs: &Runs, told: &Told) -> Option<&'static str> {
    let (sends, answers) = (job.kind.sends(), job.kind.answers());
    let ok = told.outcome == Outcome::Ok;
    let sent_all = told.finished && told.sent == job.items;
    let rules = [
        (told.outcome != Outcome::Hung, "it hung"),
        (told.took <= job.time() + GRACE, "it ended long after its time"),
        (job.kind == Kind::Again || runs.begun <= 1, "it ran more than once"),
        (told.outcome != Outcome::No || runs.begun == 0, "told that it did not run, and it ran"),
        (told.outcome != Outcome::Yes || runs.begun > 0, "told that it ran, and it did not"),
        (!ok || runs.complete > 0, "told that it ended well, and no handler did"),
        (!ok || told.answer == job.answer(), "the answer is wrong"),
        (told.right, "told items that are not the next ones"),
        (told.got == 0 || runs.begun > 0, "told items of a handler that did not run"),
        (!ok || !answers || told.got == job.items, "told that it is complete, and items are missing"),
        (runs.ended == 0 || told.got <= runs.seen, "told more items than the handler gave"),
        (!sends || told.got <= told.sent, "told more items than were sent"),
        (!runs.wrong, "the handler saw items that are not the next ones"),
        (!sends || runs.seen <= told.sent, "the handler saw more items than were sent"),
        (!ok || !sends || sent_all, "told that it ended well, and not everything was sent"),
        (runs.complete == 0 || !sends || told.finished, "the handler saw an end that nobody sent"),
        (runs.complete == 0 || runs.seen == job.items, "the handler ended well without all items"),
    ];
    rules.into_iter().find(|(holds, _)| !holds).map(|(_, rule)| rule)
}
