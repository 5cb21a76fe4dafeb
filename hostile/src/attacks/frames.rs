//! Frames that no client of ours sends.

mod cases;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use chaos::within;
use examples::Args;
use tests::{Frame, decoded};
use tokio::io::AsyncWriteExt as _;

use crate::attack::{Attack, Trial};
use crate::memory::MIB;
use crate::raw::Raw;
use crate::scene::Scene;
use cases::{Becomes, Case, cases};

pub(crate) const ATTACKS: &[Attack] = &[Attack {
    name: "frames",
    aim: "M32 to M121: what breaks the protocol ends its connection with a word why, what does not harms nobody",
    run: |trial| Box::pin(frames(trial)),
}];

/// The call that is made behind a case; its counter is above all of theirs.
const NEXT: u64 = 1 << 40;

/// Frames that may come for one case.
const ANSWERS: usize = 64;

/// Every case on a connection of its own, again and again, while the neighbour calls.
async fn frames(trial: &mut Trial) -> Result<()> {
    let scene = Scene::set(trial).await?;
    let (cases, connections) = (cases(), trial.size(10_000, 1_000));
    trial.shows("cases", cases.len());
    // Once, so that what is reserved for the first of each is not taken for what the others leave.
    for case in &cases {
        if let Err(error) = limited(scene.address(), case).await {
            trial.miss(&format!("{}: {error:#}", case.name));
        }
    }
    ensure!(trial.misses() == 0, "not again");
    let warm = scene.growth()?;
    let attack = async {
        for case in cases.iter().cycle().take(connections) {
            limited(scene.address(), case).await.with_context(|| case.name.clone())?;
        }
        anyhow::Ok(())
    };
    let (attacked, served) = tokio::join!(attack, scene.neighbour(trial));
    served?;
    attacked?;
    trial.shows("connections, all answered as they have to be", connections);
    trial.shows("memory for the first of each, MiB", format!("{:.2}", warm / MIB));
    trial.in_memory("memory for the others, MiB", (scene.growth()? - warm) / MIB, 1.0);
    scene.leave(trial).await
}

async fn limited(address: SocketAddr, case: &Case) -> Result<()> {
    within(5, "the server says what it has to", attempt(address, case)).await?
}

async fn attempt(address: SocketAddr, case: &Case) -> Result<()> {
    let mut raw = Raw::enter(address, "").await?;
    let next = Frame { id: NEXT << 16, ..Frame::request(1, "Arith.Multiply", &Args { a: 6, b: 7 }) };
    match case.becomes {
        Becomes::Away(reason) => {
            raw.say(&case.bytes).await?;
            away(&mut raw, reason).await
        }
        Becomes::Cut => {
            raw.say(&case.bytes).await?;
            raw.0.shutdown().await?;
            let (closed, said) = raw.closes(Duration::from_secs(5)).await;
            ensure!(closed && said == 0, "closed: {closed}, after {said} bytes");
            Ok(())
        }
        Becomes::Served => {
            raw.say(&[&case.bytes[..], &next.to_bytes()].concat()).await?;
            served(&mut raw, None).await
        }
        Becomes::Failed(code) => {
            raw.say(&[&case.bytes[..], &next.to_bytes()].concat()).await?;
            served(&mut raw, Some(code)).await
        }
    }
}

/// A GoAway with this reason, and the end.
async fn away(raw: &mut Raw, reason: u8) -> Result<()> {
    for _ in 0..ANSWERS {
        let frame = raw.answer().await?.context("closed without a GoAway")?;
        if frame.kind != Frame::GO_AWAY {
            continue;
        }
        let (said, text) = frame.body.split_first().context("a GoAway without a reason")?;
        ensure!(*said == reason, "reason {said}, not {reason}: {}", text.escape_ascii());
        ensure!(!text.is_empty() && text.len() <= 1024, "a text of {} bytes", text.len());
        let (closed, more) = raw.closes(Duration::from_secs(5)).await;
        ensure!(closed && more == 0, "closed: {closed}, after {more} bytes");
        return Ok(());
    }
    bail!("no GoAway")
}

/// The next call is answered, and that of the case fails with this code if it has to.
async fn served(raw: &mut Raw, mut code: Option<u8>) -> Result<()> {
    let mut answered = false;
    for _ in 0..ANSWERS {
        let frame = raw.answer().await?.context("closed")?;
        ensure!(frame.kind != Frame::GO_AWAY, "sent away: {}", frame.body.escape_ascii());
        if frame.id == NEXT << 16 {
            ensure!(frame.kind == Frame::RESPONSE, "the next call is answered {frame:?}");
            ensure!(decoded::<i64>(&frame.body) == 42, "the next call is answered wrongly");
            answered = true;
        } else if frame.kind == Frame::STATUS && code.is_some() {
            let (said, _, text) = frame.status();
            ensure!(Some(said) == code, "failed with {said}: {text}");
            code = None;
        }
        if answered && code.is_none() {
            return Ok(());
        }
    }
    bail!("not answered")
}
