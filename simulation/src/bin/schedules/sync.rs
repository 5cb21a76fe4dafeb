//! Shuttle's locks, for the files of others.

pub(crate) use shuttle::sync::atomic::{AtomicU8, Ordering};
pub(crate) use shuttle::sync::{Mutex, MutexGuard, PoisonError};
