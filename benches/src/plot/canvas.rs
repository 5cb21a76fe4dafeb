//! What all plots have: a ground, a title, a line below it, text.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Where a plot is drawn.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

pub(super) const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
pub(super) const FAINT: RGBColor = RGBColor(0x66, 0x66, 0x66);
pub(super) const GRID: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);

/// Colours that differ for the colour-blind, too.
pub(super) const BLUE: RGBColor = RGBColor(0x00, 0x72, 0xb2);
pub(super) const SKY: RGBColor = RGBColor(0x56, 0xb4, 0xe9);
pub(super) const GREY: RGBColor = RGBColor(0x99, 0x99, 0x99);
pub(super) const ORANGE: RGBColor = RGBColor(0xe6, 0x9f, 0x00);

pub(super) const MARGIN: i32 = 20;

/// Above what `plot` draws: the title, what is plotted, and the names of the colours.
const HEAD: i32 = 82;

/// Draws a plot of that size, head not counted.
pub(super) fn svg(
    (width, height): (i32, i32),
    title: &str,
    subtitle: &str,
    legend: &[(&str, RGBColor)],
    plot: impl FnOnce(&Area<'_>) -> Result<()>,
) -> Result<String> {
    let mut text = String::new();
    {
        let size = (width as u32, (height + HEAD) as u32);
        let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
        root.fill(&WHITE).map_err(failed)?;
        write(&root, title, (MARGIN, 16), 20, INK, HPos::Left)?;
        write(&root, subtitle, (MARGIN, 42), 13, FAINT, HPos::Left)?;
        let mut x = MARGIN;
        for (name, colour) in legend {
            let swatch = Rectangle::new([(x, 61), (x + 12, 73)], colour.filled());
            root.draw(&swatch).map_err(failed)?;
            write(&root, name, (x + 18, 67), 12, INK, HPos::Left)?;
            x += 18 + width_of(name, 12) + 24;
        }
        let (_, below) = root.split_vertically(HEAD);
        plot(&below)?;
        root.present().map_err(failed)?;
    }
    Ok(text)
}

/// A font of so many pixels: plotters takes points, and has 1.24 of them in a pixel.
pub(super) fn font(pixels: i32) -> FontDesc<'static> {
    ("sans-serif", f64::from(pixels) * 1.24).into_font()
}

/// Text beside a point, vertically centred on it.
pub(super) fn write(
    area: &Area<'_>,
    text: &str,
    at: (i32, i32),
    size: i32,
    colour: RGBColor,
    side: HPos,
) -> Result<()> {
    let style = font(size).color(&colour).pos(Pos::new(side, VPos::Center));
    area.draw(&Text::new(text.to_owned(), at, style)).map_err(failed)
}

/// Pixels that a text takes at the most, by and large: fonts differ.
pub(super) fn width_of(text: &str, size: i32) -> i32 {
    text.chars().count() as i32 * size * 3 / 5
}

/// `1.23 M`: three digits, and a thousand's prefix.
pub(super) fn short(value: f64) -> String {
    let (scaled, prefix) = match value.abs() {
        1e9.. => (value / 1e9, " G"),
        1e6.. => (value / 1e6, " M"),
        1e3.. => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let digits = match scaled.abs() {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    format!("{scaled:.digits$}{prefix}")
}

/// An error of the drawing, whose type borrows what was drawn on.
pub(super) fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("the plot cannot be drawn: {error}")
}
