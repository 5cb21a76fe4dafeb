use rpc_core::planted::Bug;

use crate::run::{keep_panics, run};
use crate::search;
use crate::tally::Tally;

#[test]
fn whatever_the_schedule_streams_end_once_and_lose_nothing() {
    keep_panics();
    let mut tally = Tally::default();
    for seed in 0..400 {
        let verdict = run(seed, false, None);
        assert!(verdict.violations.is_empty(), "seed {seed}: {:#?}", verdict.violations);
        tally.add(verdict.tally);
    }
    let jammed = tally.of("schedule with all streams stalled, and items over the window");
    assert!(jammed > 0, "no schedule had all its streams stalled:\n{tally}");
}

#[test]
fn the_same_seed_gives_the_same_schedule() {
    for seed in 0..100 {
        let (once, again) = (run(seed, true, None), run(seed, true, None));
        let differs = once.events.iter().zip(&again.events).position(|(one, two)| one != two);
        if let Some(at) = differs {
            panic!("seed {seed} differs at line {at}:\n{}\n{}", once.events[at], again.events[at]);
        }
        assert!(once.events.len() > 10 && once.events.len() == again.events.len(), "seed {seed}");
    }
}

#[test]
fn every_bug_planted_in_streams_is_found() {
    keep_panics();
    for bug in Bug::OF_STREAMS {
        assert!(search(bug, 0, 300).is_some(), "{bug:?} was not found");
    }
}
