//! The lock of `shared`. It stands here by name, so that `shared` can be explored with another one.

pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError};
