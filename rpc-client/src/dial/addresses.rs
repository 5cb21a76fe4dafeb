//! The addresses of one name, tried one after the other.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::connect_error::{Attempt, Attempts, ConnectError};

/// The least time for one address, as long as there is time at all.
const LEAST: Duration = Duration::from_secs(2);

/// Resolves a name and connects to the first of its addresses that can be connected to, all within
/// `time`.
pub(super) async fn dial_first<IO, Connecting>(
    address: &str,
    time: Duration,
    resolve: impl Future<Output = io::Result<Vec<SocketAddr>>>,
    connect: impl Fn(SocketAddr) -> Connecting,
) -> Result<IO, ConnectError>
where
    Connecting: Future<Output = io::Result<IO>>,
{
    let started = Instant::now();
    let places = match timeout(time, resolve).await {
        Ok(Ok(places)) => places,
        Ok(Err(source)) => return Err(ConnectError::Resolve { address: address.into(), source }),
        Err(_) => return Err(ConnectError::ResolveTimeout { address: address.into(), after: time }),
    };
    let alone = places.len() == 1;
    let mut failed = Vec::new();
    for (index, &to) in places.iter().enumerate() {
        let left = time.saturating_sub(started.elapsed());
        if left.is_zero() && index > 0 {
            break;
        }
        let after = share(left, places.len() - index);
        // A name with one address is known to its user by the name, and its time is all that was set.
        let (named, given) = if alone { (address.to_owned(), time) } else { (to.to_string(), after) };
        let error = match timeout(after, connect(to)).await {
            Ok(Ok(io)) => return Ok(io),
            Ok(Err(source)) => ConnectError::dial(&named, source),
            Err(_) => ConnectError::DialTimeout { address: named, after: given },
        };
        tracing::debug!(address, %to, %error, "not connected");
        failed.push(Attempt { to, error });
    }
    let untried = places.len() - failed.len();
    let address = address.to_owned();
    if alone && let Some(Attempt { error, .. }) = failed.pop() {
        return Err(error);
    }
    Err(if failed.is_empty() {
        ConnectError::NoAddress { address }
    } else {
        ConnectError::Addresses { address, source: Attempts::new(failed, untried) }
    })
}

/// The part of the time that one address gets when so many are left: so that one dead address does not
/// use up the time of those that live, as in Go's `net.Dialer` (`partialDeadline` in net/dial.go).
fn share(left: Duration, addresses: usize) -> Duration {
    let even = left / u32::try_from(addresses).unwrap_or(u32::MAX).max(1);
    even.max(left.min(LEAST))
}

#[cfg(test)]
mod tests;
