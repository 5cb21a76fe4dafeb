//! Plots as SVG: dark on a white ground of their own, so that they can be read on any page.

mod bars;
mod canvas;
mod curves;

pub use self::bars::{Bar, Kind, Panel, bars};
pub use self::curves::{Chart, Line, curves};
