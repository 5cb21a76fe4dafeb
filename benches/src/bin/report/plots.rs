//! What is plotted of what was measured.

use anyhow::Result;
use benches::curve::Curve;
use benches::pair::Figures;
use benches::plot::{Bar, Chart, Kind, Line, Panel, bars, curves};
use benches::record::{Comparison, Growth};
use benches::table;

pub(crate) fn comparison(measured: &Comparison) -> Result<String> {
    let panel = |case: &str| {
        let bar = |subject: &str| {
            let spread = measured.spread(case, subject, |run| Some(run.figures.calls_per_cpu_second()))?;
            Some(Bar { name: subject.to_owned(), kind: kind(subject), spread })
        };
        let bars = measured.subjects(case).into_iter().filter_map(bar).collect();
        Panel { title: table::title(case).to_owned(), bars }
    };
    let panels: Vec<Panel> = measured.cases().into_iter().map(panel).collect();
    let setting = &measured.setting;
    let how = format!(
        "CPU time of both sides; longer is better; each case has a scale of its own. Medians of {} rounds of {} s, \
         smallest to largest; {}.",
        setting.rounds,
        setting.seconds,
        if setting.pinned { "pinned" } else { "not pinned" },
    );
    bars("Calls (or items of a stream) per CPU second", &how, &panels)
}

fn kind(subject: &str) -> Kind {
    match subject {
        "floor" => Kind::Floor,
        "ours" => Kind::Ours,
        "unix" | "tls" => Kind::Variant,
        _ => Kind::Peer,
    }
}

pub(crate) fn growth(measured: &Growth) -> Result<String> {
    let names = ["ours", "floor", Curve::SPREAD_OUT];
    let chart = |curve: Curve, title: &str, figure: fn(&Figures) -> f64| {
        let places = measured.places(curve);
        let points = |name: &str| {
            let point = |at: &usize| Some((*at, measured.spread(curve, name, *at, figure)?));
            places.iter().filter_map(point).collect::<Vec<_>>()
        };
        let lines = names.into_iter().enumerate().map(|(name, line)| Line { name, points: points(line) });
        let lines = lines.filter(|line| !line.points.is_empty()).collect();
        Chart { title: title.to_owned(), x: (curve.title().to_owned(), places.clone()), lines }
    };
    let both = |curve: Curve| {
        [
            chart(curve, "calls per second", Figures::rate),
            chart(curve, "CPU us per call, both sides", Figures::cost),
        ]
    };
    let measured_curves = Curve::ALL.into_iter().filter(|curve| !measured.places(*curve).is_empty());
    let charts: Vec<Chart> = measured_curves.flat_map(both).collect();
    let how = format!(
        "Both axes logarithmic. Medians of {} rounds of {} s, smallest to largest; pinned unless said otherwise.",
        measured.rounds, measured.seconds,
    );
    curves("What calls cost as one thing grows", &how, &names, &charts)
}
