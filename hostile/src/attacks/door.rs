//! Before anybody was let in: heads.

mod floods;
mod slices;

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use chaos::within;
use tests::Frame;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

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

/// Half of a head from each of many. Some go on by a byte a second: a time that began anew with each would not end.
/// With the two honest clients they are as many as a server takes.
async fn slow_heads(trial: &mut Trial) -> Result<()> {
    let scene = Scene::set(trial).await?;
    let (began, mut peers) = (Instant::now(), JoinSet::new());
    for at in 0..trial.size(9_998, 500) {
        let mut raw = Raw::dial(scene.address()).await?;
        raw.say(b"CONNECT /_rpc_ HTTP/1.0\r\nX-Slow: ").await?;
        // All of them would keep this side from opening them all at once.
        match at % 10 {
            0 => peers.spawn(dripping(raw, Instant::now())),
            _ => peers.spawn(refused(raw, Instant::now())),
        };
    }
    trial.shows("half-sent heads", peers.len());
    trial.shows("opened within, s", format!("{:.1}", began.elapsed().as_secs_f64()));
    undisturbed(&scene, trial).await?;
    let (first, last) = span(peers).await?;
    trial.at_least("the first is told 408 and gone after, s", first, 9.5);
    trial.in_time("the last is gone by, s", last, 10.5);
    scene.leave(trial).await
}

/// A byte a second until the peer is told 408 and cut off.
async fn dripping(mut raw: Raw, began: Instant) -> Result<Duration> {
    while timeout(Duration::from_secs(1), raw.0.peek(&mut [0])).await.is_err() {
        ensure!(began.elapsed() < Duration::from_secs(20), "a half-sent head was not closed");
        raw.say(b"x").await?;
    }
    refused(raw, began).await
}

/// The least and the most of these times, in seconds.
async fn span(mut peers: JoinSet<Result<Duration>>) -> Result<(f64, f64)> {
    let (mut least, mut most) = (f64::MAX, 0.0f64);
    while let Some(took) = peers.join_next().await {
        let took = took??.as_secs_f64();
        (least, most) = (least.min(took), most.max(took));
    }
    Ok((least, most))
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
    trial.at_most_in_quiet("neighbour's p99, times quiet", least, MOST);
    Ok(())
}

/// Half-open peers: some that never begin, and some that were let in.
async fn silent_peers(trial: &mut Trial) -> Result<()> {
    let scene = Scene::set(trial).await?;
    let (mut silent, mut entered) = (JoinSet::new(), JoinSet::new());
    for _ in 0..trial.size(5_000, 200) {
        silent.spawn(refused(Raw::dial(scene.address()).await?, Instant::now()));
    }
    for _ in 0..trial.size(1_000, 0) {
        entered.spawn(left(Raw::enter(scene.address(), "").await?, Instant::now()));
    }
    trial.shows("peers that say nothing", silent.len());
    undisturbed(&scene, trial).await?;
    let (first, last) = span(silent).await?;
    trial.at_least("the first is told 408 and gone after, s", first, 9.5);
    trial.in_time("the last is gone by, s", last, 11.0);
    if !entered.is_empty() {
        trial.shows("let in, and then silent", entered.len());
        let (mut first, mut last) = (f64::MAX, 0.0f64);
        while let Some(times) = entered.join_next().await {
            let (ping, end) = times??;
            (first, last) = (first.min(ping.as_secs_f64()), last.max(end.as_secs_f64()));
        }
        trial.at_least("the first is asked after, s", first, 29.0);
        trial.in_time("the last is gone by, s", last, 42.0);
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
    // Not `readable`, which may still say so of the head.
    within(45, "a silent peer is asked", raw.0.peek(&mut [0])).await??;
    let asked = began.elapsed();
    let ping = raw.frame().await?.context("closed and not asked")?;
    ensure!(ping.kind == Frame::PING, "asked with {ping:?}");
    ensure!(raw.closes(Duration::from_secs(20)).await.0, "asked, and not closed");
    Ok((asked, began.elapsed()))
}
