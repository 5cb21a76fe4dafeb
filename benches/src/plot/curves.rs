//! Curves in small charts, both axes logarithmic.

use anyhow::Result;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged};
use plotters::prelude::*;

use super::canvas::{Area, BLUE, FAINT, GREY, GRID, INK, MARGIN, ORANGE, failed, font, short, svg};
use crate::statistics::Spread;

/// Some lines on the same axes.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What the lines show.
    pub title: String,
    /// What is drawn to the right, and where it was measured.
    pub x: (String, Vec<usize>),
    /// The lines.
    pub lines: Vec<Line>,
}

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    /// Which of the names in the legend it has.
    pub name: usize,
    /// Its points, and the rounds' extremes.
    pub points: Vec<(usize, Spread)>,
}

const COLOURS: [RGBColor; 3] = [BLUE, GREY, ORANGE];
const COLUMNS: usize = 2;
const WIDTH: i32 = 520;
const HEIGHT: i32 = 280;

/// The charts, one beside the other; `names` are those of the lines.
///
/// # Errors
/// When they cannot be drawn.
pub fn curves(title: &str, subtitle: &str, names: &[&str], charts: &[Chart]) -> Result<String> {
    let rows = charts.len().div_ceil(COLUMNS);
    let size = (COLUMNS as i32 * WIDTH + MARGIN, rows as i32 * HEIGHT + MARGIN);
    let legend: Vec<_> = names.iter().copied().zip(COLOURS).collect();
    svg(size, title, subtitle, &legend, |area| {
        let areas = area.margin(0, MARGIN, 0, MARGIN).split_evenly((rows.max(1), COLUMNS));
        charts.iter().zip(&areas).try_for_each(|(chart, area)| draw(chart, area))
    })
}

fn draw(chart: &Chart, area: &Area<'_>) -> Result<()> {
    let values = chart.lines.iter().flat_map(|line| &line.points);
    let values: Vec<f64> = values.flat_map(|(_, spread)| [spread.min, spread.max]).collect();
    let x = Scale::of_places(&chart.x.1);
    let y = Scale::around(&values);
    let mut plot = ChartBuilder::on(area)
        .margin(8)
        .caption(&chart.title, font(14).color(&INK))
        .x_label_area_size(44)
        .y_label_area_size(58)
        .build_cartesian_2d(x, y)
        .map_err(failed)?;
    plot.configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(FAINT)
        .x_desc(&chart.x.0)
        .axis_desc_style(font(12).color(&FAINT))
        .label_style(font(11).color(&INK))
        .x_label_formatter(&|place| places(*place))
        .y_label_formatter(&|value| short(*value))
        .draw()
        .map_err(failed)?;
    for line in &chart.lines {
        let colour = COLOURS[line.name % COLOURS.len()];
        let points = || line.points.iter().map(|(at, spread)| (*at as f64, spread));
        let middle = points().map(|(at, spread)| (at, spread.median));
        plot.draw_series(LineSeries::new(middle.clone(), colour.stroke_width(2))).map_err(failed)?;
        plot.draw_series(middle.map(|point| Circle::new(point, 3, colour.filled()))).map_err(failed)?;
        let ranges =
            points().map(|(at, spread)| PathElement::new([(at, spread.min), (at, spread.max)], colour));
        plot.draw_series(ranges).map_err(failed)?;
    }
    Ok(())
}

/// A place on the axis: whole, and in powers of 1,024 where it is one's multiple.
fn places(place: f64) -> String {
    match place as usize {
        place if place >= 1 << 20 && place % (1 << 20) == 0 => format!("{} Mi", place >> 20),
        place if place >= 1 << 14 && place % (1 << 10) == 0 => format!("{} Ki", place >> 10),
        place => place.to_string(),
    }
}

/// A logarithmic axis with its marks.
struct Scale {
    least: f64,
    most: f64,
    marks: Vec<f64>,
}

impl Scale {
    /// Marks where it was measured. Nothing at all has the place of one.
    fn of_places(places: &[usize]) -> Self {
        let marks: Vec<f64> = places.iter().map(|place| *place as f64).collect();
        let least = marks.iter().copied().fold(f64::INFINITY, f64::min).max(1.0);
        let most = marks.iter().copied().fold(2.0, f64::max);
        Self { least, most, marks }
    }

    /// Marks at 1, 2 and 5, or at powers of ten where these are too many.
    fn around(values: &[f64]) -> Self {
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(0.0, f64::max);
        if !(least > 0.0 && most.is_finite() && least.is_finite()) {
            return Self { least: 1.0, most: 10.0, marks: vec![1.0, 10.0] };
        }
        let decades = least.log10().floor() as i32..=most.log10().ceil() as i32;
        let steps: &[f64] = if (most / least).log10() > 2.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let all: Vec<f64> =
            decades.flat_map(|decade| steps.iter().map(move |step| step * 10_f64.powi(decade))).collect();
        let first = all.iter().rposition(|mark| *mark <= least).unwrap_or(0);
        let last = all.iter().position(|mark| *mark >= most).unwrap_or(all.len() - 1).max(first + 1);
        let marks = all[first..=last.min(all.len() - 1)].to_vec();
        Self { least: marks[0], most: marks[marks.len() - 1], marks }
    }
}

impl Ranged for Scale {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let part = (value.max(self.least) / self.least).ln() / (self.most / self.least).ln();
        limit.0 + (part * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.marks.clone() }
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.least..self.most
    }
}

impl plotters::coord::ranged1d::ValueFormatter<f64> for Scale {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_enclose_the_values() {
        assert_eq!(Scale::around(&[22.0, 38.0]).marks, [20.0, 50.0]);
        assert_eq!(Scale::around(&[0.3, 55.0]).marks, [0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]);
        assert_eq!(Scale::around(&[3.0, 20_000.0]).marks, [1.0, 10.0, 100.0, 1000.0, 10_000.0, 100_000.0]);
        assert_eq!(Scale::around(&[10.0, 10.0]).marks, [10.0, 20.0]);
        assert_eq!(Scale::around(&[]).marks, [1.0, 10.0]);
    }

    #[test]
    fn each_doubling_takes_the_same_room_and_nothing_stands_where_one_does() {
        let scale = Scale::of_places(&[0, 1, 2, 4, 16]);
        let map = |value| scale.map(&value, (100, 500));
        assert_eq!([0.0, 1.0, 2.0, 4.0, 16.0].map(map), [100, 100, 200, 300, 500]);
    }
}
