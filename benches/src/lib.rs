//! What the benchmark and the regression guard have in common.

pub mod case;
pub mod contract;
pub mod counting;
pub mod curve;
pub mod descriptors;
pub mod drive;
pub mod floor;
pub mod machine;
pub mod measure;
pub mod netrpc;
pub mod noise;
pub mod open;
pub mod ours;
pub mod pair;
#[cfg(feature = "peers")]
pub mod peers;
pub mod plot;
pub mod process;
pub mod record;
pub mod runtime;
pub mod statistics;
pub mod subject;
pub mod table;
#[cfg(feature = "tls")]
pub mod tls;
