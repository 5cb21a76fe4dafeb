//! Heads that two readers might read differently: what stands behind one that is refused is never served.

mod shapes;
mod ways;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use examples::Args;
use tests::{Frame, decoded};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::yield_now;

use crate::attack::{Attack, Trial};
use crate::memory::MIB;
use crate::raw::Raw;
use crate::scene::Scene;
use shapes::{Answer, Shape, shapes};

pub(crate) const ATTACKS: &[Attack] = &[
    Attack {
        name: "smuggling",
        aim: "L4, M1 to M31: one head, one answer, and no byte behind a refused head is served",
        run: |trial| Box::pin(smuggling(trial)),
    },
    Attack {
        name: "smuggling-ways",
        aim: "M17, M134, M136: what CONNECT is refused for is refused by Upgrade, and where hyper reads the heads",
        run: |trial| Box::pin(ways::smuggling(trial)),
    },
];

/// Each shape whole and in slices of one byte, with a call right behind it.
async fn smuggling(trial: &mut Trial) -> Result<()> {
    let scene = Scene::set(trial).await?;
    let (shapes, mut heads) = (shapes(), 0);
    for _ in 0..trial.size(20, 1) {
        ensure!(trial.misses() == 0, "not again");
        for shape in &shapes {
            for sliced in [false, true] {
                heads += 1;
                if let Err(error) = attempt(scene.address(), shape, sliced).await {
                    let how = if sliced { "in slices" } else { "whole" };
                    trial.miss(&format!("{}, {how}: {error:#}", shape.name));
                }
            }
        }
    }
    trial.shows("shapes", shapes.len());
    trial.shows("heads sent", heads);
    trial.shows("memory held, MiB", format!("{:.2}", scene.growth()? / MIB));
    scene.leave(trial).await
}

async fn attempt(address: SocketAddr, shape: &Shape, sliced: bool) -> Result<()> {
    let mut raw = Raw::dial(address).await?;
    let call = Frame::request(1, "Arith.Multiply", &Args { a: 6, b: 7 });
    let bytes = [&shape.head[..], &call.to_bytes()].concat();
    if sliced {
        for byte in bytes {
            // Refused before its end, it may be closed before its end.
            if raw.0.write_all(&[byte]).await.is_err() {
                break;
            }
            yield_now().await;
        }
    } else {
        raw.say(&bytes).await?;
    }
    match shape.answer {
        Answer::Accepted => accepted(&mut raw).await,
        Answer::Broken(reason) => broken(&mut raw, reason).await,
        Answer::Closed(status) => closed(&mut raw, status, shape.head.starts_with(b"HEAD ")).await,
        Answer::Nothing => {
            raw.0.shutdown().await?;
            let said = rest(&mut raw).await?;
            ensure!(said.is_empty(), "was answered: {}", said.escape_ascii());
            Ok(())
        }
    }
}

/// Let in; the call is answered, once, and nothing else is.
async fn accepted(raw: &mut Raw) -> Result<()> {
    enters(raw).await?;
    let answer = raw.frame().await?.context("let in and not served")?;
    ensure!(answer.kind == Frame::RESPONSE && decoded::<i64>(&answer.body) == 42, "answered {answer:?}");
    raw.0.shutdown().await?;
    let more = rest(raw).await?;
    ensure!(more.is_empty(), "more came: {}", more.escape_ascii());
    Ok(())
}

/// Let in; what is behind the head breaks the protocol of frames.
async fn broken(raw: &mut Raw, reason: u8) -> Result<()> {
    enters(raw).await?;
    let away = raw.frame().await?.context("closed without a GoAway")?;
    ensure!(away.kind == Frame::GO_AWAY && away.body.first() == Some(&reason), "answered {away:?}");
    ensure!(rest(raw).await?.is_empty(), "more came than a GoAway");
    Ok(())
}

async fn enters(raw: &mut Raw) -> Result<()> {
    let head = raw.head().await?;
    ensure!(head.starts_with("HTTP/1.0 200 Connected\r\n"), "{}", head.lines().next().unwrap_or_default());
    ensure!(!head.to_lowercase().contains("content-length"), "an acceptance with a length");
    Ok(())
}

/// One answer of HTTP, of the length that it claims, and the end.
async fn closed(raw: &mut Raw, status: u16, head_only: bool) -> Result<()> {
    let said = rest(raw).await?;
    let said = String::from_utf8_lossy(&said);
    let Some((head, body)) = said.split_once("\r\n\r\n") else { bail!("no answer: {said:?}") };
    let line = head.lines().next().unwrap_or_default();
    ensure!(line.starts_with(&format!("HTTP/1.0 {status} ")), "{line}, not {status}");
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).context("no length")?;
    let length = if head_only { 0 } else { length.parse::<usize>()? };
    ensure!(body.len() == length, "a body of {} bytes, not {length}", body.len());
    ensure!(head.contains("\r\nConnection: close"), "no Connection: close");
    Ok(())
}

/// What comes until the end, which has to come without a reset.
async fn rest(raw: &mut Raw) -> Result<Vec<u8>> {
    let mut said = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), raw.0.read_to_end(&mut said)).await;
    read.with_context(|| format!("not closed; it said {:?}", said.escape_ascii().to_string()))??;
    Ok(said)
}
