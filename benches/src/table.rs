//! What was measured, as tables in Markdown.

use std::fmt::Write;

use crate::case::Case;
use crate::curve::Curve;
use crate::pair::Figures;
use crate::record::{Comparison, Growth, Idle, Run};
use crate::statistics::Spread;

const COMPARISON: &str = "\
| subject | calls/s | ratio to floor | ours ÷ this | server CPU us/call | client CPU us/call | syscalls/call server, client | p50 us | p99 us |
|---|---:|---:|---:|---:|---:|---:|---:|---:|
";

const IDLE: &str = "\
| subject | server KiB per connection | client KiB per connection |
|---|---:|---:|
";

const GROWTH: &str = "\
| line | at | calls/s | server CPU us/call | client CPU us/call |
|---|---:|---:|---:|---:|";

/// A spread with so many digits, or a dash.
#[must_use]
pub fn spread(figure: Option<Spread>, digits: usize) -> String {
    figure.map_or("-".into(), |spread| format!("{spread:.digits$}"))
}

/// The name of a case in a table.
#[must_use]
pub fn title(case: &str) -> &str {
    case.parse::<Case>().map_or(case, |case| case.title())
}

/// One run, while they go on.
#[must_use]
pub fn progress(figures: &Figures) -> String {
    format!(
        "{:.0} calls/s, server {:.3} us, client {:.3} us, others {:.2} CPU",
        figures.rate(),
        figures.server_cost(),
        figures.client_cost(),
        figures.others.unwrap_or(f64::NAN),
    )
}

/// A table for each case, and how it was measured.
#[must_use]
pub fn comparison(measured: &Comparison) -> String {
    let mut text = String::new();
    for case in measured.cases() {
        let _ = writeln!(text, "### {}\n\n{COMPARISON}{}", title(case), rows(measured, case));
    }
    text + &setting(measured)
}

fn rows(measured: &Comparison, case: &str) -> String {
    let rate = |run: &Run| Some(run.figures.rate());
    let row = |subject: &str| {
        let figure = |of: &dyn Fn(&Run) -> Option<f64>| measured.spread(case, subject, of);
        let ratio = |one: &str, other: &str| {
            let beside = || measured.ratio(case, one, other, rate);
            spread((one != other).then(beside).flatten(), 2)
        };
        format!(
            "| {subject} | {} | {} | {} | {} | {} | {}, {} | {} | {} |\n",
            spread(figure(&rate), 0),
            ratio(subject, "floor"),
            ratio("ours", subject),
            spread(figure(&|run| Some(run.figures.server_cost())), 3),
            spread(figure(&|run| Some(run.figures.client_cost())), 3),
            spread(figure(&|run| Some(run.syscalls?.server)), 3),
            spread(figure(&|run| Some(run.syscalls?.client)), 3),
            spread(figure(&|run| run.figures.sample.p50), 1),
            spread(figure(&|run| run.figures.sample.p99), 1),
        )
    };
    measured.subjects(case).into_iter().map(row).collect()
}

fn setting(measured: &Comparison) -> String {
    let setting = &measured.setting;
    let pinned = if setting.pinned { "server on CPU 0, client on CPU 1" } else { "not pinned" };
    let traced = setting.tracer.map(|tracer| format!("; system calls counted by {tracer:?}, once"));
    let others = Spread::of(measured.runs.iter().filter_map(|run| run.figures.others));
    format!(
        "Medians (smallest - largest) over {} rounds of {} s; {pinned}; tokio's {} runtime on each side, in every \
         row of Rust{}. An item of a stream counts as a call. Other processes kept {} CPUs busy meanwhile.\n\n{}.\n{}",
        setting.rounds,
        setting.seconds,
        setting.runtime,
        traced.unwrap_or_default(),
        spread(others, 2),
        setting.machine,
        failures(&measured.failures),
    )
}

/// What has failed, as a list.
#[must_use]
pub fn failures(failures: &[String]) -> String {
    failures.iter().map(|failure| format!("\n- **Failed:** {failure}\n")).collect()
}

/// What idle connections keep.
#[must_use]
pub fn idle(measured: &Idle) -> String {
    let row = |subject: &str| {
        let (server, client) =
            (measured.kibibytes(subject, |run| run.server), measured.kibibytes(subject, |run| run.client));
        format!("| {subject} | {} | {} |\n", spread(server, 2), spread(client, 2))
    };
    let rows: String = measured.subjects().into_iter().map(row).collect();
    format!(
        "{IDLE}{rows}\nResident memory that each of {} connections adds; medians (smallest - largest) over {} \
         rounds.\n{}",
        measured.connections,
        measured.rounds,
        failures(&measured.failures),
    )
}

/// A table for each curve.
#[must_use]
pub fn growth(measured: &Growth) -> String {
    let curves = Curve::ALL.into_iter().map(|curve| (curve, measured.places(curve)));
    let mut text = String::new();
    for (curve, places) in curves.filter(|(_, places)| !places.is_empty()) {
        let _ = writeln!(text, "### {}\n\n{GROWTH}", curve.title());
        for line in measured.lines(curve) {
            for at in &places {
                let figure =
                    |of: fn(&Figures) -> f64, digits| spread(measured.spread(curve, line, *at, of), digits);
                let _ = writeln!(
                    text,
                    "| {line} | {at} | {} | {} | {} |",
                    figure(Figures::rate, 0),
                    figure(Figures::server_cost, 3),
                    figure(Figures::client_cost, 3),
                );
            }
        }
        text.push('\n');
    }
    let others = Spread::of(measured.points.iter().filter_map(|point| point.figures.others));
    let _ = writeln!(
        text,
        "Medians (smallest - largest) over {} rounds of {} s; server on CPU 0, client on CPU 1 and tokio's \
         current_thread runtime on each side, unless the line says otherwise. Other processes kept {} CPUs busy \
         meanwhile.\n\n{}.\n{}",
        measured.rounds,
        measured.seconds,
        spread(others, 2),
        measured.machine,
        failures(&measured.failures),
    );
    text
}
