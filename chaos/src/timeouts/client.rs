//! The client's timeouts.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rpc_client::{Client, ConnectError, Error, Lost};
use rpc_core::Code;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::{Row, SHORT, Serving, at};
use crate::within;

/// The shortest that is taken.
const PING_INTERVAL: Duration = Duration::from_secs(1);

pub(super) fn rows() -> Vec<Row> {
    vec![
        at(SHORT, "dial_timeout", || Box::pin(dial())),
        at(SHORT, "answer_timeout", || Box::pin(answer())),
        at(SHORT, "timeout (the client's)", || Box::pin(call(true))),
        at(SHORT, "timeout (the call's)", || Box::pin(call(false))),
        at(PING_INTERVAL + SHORT, "ping_interval + ping_timeout (client)", || Box::pin(ping())),
    ]
}

/// A listener whose queue is full: its kernel drops what else comes.
async fn dial() -> Result<Duration> {
    let socket = TcpSocket::new_v4()?;
    socket.bind("127.0.0.1:0".parse()?)?;
    let listener = socket.listen(1)?;
    let address = listener.local_addr()?;
    let mut queued = Vec::new();
    while let Ok(stream) = tokio::time::timeout(SHORT, TcpStream::connect(address)).await {
        queued.push(stream?);
    }
    let since = Instant::now();
    match Client::builder().dial_timeout(SHORT).connect(address).await {
        Err(ConnectError::DialTimeout { .. }) => Ok(since.elapsed()),
        other => bail!("{other:?}"),
    }
}

/// A listener that nobody accepts from: its kernel takes connections all the same.
async fn answer() -> Result<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let since = Instant::now();
    match Client::builder().answer_timeout(SHORT).connect(listener.local_addr()?).await {
        Err(ConnectError::AnswerTimeout { .. }) => Ok(since.elapsed()),
        other => bail!("{other:?}"),
    }
}

async fn call(by_client: bool) -> Result<Duration> {
    let serving = Serving::start(|builder| builder).await?;
    let builder = if by_client { Client::builder().timeout(SHORT) } else { Client::builder() };
    let client = builder.connect(serving.address).await?;
    let call = client.call::<_, u64>("Chaos.Hold", 0_u64);
    let since = Instant::now();
    let ended = if by_client { call.await } else { call.timeout(SHORT).await };
    let took = since.elapsed();
    // The server was told of the time, and its word may be the sooner one.
    match ended {
        Err(Error::DeadlineExceeded { .. }) => {}
        Err(Error::Status { status, .. }) if status.code() == Code::DeadlineExceeded => {}
        other => bail!("{other:?}"),
    }
    client.close().await?;
    serving.gone(since).await?;
    Ok(took)
}

/// A server that lets the client in and says nothing more.
async fn ping() -> Result<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let builder = Client::builder().ping_interval(PING_INTERVAL).ping_timeout(SHORT).reconnect(false);
    let address = listener.local_addr()?;
    let connecting = tokio::spawn(builder.connect(address));
    let (mut stream, _) = listener.accept().await?;
    stream.write_all(b"HTTP/1.0 200 Connected\r\n\r\n").await?;
    let client = within(5, "it is connected", connecting).await???;
    let since = Instant::now();
    match client.call::<_, u64>("Any.Name", 0_u64).await {
        Err(Error::ConnectionLost { source: Lost::Unresponsive, .. }) => Ok(since.elapsed()),
        other => bail!("{other:?}"),
    }
}
