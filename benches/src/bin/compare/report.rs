//! What was measured, as a table in Markdown.

use std::fmt::Write;

use benches::case::Case;
use benches::subject::Subject;

use crate::orchestrate::{Plan, Run};
use crate::process::Tracer;

const HEAD: &str = "\
| case | subject | calls/s | ratio to floor (min - max) | server CPU us/call (user + system) | client CPU us/call (user + system) | p50 us | p99 us | syscalls/call server, client |
|---|---|---:|---:|---:|---:|---:|---:|---:|
";

/// One line per run, while it goes on.
pub(crate) fn progress(run: &Run) -> String {
    let calls = run.sample.calls as f64;
    format!(
        "round {} {:5} {:6} {:>10.0} calls/s, server {:.3} us, client {:.3} us, others {:.2} CPU",
        run.round + 1,
        run.case,
        run.subject,
        run.sample.rate(),
        run.server.total() / calls,
        run.sample.client.total() / calls,
        run.others.unwrap_or(f64::NAN),
    )
}

/// Medians over the rounds.
pub(crate) fn table(plan: &Plan, tracer: Option<Tracer>, runs: &[Run]) -> String {
    let mut text = HEAD.to_owned();
    for case in &plan.cases {
        for subject in plan.subjects.iter().filter(|subject| subject.has(*case)) {
            text.push_str(&row(*case, *subject, runs));
        }
    }
    let others: Vec<f64> = runs.iter().filter_map(|run| run.others).collect();
    let pinned = if plan.pin { "server on CPU 0, client on CPU 1" } else { "not pinned" };
    let traced = tracer.map(|tracer| format!("; system calls counted by {tracer:?}")).unwrap_or_default();
    let _ = writeln!(
        text,
        "\nMedians over {} rounds of {} s; {pinned}; tokio's {} runtime on each side, in every row{traced}. \
         Other processes kept {:.2} CPUs busy meanwhile (median; most in a run: {:.2}).",
        plan.rounds,
        plan.seconds,
        match plan.runtime {
            crate::Flavour::Current => "current_thread",
            crate::Flavour::Multi => "multi_thread",
        },
        median(&others).unwrap_or(f64::NAN),
        others.iter().copied().fold(f64::NAN, f64::max),
    );
    text
}

fn row(case: Case, subject: Subject, runs: &[Run]) -> String {
    let of = |subject: Subject| {
        runs.iter().filter(move |run| run.case == case.name() && run.subject == subject.name())
    };
    let mid = |value: &dyn Fn(&Run) -> Option<f64>, digits: usize| {
        let values: Vec<f64> = of(subject).filter_map(value).collect();
        median(&values).map_or("-".into(), |value| format!("{value:.digits$}"))
    };
    let per_call = |run: &Run, micros: f64| Some(micros / run.sample.calls as f64);
    // Only runs of the same round are compared: what the machine did then, it did to both.
    let ratios: Vec<f64> = of(subject)
        .filter_map(|run| {
            let floor = of(Subject::Floor).find(|floor| floor.round == run.round)?;
            Some(run.sample.rate() / floor.sample.rate())
        })
        .collect();
    let least = ratios.iter().copied().fold(f64::NAN, f64::min);
    let most = ratios.iter().copied().fold(f64::NAN, f64::max);
    let ratio = match median(&ratios) {
        Some(_) if subject == Subject::Floor => "1".into(),
        Some(ratio) => format!("{ratio:.2} ({least:.2} - {most:.2})"),
        None => "-".into(),
    };
    format!(
        "| {} | {} | {} | {ratio} | {} ({} + {}) | {} ({} + {}) | {} | {} | {}, {} |\n",
        case.title(),
        subject.name(),
        mid(&|run| Some(run.sample.rate()), 0),
        mid(&|run| per_call(run, run.server.total()), 3),
        mid(&|run| per_call(run, run.server.user), 3),
        mid(&|run| per_call(run, run.server.system), 3),
        mid(&|run| per_call(run, run.sample.client.total()), 3),
        mid(&|run| per_call(run, run.sample.client.user), 3),
        mid(&|run| per_call(run, run.sample.client.system), 3),
        mid(&|run| run.sample.p50, 1),
        mid(&|run| run.sample.p99, 1),
        mid(&|run| run.syscalls.map(|count| count.server), 3),
        mid(&|run| run.syscalls.map(|count| count.client), 3),
    )
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len().checked_sub(1)? / 2;
    Some((sorted[middle] + sorted[sorted.len() / 2]) / 2.0)
}
