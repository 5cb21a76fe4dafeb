//! The client under attack: honest calls, one at a time, and a line about each.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use examples::{Args, ArithClient};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use rpc_client::{Client, Error};
use tokio::time::{sleep, timeout};

/// Of each call.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(2);

/// A call that has not ended by then never will.
const HUNG: Duration = Duration::from_secs(4);

/// Between calls, so that a server that refuses at once does not make it spin.
const PAUSE: Duration = Duration::from_millis(5);

/// Bytes of an item, and items that are taken before a stream is given up.
const ITEM: u32 = 1000;
const ITEMS: usize = 4;

/// How the line about a call begins.
pub(crate) const RIGHT: &str = "right";
pub(crate) const FAILED: &str = "failed";

/// Calls until it is killed. The first line it prints is `ready`.
pub(crate) async fn call(server: SocketAddr) -> Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    let mut output = std::io::stdout();
    let builder = Client::builder().timeout(TIMEOUT);
    let client = builder.backoff(Duration::from_millis(20), Duration::from_millis(200)).lazy(server);
    writeln!(output, "ready")?;
    for count in 0u64.. {
        let ended = match count % 4 {
            0 => timeout(HUNG, stream(&client)).await,
            _ => timeout(HUNG, multiply(&client)).await,
        };
        let kind = if count % 4 == 0 { "stream" } else { "call" };
        match ended {
            Ok(Ok(true)) => writeln!(output, "{RIGHT} {kind}")?,
            Ok(Ok(false)) => writeln!(output, "wrong {kind}")?,
            Ok(Err(error)) => {
                // One line, and not what its server wrote into it, which may be long.
                let error = match error.downcast_ref() {
                    Some(Error::Status { status, .. }) => format!("{:?}", status.code()),
                    _ => error.to_string().replace(char::is_control, " "),
                };
                writeln!(output, "{FAILED} {kind}: {error}")?;
            }
            Err(_) => writeln!(output, "hung {kind}")?,
        }
        sleep(PAUSE).await;
    }
    Ok(())
}

/// Whether the answer is right.
async fn multiply(client: &Client) -> Result<bool> {
    Ok(ArithClient::new(client.clone()).multiply(Args { a: 6, b: 7 }).await? == 42)
}

/// Whether the first items are right. The others are not waited for.
async fn stream(client: &Client) -> Result<bool> {
    let mut items = client.call_server_stream::<_, Bytes>("Hostile.Repeat", ITEM).await?;
    for _ in 0..ITEMS {
        if items.next().await.context("the items end")?? != vec![7; ITEM as usize] {
            return Ok(false);
        }
    }
    Ok(true)
}
