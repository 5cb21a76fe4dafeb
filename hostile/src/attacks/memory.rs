//! Memory that costs a peer nothing.

use anyhow::Result;
use chaos::descriptors::Owner;

use super::flood::{Calls, narrow};
use super::watch::{closed_after, full, under};
use crate::attack::{Attack, Trial};
use crate::memory::{KIB, MIB};
use crate::raw::Raw;
use crate::scene::Scene;

pub(crate) const ATTACKS: &[Attack] = &[
    Attack {
        name: "length-claims",
        aim: "L12: memory for a length that was claimed, 64 KiB",
        run: |trial| Box::pin(length_claims(trial)),
    },
    Attack {
        name: "unread-answers",
        aim: "L13: answers that wait, 1 MiB and one; L23: nothing is taken for 10 s",
        run: |trial| Box::pin(unread_answers(trial)),
    },
];

/// Frames of 4 MiB that begin and do not go on.
async fn length_claims(trial: &mut Trial) -> Result<()> {
    let scene = Scene::set(trial).await?;
    let (count, mut peers) = (trial.size(1000, 100), Vec::new());
    trial.shows("frames of 4 MiB of which a byte comes", count);
    let attack = async {
        for _ in 0..count {
            let mut raw = Raw::enter(scene.address(), "").await?;
            raw.say(&[0, 64, 0, 0, 1]).await?;
            peers.push(raw);
        }
        Ok(())
    };
    let ((), most) = under(&scene, trial, attack).await?;
    trial.at_most("memory for each, KiB", most / count as f64 / KIB, 64.0);
    drop(peers);
    scene.leave(trial).await
}

/// Answers of 64 KiB, as many as a connection may have on their way, for peers that read nothing.
async fn unread_answers(trial: &mut Trial) -> Result<()> {
    const SIZE: u32 = 64 * 1024;
    let scene = Scene::set(trial).await?;
    let before = Owner::Process(scene.pid()).descriptors()?;
    let count = trial.size(1000, 100);
    trial.shows("peers with 1,024 answers of 64 KiB", count);
    let asked = Calls::of("Hostile.Answer", &SIZE).bytes(1024);
    let ask = async || {
        let mut peers = Vec::new();
        for _ in 0..count {
            let mut raw = narrow(scene.address()).await?;
            raw.say(&asked).await?;
            peers.push(raw);
        }
        let (most, since) = full(&scene).await?;
        anyhow::Ok((peers, most / count as f64 / MIB, since))
    };
    let (peers, each, since) = ask().await?;
    scene.neighbour(trial).await?;
    trial.at_most("memory for each, MiB", each, 1.25);
    trial.at_least("of that there are answers, MiB", each, 0.5);
    trial.in_time("all are closed after, s", closed_after(&scene, before, since).await?, 10.5);
    drop(peers);
    // What was given back is used again; the allocator keeps it apart for each of the two threads.
    let (peers, again, _) = ask().await?;
    trial.at_most("memory for each after a second time, MiB", again, 1.25 * 1.5);
    drop(peers);
    scene.leave(trial).await
}
