//! What the benchmark and the regression guard have in common.

pub mod case;
pub mod contract;
pub mod counting;
pub mod drive;
pub mod floor;
pub mod measure;
pub mod netrpc;
pub mod open;
pub mod ours;
#[cfg(feature = "peers")]
pub mod peers;
pub mod subject;
#[cfg(feature = "tls")]
pub mod tls;
