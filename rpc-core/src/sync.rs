//! The lock and the flag of `cancel`. They stand here by name, so that `cancel` can be explored with others.

pub(crate) use std::sync::atomic::{AtomicU8, Ordering};
pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError};
