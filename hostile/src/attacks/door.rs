//! Before anybody was let in: heads.

mod floods;
mod slices;

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::future::join_all;
use tests::Frame;
use tokio::time::Instant;

use crate::attack::{Attack, Trial};
use crate::raw::Raw;
use crate::scene::Scene;

pub(crate) const ATTACKS: &[Attack] = &[
    Attack {
        name: "slow-heads",
        aim: "L1: the whole head arrives within 10 s",
        run: |trial| Box::pin(slow_heads(trial)),
    },
    Attack {
        name: "silent-peers",
        aim: "L1, L24: who says nothing is gone after 10 s, and after 40 s once it was let in",
        run: |trial| Box::pin(silent_peers(trial)),
    },
    Attack {
        name: "huge-heads",
        aim: "L2, L8: a head has 8 KiB, and who goes on is cut off after 256 KiB or 1 s",
        run: |trial| Box::pin(floods::huge_heads(trial)),
    },
    Attack {
        name: "header-floods",
        aim: "L2: a head has 64 headers",
        run: |trial| Box::pin(floods::header_floods(trial)),
    },
    Attack {
        name: "sliced-heads",
        aim: "L3: a head is scanned once, however it is sliced",
        run: |trial| Box::pin(slices::sliced_heads(trial)),
    },
];

/// For the neighbour's p99, times what it was while all was quiet.
const MOST: f64 = 2.0;

/// Half of a head from each of many, and a byte more now and then.
async fn slow_heads(trial: &mut Trial) -> Result<()> {
    let scene = Scene::set(trial).await?;
    let began = Instant::now();
    let mut peers = Vec::new();
    for _ in 0..trial.size(10_000, 500) {
        let mut raw = Raw::dial(scene.address()).await?;
        raw.say(b"CONNECT /_rpc_ HTTP/1.0\r\nX-Slow: ").await?;
        peers.push((raw, Instant::now()));
    }
    trial.shows("half-sent heads", peers.len());
    trial.shows("opened within, s", format!("{:.1}", began.elapsed().as_secs_f64()));
    undisturbed(&scene, trial).await?;
    let mut longest = Duration::ZERO;
    for (mut raw, sent) in peers {
        // One that was closed long ago refuses it, as it should.
        let _ = raw.say(b"x").await;
        let (closed, _) = raw.closes(Duration::from_secs(15)).await;
        if !closed {
            trial.miss("a half-sent head was not closed");
        }
        longest = longest.max(sent.elapsed());
    }
    trial.at_most("the last is gone by, s", longest.as_secs_f64(), 10.5);
    scene.leave(trial).await
}

/// What does no work costs the neighbour nothing. Other programs of this machine do, so the least of three counts.
async fn undisturbed(scene: &Scene, trial: &mut Trial) -> Result<()> {
    let mut least = f64::MAX;
    for _ in 0..3 {
        least = least.min(scene.neighbour(trial).await?);
        if least <= MOST {
            break;
        }
    }
    trial.at_most("neighbour's p99, times quiet", least, MOST);
    Ok(())
}

/// Half-open peers: some that never begin, and some that were let in.
async fn silent_peers(trial: &mut Trial) -> Result<()> {
    let scene = Scene::set(trial).await?;
    let mut silent = Vec::new();
    for _ in 0..trial.size(5_000, 200) {
        silent.push((Raw::dial(scene.address()).await?, Instant::now()));
    }
    let mut entered = Vec::new();
    for _ in 0..trial.size(1_000, 0) {
        entered.push((Raw::enter(scene.address(), "").await?, Instant::now()));
    }
    trial.shows("peers that say nothing", silent.len());
    undisturbed(&scene, trial).await?;
    let refused = join_all(silent.into_iter().map(|(raw, began)| refused(raw, began))).await;
    let longest = refused.into_iter().collect::<Result<Vec<_>>>()?.into_iter().max().unwrap_or_default();
    trial.at_most("the last is told 408 and gone by, s", longest.as_secs_f64(), 11.0);
    if !entered.is_empty() {
        trial.shows("let in, and then silent", entered.len());
        let left = join_all(entered.into_iter().map(|(raw, began)| left(raw, began))).await;
        let left = left.into_iter().collect::<Result<Vec<_>>>()?;
        let first_ping = left.iter().map(|(ping, _)| ping.as_secs_f64()).fold(f64::MAX, f64::min);
        let last = left.iter().map(|(_, end)| end.as_secs_f64()).fold(0.0, f64::max);
        trial.at_least("the first is asked after, s", first_ping, 29.0);
        trial.at_most("the last is gone by, s", last, 42.0);
    }
    scene.leave(trial).await
}

/// When one that said nothing was told so and cut off.
async fn refused(mut raw: Raw, began: Instant) -> Result<Duration> {
    let head = raw.head().await?;
    ensure!(head.starts_with("HTTP/1.0 408 "), "told {head}");
    ensure!(raw.closes(Duration::from_secs(2)).await.0, "told, and not closed");
    Ok(began.elapsed())
}

/// When one that was let in was asked whether it is there, and when it was cut off.
async fn left(mut raw: Raw, began: Instant) -> Result<(Duration, Duration)> {
    raw.0.readable().await?;
    let asked = began.elapsed();
    let ping = raw.frame().await?.context("closed and not asked")?;
    ensure!(ping.kind == Frame::PING, "asked with {ping:?}");
    ensure!(raw.closes(Duration::from_secs(20)).await.0, "asked, and not closed");
    Ok((asked, began.elapsed()))
}
