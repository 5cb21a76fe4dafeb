use super::*;
use crate::measure::{Cpu, Sample};

fn run(round: usize, subject: &str, calls: u64) -> Run {
    let cpu = Cpu { user: 1.0, system: 1.0 };
    let sample = Sample { calls, seconds: 2.0, client: cpu, p50: None, p99: None, all_calls: calls };
    let figures = Figures { sample, server: cpu, others: None };
    Run { round, case: "c64".into(), subject: subject.into(), figures, syscalls: None }
}

fn comparison(runs: Vec<Run>) -> Comparison {
    let machine = Machine {
        cpu: "cpu".into(),
        cpus: 2,
        kernel: "linux 6".into(),
        rustc: None,
        go: None,
        crates: Default::default(),
    };
    let setting =
        Setting { pinned: true, runtime: Flavour::Current, rounds: 3, seconds: 2.0, tracer: None, machine };
    Comparison { setting, runs, failures: Vec::new() }
}

#[test]
fn ratios_are_taken_within_a_round_and_rounds_without_both_are_left_out() {
    // The machine was ten times as slow in the second round, and the floor failed in the third.
    let runs = vec![
        run(0, "floor", 1000),
        run(0, "ours", 800),
        run(1, "ours", 90),
        run(1, "floor", 100),
        run(2, "ours", 700),
    ];
    let ratio = comparison(runs).ratio("c64", "ours", "floor", |run| Some(run.figures.rate())).unwrap();
    assert_eq!((ratio.min, ratio.max), (0.8, 0.9));
    assert!((ratio.median - 0.85).abs() < 1e-9);
}

#[test]
fn there_is_no_ratio_to_one_that_was_not_measured() {
    let comparison = comparison(vec![run(0, "ours", 1)]);
    assert_eq!(comparison.ratio("c64", "ours", "tarpc", |run| Some(run.figures.rate())), None);
    assert_eq!(comparison.spread("c256", "ours", |run| Some(run.figures.rate())), None);
}

#[test]
fn a_figure_that_only_the_first_round_has_is_the_first_rounds() {
    let mut runs = vec![run(0, "ours", 1), run(1, "ours", 1)];
    runs[0].syscalls = Some(Syscalls { server: 0.06, client: 0.1 });
    let spread = comparison(runs).spread("c64", "ours", |run| Some(run.syscalls?.server)).unwrap();
    assert_eq!((spread.median, spread.min, spread.max), (0.06, 0.06, 0.06));
}

#[test]
fn what_is_written_can_be_read() {
    let written = crate::record::Record::Compare(comparison(vec![run(0, "ours", 5)]));
    let text = serde_json::to_string(&written).unwrap();
    let crate::record::Record::Compare(read) = serde_json::from_str(&text).unwrap() else { panic!("{text}") };
    assert_eq!(read.runs[0].figures.sample.calls, 5);
    assert_eq!(read.setting.runtime, Flavour::Current);
}
