//! The two halves of a connection joined back to back: honest peers always agree.

#![allow(clippy::unwrap_used, missing_docs)]

mod joined;

use joined::{Ending, Joined};
use proptest::prelude::*;
use proptest::sample::Index;
use rpc_core::Executed;

#[derive(Clone, Debug)]
enum Step {
    Open { method: u8, large: bool },
    ServerReads(usize),
    ClientReads(usize),
    Answer { which: Index, fail: bool },
    Abandon(Index),
    Take(Index),
    Ping { client: bool },
    GoAway,
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = prop_oneof![1..40usize, 1..2000usize, Just(usize::MAX)];
    prop_oneof![
        6 => (0..6u8, prop::bool::weighted(0.05)).prop_map(|(method, large)| Step::Open { method, large }),
        6 => bytes.clone().prop_map(Step::ServerReads),
        6 => bytes.prop_map(Step::ClientReads),
        5 => (any::<Index>(), any::<bool>()).prop_map(|(which, fail)| Step::Answer { which, fail }),
        2 => any::<Index>().prop_map(Step::Abandon),
        3 => any::<Index>().prop_map(Step::Take),
        2 => any::<bool>().prop_map(|client| Step::Ping { client }),
    ]
}

/// A schedule with a GoAway in it, or with none.
fn schedule() -> impl Strategy<Value = Vec<Step>> {
    let steps = prop::collection::vec(step(), 0..300);
    (steps, prop::option::of(any::<Index>())).prop_map(|(mut steps, go_away)| {
        if let Some(at) = go_away {
            steps.insert(at.index(steps.len() + 1), Step::GoAway);
        }
        steps
    })
}

fn run(joined: &mut Joined, steps: Vec<Step>) {
    for step in steps {
        match step {
            Step::Open { method, large } => joined.open(method, large),
            Step::ServerReads(count) => joined.server_reads(count),
            Step::ClientReads(count) => joined.client_reads(count),
            Step::Answer { which, fail } => joined.answer(which, fail),
            Step::Abandon(which) => joined.abandon(which),
            Step::Take(which) => joined.take(which),
            Step::Ping { client } => joined.ping(client),
            Step::GoAway => joined.go_away(),
        }
        joined.check_when_quiet();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_call_between_honest_peers_ends_exactly_once(
        max_calls in 1..6u32,
        steps in schedule(),
    ) {
        let mut joined = Joined::new(max_calls);
        run(&mut joined, steps);
        joined.finish();
        joined.assert_empty();
        for (id, ending) in &joined.endings {
            let ran = joined.admitted.contains(id);
            match ending {
                Ending::Answer => prop_assert!(ran, "{id} was answered but never ran"),
                Ending::Lost(Executed::No) => prop_assert!(!ran, "{id} was lost as No but ran"),
                Ending::Lost(other) => prop_assert!(false, "{id} was lost as {other:?}"),
            }
        }
    }

    #[test]
    fn a_broken_connection_ends_every_call_and_no_means_no(
        max_calls in 1..6u32,
        steps in schedule(),
    ) {
        let mut joined = Joined::new(max_calls);
        run(&mut joined, steps);
        joined.break_off();
        for (id, ending) in &joined.endings {
            if *ending == Ending::Lost(Executed::No) {
                prop_assert!(!joined.admitted.contains(id), "{id} was lost as No but ran");
            }
        }
    }
}
