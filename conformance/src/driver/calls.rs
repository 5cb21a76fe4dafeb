//! Calls without streams.

use std::future::ready;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use rpc_client::Client;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Tell;
use super::streams::Handle;
use crate::value::{Args, Quotient, Tree, Types, Value};

/// `N [within MS] [with KEY=HEX].. METHOD ARGUMENTS`
pub(super) struct Options {
    pub(super) call: u32,
    pub(super) timeout: Option<Duration>,
    pub(super) metadata: Vec<(String, Bytes)>,
    pub(super) method: String,
    pub(super) args: String,
}

impl Options {
    pub(super) fn parse(line: &str) -> Result<Self> {
        let (call, mut rest) = line.split_once(' ').context("a number and a method")?;
        let (mut timeout, mut metadata) = (None, Vec::new());
        loop {
            let (word, behind) = rest.split_once(' ').unwrap_or((rest, ""));
            let option = || behind.split_once(' ').context("an option has a value");
            rest = match word {
                "within" => {
                    let (time, behind) = option()?;
                    timeout = Some(Duration::from_millis(time.parse()?));
                    behind
                }
                "with" => {
                    let (pair, behind) = option()?;
                    let (key, value) = pair.split_once('=').context("a key and a value")?;
                    metadata.push((key.to_owned(), Value::parse(value)?));
                    behind
                }
                _ => {
                    let (method, args) = (word.to_owned(), behind.trim().to_owned());
                    return Ok(Self { call: call.parse()?, timeout, metadata, method, args });
                }
            };
        }
    }
}

/// Makes a call, by the types of its method. Methods that are not known have none.
pub(super) fn call(client: &Client, options: Options, tell: Tell) -> Result<Handle> {
    match &*options.method {
        "Arith.Multiply" => spawn::<Args, i64>(client, options, tell),
        "Arith.Divide" => spawn::<Args, Quotient>(client, options, tell),
        "Conform.Echo" => spawn::<Bytes, Bytes>(client, options, tell),
        "Conform.Bytes" => spawn::<u32, Bytes>(client, options, tell),
        "Conform.Types" => spawn::<Types, Types>(client, options, tell),
        "Answer.Tree" => spawn::<(), Tree>(client, options, tell),
        "Answer.Units" => spawn::<(), Vec<()>>(client, options, tell),
        "Answer.Text" => spawn::<(), String>(client, options, tell),
        _ => spawn::<(), ()>(client, options, tell),
    }
}

fn spawn<A, R>(client: &Client, options: Options, tell: Tell) -> Result<Handle>
where
    A: Value + Serialize + Send + 'static,
    R: Value + DeserializeOwned + Send + 'static,
{
    let Options { call, timeout, metadata, method, args } = options;
    let mut request = client.call::<A, R>(method, A::parse(&args)?);
    for (key, value) in metadata {
        request = request.metadata(&key, value);
    }
    if let Some(timeout) = timeout {
        request = request.timeout(timeout);
    }
    Ok(Handle::of(tokio::spawn(async move {
        let mut answer = pin!(request.with_metadata());
        // It is on its way, or waits for room, when it was polled.
        let answer = tokio::select! {
            biased;
            answer = &mut answer => {
                tell.ok();
                answer
            }
            () = ready(()) => {
                tell.ok();
                answer.await
            }
        };
        match answer {
            Ok(reply) => {
                tell.metadata(call, &reply.metadata);
                tell.of(call, &format!("response {}", reply.value.show()));
            }
            Err(error) => tell.failed(call, &error),
        }
    })))
}
