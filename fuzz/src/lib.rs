//! What the fuzz targets share: scripts, the ways to slice a stream, and frames that no honest peer sends.

mod flow;
mod script;
mod slicing;
mod wild;

pub use flow::{Flow, Verdict};
pub use script::Script;
pub use slicing::Slicing;
pub use wild::WildFrame;
