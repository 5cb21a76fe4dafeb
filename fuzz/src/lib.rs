//! What the fuzz targets share: scripts, the ways to slice a stream, and frames that no honest peer sends.

mod script;
mod slicing;
mod wild;

pub use script::Script;
pub use slicing::Slicing;
pub use wild::WildFrame;
