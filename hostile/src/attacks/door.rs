//! Before anybody was let in: heads.

use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use crate::attack::{Attack, Trial};
use crate::raw::Raw;
use crate::scene::Scene;

pub(crate) const ATTACKS: &[Attack] = &[Attack {
    name: "slow-heads",
    aim: "L1: the whole head arrives within 10 s",
    run: |trial| Box::pin(slow_heads(trial)),
}];

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
    let ratio = scene.neighbour(trial).await?;
    trial.at_most("neighbour's p99, times quiet", ratio, 2.0);
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
