//! What the fuzz targets share: scripts, the ways to slice a stream, frames that no honest peer sends, a
//! type that has everything, and the rules for items and credit.

mod data;
mod flow;
mod script;
mod sender;
mod slicing;
mod value;
mod wild;
mod wire;

pub use data::{ItemLen, MAX_FRAME, Pen, WildData, window};
pub use flow::{Flow, Verdict};
pub use script::Script;
pub use sender::{Sent, sender};
pub use slicing::Slicing;
pub use value::{Kind, Marker, Record, Value, Wrapper};
pub use wild::WildFrame;
pub use wire::Wire;
