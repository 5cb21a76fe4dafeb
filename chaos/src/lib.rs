//! Servers as processes of their own, and what the kernel says of them.

#![forbid(unsafe_code)]

pub mod descriptors;
pub mod process;

use std::future::Future;
use std::time::Duration;

use anyhow::Context;

/// Waits for what has to come, but not for ever.
///
/// # Errors
/// When it has not come.
pub async fn within<T>(seconds: u64, what: &str, future: impl Future<Output = T>) -> anyhow::Result<T> {
    let limited = tokio::time::timeout(Duration::from_secs(seconds), future).await;
    limited.with_context(|| format!("within {seconds} s it did not come about that {what}"))
}
