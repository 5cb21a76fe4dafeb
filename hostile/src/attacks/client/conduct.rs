//! What a server does with a connection.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use tests::{Frame, MORE};
use tokio::io::AsyncWriteExt as _;
use tokio::time::sleep;

use crate::raw::Raw;

/// From the id of a call to what is said in answer to it.
type Words = fn(u64) -> Vec<u8>;

#[derive(Clone)]
pub(super) enum Conduct {
    /// Answers the CONNECT with this, and closes.
    Closes(&'static [u8]),
    /// Answers the CONNECT with this, and waits.
    Says(Vec<u8>),
    /// With this, and then with that for ever.
    SaysOn(Vec<u8>, Vec<u8>),
    /// The same, a piece every 50 ms.
    Drips(Vec<u8>, Vec<u8>),
    /// Lets the client in, and answers the first call with this.
    Answers(Words),
    /// Answers calls, and the first stream with this.
    Streams(Words),
    /// The same, and then with that for ever.
    StreamsOn(Words, Words),
}

use Conduct::{Answers, Closes, Drips, Says, SaysOn, Streams, StreamsOn};

pub(super) const CONNECTED: &[u8] = b"HTTP/1.0 200 Connected\r\n\r\n";

/// For the client to hang up.
const PATIENCE: Duration = Duration::from_secs(2);

impl Conduct {
    /// Whether the client has hung up. An error when it left before there was anything to hang up about.
    pub(super) async fn serve(&self, mut raw: Raw) -> Result<bool> {
        let head = raw.head().await?;
        ensure!(head.starts_with("CONNECT "), "asked with {head}");
        match self {
            Closes(answer) => {
                raw.say(answer).await?;
                raw.0.shutdown().await?;
            }
            Says(answer) => raw.say(answer).await?,
            SaysOn(answer, more) => {
                raw.say(answer).await?;
                while raw.say(more).await.is_ok() {}
            }
            Drips(answer, more) => {
                raw.say(answer).await?;
                while raw.say(more).await.is_ok() {
                    sleep(Duration::from_millis(50)).await;
                }
            }
            Answers(words) => {
                raw.say(CONNECTED).await?;
                let id = request(&mut raw, false).await?;
                raw.say(&words(id)).await?;
            }
            Streams(words) => {
                raw.say(CONNECTED).await?;
                let id = request(&mut raw, true).await?;
                raw.say(&words(id)).await?;
            }
            StreamsOn(words, more) => {
                raw.say(CONNECTED).await?;
                let id = request(&mut raw, true).await?;
                raw.say(&words(id)).await?;
                let more = more(id);
                while raw.say(&more).await.is_ok() {}
            }
        }
        Ok(raw.closes(PATIENCE).await.0)
    }
}

/// The id of the first request that opens a stream, or that opens none. Calls before it are answered, streams are not.
async fn request(raw: &mut Raw, stream: bool) -> Result<u64> {
    while let Some(Frame { kind, flags, id, .. }) = raw.frame().await? {
        let opens = flags & MORE != 0;
        match kind {
            Frame::REQUEST if opens == stream => return Ok(id),
            Frame::REQUEST if !opens => raw.send(&Frame::response(id, &42i64)).await?,
            _ => {}
        }
    }
    bail!("the client has left")
}
