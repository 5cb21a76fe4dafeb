//! Bars in small panels: one for each case, with a scale of its own.

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::canvas::{Area, BLUE, FAINT, GREY, INK, MARGIN, ORANGE, SKY, failed, short, svg, write};
use crate::statistics::Spread;

/// One case.
#[derive(Clone, Debug)]
pub struct Panel {
    /// Its name.
    pub title: String,
    /// From top to bottom.
    pub bars: Vec<Bar>,
}

/// One subject.
#[derive(Clone, Debug)]
pub struct Bar {
    /// Its name.
    pub name: String,
    /// Its colour.
    pub kind: Kind,
    /// Its length, and the rounds' extremes.
    pub spread: Spread,
}

/// What a subject is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What is compared to.
    Floor,
    /// This project.
    Ours,
    /// This project on something else than TCP.
    Variant,
    /// Another.
    Peer,
}

impl Kind {
    const fn colour(self) -> RGBColor {
        match self {
            Self::Floor => GREY,
            Self::Ours => BLUE,
            Self::Variant => SKY,
            Self::Peer => ORANGE,
        }
    }
}

const LEGEND: [(&str, RGBColor); 4] = [
    ("the hand-written floor", Kind::Floor.colour()),
    ("ours, TCP", Kind::Ours.colour()),
    ("ours, other transports", Kind::Variant.colour()),
    ("peers", Kind::Peer.colour()),
];

const COLUMNS: usize = 3;
const WIDTH: i32 = 360;
const ROW: i32 = 20;
const TITLE: i32 = 30;
/// For names on the left, and for numbers on the right of a bar.
const NAMES: i32 = 90;
const NUMBERS: i32 = 62;

/// The panels, one beside the other.
///
/// # Errors
/// When they cannot be drawn.
pub fn bars(title: &str, subtitle: &str, panels: &[Panel]) -> Result<String> {
    let longest = panels.iter().map(|panel| panel.bars.len()).max().unwrap_or(0) as i32;
    let height = TITLE + longest * ROW + MARGIN;
    let rows = panels.len().div_ceil(COLUMNS) as i32;
    let size = (MARGIN + COLUMNS as i32 * (WIDTH + MARGIN), rows * height + MARGIN);
    svg(size, title, subtitle, &LEGEND, |area| {
        for (at, panel) in panels.iter().enumerate() {
            let left = MARGIN + (at % COLUMNS) as i32 * (WIDTH + MARGIN);
            draw(area, panel, left, (at / COLUMNS) as i32 * height)?;
        }
        Ok(())
    })
}

fn draw(area: &Area<'_>, panel: &Panel, left: i32, top: i32) -> Result<()> {
    write(area, &panel.title, (left, top + TITLE / 2), 14, INK, HPos::Left)?;
    let most = panel.bars.iter().map(|bar| bar.spread.max).fold(f64::MIN_POSITIVE, f64::max);
    let start = left + NAMES;
    let end = |value: f64| start + (value / most * f64::from(WIDTH - NAMES - NUMBERS)).round() as i32;
    for (row, bar) in panel.bars.iter().enumerate() {
        let middle = top + TITLE + row as i32 * ROW + ROW / 2;
        let Spread { median, min, max } = bar.spread;
        write(area, &bar.name, (start - 8, middle), 12, INK, HPos::Right)?;
        // What rounds to nothing is seen all the same.
        let corners = [(start, middle - 6), (end(median).max(start + 1), middle + 6)];
        area.draw(&Rectangle::new(corners, bar.kind.colour().filled())).map_err(failed)?;
        let range = PathElement::new([(end(min), middle), (end(max), middle)], INK.stroke_width(1));
        area.draw(&range).map_err(failed)?;
        write(area, &short(median), (end(max.max(median)) + 6, middle), 12, FAINT, HPos::Left)?;
    }
    Ok(())
}
