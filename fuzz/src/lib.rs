//! What the fuzz targets share: scripts, the ways to slice a stream, frames that no honest peer sends, and
//! the rules for items and credit.

mod data;
mod flow;
mod script;
mod sender;
mod slicing;
mod wild;
mod wire;

pub use data::{ItemLen, MAX_FRAME, Pen, WildData, window};
pub use flow::{Flow, Verdict};
pub use script::Script;
pub use sender::{Sent, sender};
pub use slicing::Slicing;
pub use wild::WildFrame;
pub use wire::Wire;
