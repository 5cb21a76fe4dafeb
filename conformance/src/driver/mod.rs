//! A client that is told what to do, line by line, and tells what becomes of it.

mod calls;
mod streams;

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rpc_client::{Builder, Client, ConnectError, Error};
use rpc_core::{Executed, Format, Metadata};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use calls::Options;
use streams::Handle;

/// What is not told within this is not told.
const LIMIT: Duration = Duration::from_secs(10);

/// The player's end of the lines to a tested client and from it.
#[derive(Debug)]
pub struct Driver {
    commands: UnboundedSender<String>,
    tells: UnboundedReceiver<String>,
    /// What was told and not yet asked for.
    told: VecDeque<String>,
}

impl Driver {
    /// One with the ends of the lines that the client needs: what it is told, and where it tells.
    #[must_use]
    pub fn pair() -> (Self, UnboundedReceiver<String>, UnboundedSender<String>) {
        let (commands, commanded) = unbounded_channel();
        let (tell, tells) = unbounded_channel();
        (Self { commands, tells, told: VecDeque::new() }, commanded, tell)
    }

    /// Tells the client to do something, and waits until it has.
    pub(crate) async fn command(&mut self, line: &str) -> Result<()> {
        self.commands.send(line.to_owned()).ok().context("the client is gone")?;
        loop {
            let told = self.next().await?;
            if told == "ok" {
                return Ok(());
            }
            self.told.push_back(told);
        }
    }

    /// Waits for what the client tells of the call that the line begins with.
    pub(crate) async fn told(&mut self, wanted: &str) -> Result<()> {
        let call = |line: &str| line.split(' ').next().map(str::to_owned);
        let told = loop {
            if let Some(at) = self.told.iter().position(|told| call(told) == call(wanted)) {
                break self.told.remove(at).unwrap_or_default();
            }
            let told = self.next().await.with_context(|| format!("told so far: {:?}", self.told))?;
            self.told.push_back(told);
        };
        let matches = match wanted.strip_suffix("..") {
            Some(beginning) => told.starts_with(beginning.trim_end()),
            None => told == wanted,
        };
        ensure!(matches, "told: {told}");
        Ok(())
    }

    async fn next(&mut self) -> Result<String> {
        let told = timeout(LIMIT, self.tells.recv()).await.context("the client tells nothing")?;
        told.context("the client is gone")
    }
}

/// Our client, driven: `dial` connects it. Ends with the commands.
///
/// # Errors
/// When a command is none.
pub async fn drive<F>(
    dial: impl FnOnce(Builder) -> F,
    mut commands: UnboundedReceiver<String>,
    tells: UnboundedSender<String>,
) -> Result<()>
where
    F: Future<Output = Result<Client, ConnectError>>,
{
    let (mut dial, mut client) = (Some(dial), None);
    let mut calls = BTreeMap::<u32, Handle>::new();
    while let Some(line) = commands.recv().await {
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let tell = Tell(tells.clone());
        match word {
            "connect" => {
                let (builder, dial) = (settings(rest)?, dial.take().context("connected before")?);
                tell.ok();
                match dial(builder).await {
                    Ok(connected) => {
                        client = Some(connected);
                        tell.of(0, "connected");
                    }
                    Err(_) => tell.of(0, "refused"),
                }
            }
            "call" | "server-stream" | "client-stream" | "bidi" => {
                let client: &Client = client.as_ref().context("not connected")?;
                let options = Options::parse(rest)?;
                let call = options.call;
                let handle = match word {
                    "call" => calls::call(client, options, tell)?,
                    "server-stream" => streams::server_stream(client, options, tell)?,
                    "client-stream" => streams::client_stream(client, options, tell)?,
                    _ => streams::bidi(client, options, tell)?,
                };
                calls.insert(call, handle);
            }
            "item" | "finish" | "read" | "drop" => {
                let (call, value) = rest.split_once(' ').unwrap_or((rest, ""));
                let call = call.parse()?;
                let handle = calls.get_mut(&call).with_context(|| format!("no call {call}"))?;
                match word {
                    "item" => handle.send(Some(value.to_owned()), tell).await,
                    "finish" => handle.send(None, tell).await,
                    "read" => handle.read(tell),
                    _ => {
                        if let Some(handle) = calls.remove(&call) {
                            handle.end().await;
                        }
                        tell.ok();
                    }
                }
            }
            _ => bail!("there is no command {word}"),
        }
    }
    Ok(())
}

fn settings(words: &str) -> Result<Builder> {
    let mut builder = Client::builder().reconnect(false);
    let words = words.split_whitespace().collect::<Vec<_>>();
    for pair in words.chunks(2) {
        let [name, value] = pair else { bail!("no value for {pair:?}") };
        builder = match *name {
            "max-frame" => builder.max_frame(value.parse()?),
            "window" => builder.stream_window(value.parse()?),
            "path" => builder.path(*value),
            "formats" => {
                let formats = value.split(',').map(|name| Format::from_name(name).context("no such format"));
                builder.formats(formats.collect::<Result<Vec<_>>>()?)
            }
            _ => bail!("there is no setting {name}"),
        };
    }
    Ok(builder)
}

/// Where the client tells.
#[derive(Clone)]
struct Tell(UnboundedSender<String>);

impl Tell {
    /// The last command was done.
    fn ok(&self) {
        // Nobody listens any more at the end of a vector.
        let _ = self.0.send("ok".into());
    }

    fn of(&self, call: u32, what: &str) {
        let _ = self.0.send(format!("{call} {what}"));
    }

    fn metadata(&self, call: u32, metadata: &Metadata) {
        if !metadata.is_empty() {
            let pairs = metadata.iter().map(|(key, value)| format!(" {key}={}", crate::pattern::show(value)));
            self.of(call, &format!("metadata{}", pairs.collect::<String>()));
        }
    }

    fn failed(&self, call: u32, error: &Error) {
        let executed = |executed| match executed {
            Executed::No => "no",
            Executed::Maybe => "maybe",
            _ => "yes",
        };
        let what = match error {
            Error::Status { status, .. } => {
                self.metadata(call, status.metadata());
                let (code, ran) = (status.code().to_wire(), executed(status.executed()));
                format!("status {code} {ran} {}", status.message())
            }
            Error::ConnectionLost { executed: ran, .. } | Error::Shutdown { executed: ran, .. } => {
                format!("lost {}", executed(*ran))
            }
            Error::DeadlineExceeded { .. } => "deadline".into(),
            Error::Decode { .. } | Error::Stream { .. } => "failed".into(),
            Error::Limit { .. } => "limit".into(),
            Error::Connect { .. } => "lost no".into(),
            _ => "given-up".into(),
        };
        self.of(call, what.trim_end());
    }
}
