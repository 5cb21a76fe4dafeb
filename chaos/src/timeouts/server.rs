//! The server's timeouts.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rpc_client::{Client, ConnectionState, Error};
use rpc_core::Code;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Row, SHORT, Serving, at};
use crate::held::echo;
use crate::raw::{GO_AWAY, Raw};
use crate::within;

/// The shortest that is taken.
const PING_INTERVAL: Duration = Duration::from_secs(1);

/// It is varied by a tenth.
const AGE: Duration = Duration::from_millis(500);

pub(super) fn rows() -> Vec<Row> {
    vec![
        at(SHORT, "head_timeout", || Box::pin(head())),
        at(SHORT, "frame_timeout", || Box::pin(frame())),
        at(SHORT, "write_timeout", || Box::pin(write())),
        at(SHORT, "idle_timeout", || Box::pin(idle())),
        at(SHORT, "call_timeout", || Box::pin(call())),
        at(PING_INTERVAL + SHORT, "ping_interval + ping_timeout (server)", || Box::pin(ping())),
        Row { name: "max_connection_age", between: (AGE / 10 * 9, AGE / 10 * 11), trial: || Box::pin(age()) },
        at(SHORT, "grace", || Box::pin(grace())),
    ]
}

async fn head() -> Result<Duration> {
    let serving = Serving::start(|builder| builder.head_timeout(SHORT)).await?;
    let mut raw = Raw::dial(serving.address).await?;
    let since = Instant::now();
    raw.0.write_all(b"CONNECT /_rpc_ HT").await?;
    let mut answer = Vec::new();
    within(5, "an answer comes", raw.0.read_to_end(&mut answer)).await??;
    let took = since.elapsed();
    ensure!(answer.starts_with(b"HTTP/1.0 408 "), "{}", String::from_utf8_lossy(&answer));
    serving.gone(since).await?;
    Ok(took)
}

/// A byte now and then.
async fn frame() -> Result<Duration> {
    let serving = Serving::start(|builder| builder.frame_timeout(SHORT)).await?;
    let (raw, since) = (Raw::enter(serving.address).await?, Instant::now());
    let (mut reading, mut writing) = raw.0.into_split();
    writing.write_all(&[0]).await?;
    let drip = tokio::spawn(async move {
        for byte in [0, 1, 0, 1] {
            tokio::time::sleep(SHORT / 6).await;
            writing.write_all(&[byte]).await?;
        }
        anyhow::Ok(writing)
    });
    let mut said = [0; 5];
    within(5, "a GoAway comes", reading.read_exact(&mut said)).await??;
    let took = since.elapsed();
    ensure!(said[4] == GO_AWAY, "{said:?}");
    let _writing = drip.await??;
    serving.gone(since).await?;
    Ok(took)
}

/// A client that asks and takes nothing.
async fn write() -> Result<Duration> {
    let serving = Serving::start(|builder| builder.write_timeout(SHORT)).await?;
    let mut raw = Raw::enter(serving.address).await?;
    for counter in 1..=4 {
        raw.request(counter, "Chaos.Large", 0).await?;
    }
    serving.gone(Instant::now()).await
}

/// The client rests then, and its next call succeeds.
async fn idle() -> Result<Duration> {
    let serving = Serving::start(|builder| builder.idle_timeout(SHORT)).await?;
    let client = Client::connect(serving.address).await?;
    echo(&client, 1).await?;
    let (since, mut state) = (Instant::now(), client.watch_state());
    let rests = async {
        while !matches!(state.current(), ConnectionState::Idle) {
            state.changed().await.context("the client is gone")?;
        }
        anyhow::Ok(())
    };
    within(5, "the client rests", rests).await??;
    let took = since.elapsed();
    serving.gone(since).await?;
    echo(&client, 2).await?;
    client.close().await?;
    serving.gone(since).await?;
    Ok(took)
}

async fn call() -> Result<Duration> {
    let serving = Serving::start(|builder| builder.call_timeout(SHORT)).await?;
    let client = Client::connect(serving.address).await?;
    let since = Instant::now();
    let ended = client.call::<_, u64>("Chaos.Hold", 0_u64).await;
    let took = since.elapsed();
    expect_code(&ended, Code::DeadlineExceeded)?;
    echo(&client, 1).await?;
    client.close().await?;
    serving.gone(since).await?;
    Ok(took)
}

/// A client that was let in and says nothing more.
async fn ping() -> Result<Duration> {
    let serving = Serving::start(|builder| builder.ping_interval(PING_INTERVAL).ping_timeout(SHORT)).await?;
    let (raw, since) = (Raw::enter(serving.address).await?, Instant::now());
    let took = serving.gone(since).await?;
    drop(raw);
    Ok(took)
}

async fn age() -> Result<Duration> {
    let serving = Serving::start(|builder| builder.max_connection_age(AGE)).await?;
    let (mut raw, since) = (Raw::enter(serving.address).await?, Instant::now());
    let (kind, _) = raw.frame().await?;
    let took = since.elapsed();
    ensure!(kind == GO_AWAY, "{kind}");
    serving.gone(since).await?;
    Ok(took)
}

/// What a shutdown gives to calls.
async fn grace() -> Result<Duration> {
    let serving = Serving::start(|builder| builder).await?;
    let client = Client::connect(serving.address).await?;
    echo(&client, 1).await?;
    let call = tokio::spawn(client.call::<_, u64>("Chaos.Hold", 0_u64).start());
    echo(&client, 2).await?;
    let (server, since) = (serving.server.clone(), Instant::now());
    let ending = tokio::spawn(async move { server.shutdown(SHORT).await });
    let ended = within(5, "the call ends", call).await??;
    let took = since.elapsed();
    expect_code(&ended, Code::Unavailable)?;
    client.close().await?;
    within(5, "the server has ended", ending).await??;
    Ok(took)
}

fn expect_code(ended: &Result<u64, Error>, code: Code) -> Result<()> {
    match ended {
        Err(Error::Status { status, .. }) if status.code() == code => Ok(()),
        other => bail!("{other:?}"),
    }
}
