//! The time to the server and back.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use rpc_core::Executed;
use rpc_io::now;
use tokio::time::sleep;

use crate::endpoint::{Endpoint, NotConnected};
use crate::error::{Error, Lost};
use crate::link::Link;
use crate::pending::MOST_SENDS;

/// A server allows one Ping more after this.
const PAUSE: Duration = Duration::from_millis(30);

/// Leaves nothing behind when nobody waits any more.
struct Asked<'a> {
    link: &'a Link,
    number: u64,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.link.shared.forget_ping(self.number);
    }
}

/// See [`Client::ping`](crate::Client::ping).
pub(crate) async fn ping(endpoint: &Arc<Endpoint>) -> Result<Duration, Error> {
    let call = || endpoint.call_info("(ping)".into());
    let lost = |lost| match lost {
        Lost::Closed => Error::Shutdown { call: call(), executed: Executed::No },
        source => Error::ConnectionLost { call: call(), executed: Executed::No, source },
    };
    let mut sends = 0;
    loop {
        sends += 1;
        let link = match endpoint.connected().await {
            Ok(link) => link,
            Err(NotConnected::Closed) => return Err(lost(Lost::Closed)),
            Err(NotConnected::Failed(source)) => return Err(Error::Connect { call: call(), source }),
        };
        match ask(&link).await {
            // The server ended it in the same moment, perhaps because nobody had called.
            Err(Lost::GoingAway(_)) if sends < MOST_SENDS && endpoint.reconnects() => {}
            asked => return asked.map_err(lost),
        }
    }
}

async fn ask(link: &Link) -> Result<Duration, Lost> {
    loop {
        let began = now();
        if let Some(number) = link.shared.ping(began)? {
            let asked = Asked { link, number };
            poll_fn(|cx| asked.link.shared.poll_pong(number, cx.waker())).await?;
            return Ok(now() - began);
        }
        sleep(PAUSE).await;
    }
}
