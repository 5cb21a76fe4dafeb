//! A world is its seed and nothing else.

use simulation::world::run;

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..300 {
        let (once, again) = (run(seed, true, None), run(seed, true, None));
        assert!(!once.events.is_empty(), "seed {seed}: {}", once.events.len());
        let differs = once.events.iter().zip(&again.events).position(|(one, two)| one != two);
        if let Some(at) = differs {
            panic!("seed {seed} differs at line {at}:\n{}\n{}", once.events[at], again.events[at]);
        }
        assert_eq!(once.events.len(), again.events.len(), "seed {seed}");
    }
}

#[test]
fn another_seed_gives_another_trace() {
    assert_ne!(run(1, true, None).events, run(2, true, None).events);
}

#[test]
fn worlds_before_it_on_the_same_thread_do_not_change_a_world() {
    let fresh = std::thread::spawn(|| run(77, true, None).events);
    (0..20).for_each(|seed| drop(run(seed, false, None)));
    assert_eq!(fresh.join().expect("no panic"), run(77, true, None).events);
}
