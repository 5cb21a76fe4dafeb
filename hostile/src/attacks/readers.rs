//! Streams of items that go out, to peers that do not read them.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use chaos::descriptors::Owner;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, sleep, timeout};

use tests::END;

use super::flood::{Calls, narrow, put};
use super::streams::{ITEM, STREAMS};
use super::watch::{closed_after, full};
use crate::attack::{Attack, Trial};
use crate::memory::MIB;
use crate::raw::Raw;
use crate::scene::Scene;

pub(crate) const ATTACKS: &[Attack] = &[Attack {
    name: "unread-streams",
    aim: "L51: items that wait to go out, 64 KiB and a frame or an item; L23: nothing is taken for 10 s",
    run: |trial| Box::pin(unread_streams(trial)),
}];

/// Endless answers on as many streams as a connection may have, for peers that take nothing, and for one that takes a
/// little now and then.
async fn unread_streams(trial: &mut Trial) -> Result<()> {
    let scene = Scene::set(trial).await?;
    let owner = Owner::Process(scene.pid());
    let (connections, mut peers, mut before, mut since) = (trial.size(8, 2), Vec::new(), 0.0, None);
    for (size, most) in [(64, 64 + 16), (ITEM as u32, 64 + 64)] {
        for _ in 0..connections {
            peers.push(endless(scene.address(), size).await?);
        }
        let (held, last) = full(&scene).await?;
        let streams = connections as f64 * STREAMS as f64;
        trial.shows(&format!("streams of items of {size} bytes"), streams);
        // A handler of each besides, and what the connections hold for all of their streams.
        let allowed = f64::from(most) + 16.0;
        trial.at_most("memory for each, KiB", (held - before) / streams / 1024.0, allowed);
        trial.at_least("of that there are items, KiB", (held - before) / streams / 1024.0, 32.0);
        (before, since) = (held, Some(last));
    }
    let open = owner.descriptors()? - peers.len();
    let mut drips = endless(scene.address(), 64).await?;
    let dripped = async {
        let (mut scrap, mut taken, mut most, began) = (vec![0; 4096], 0, 0.0f64, Instant::now());
        while began.elapsed() < Duration::from_millis(10_600) {
            let read = timeout(Duration::from_secs(5), drips.0.read(&mut scrap)).await;
            let count = read.context("nothing comes")?.context("cut off")?;
            ensure!(count > 0, "cut off");
            taken += count;
            most = most.max(scene.growth()?);
            sleep(Duration::from_millis(10)).await;
        }
        anyhow::Ok((taken, most))
    };
    let since = since.context("no streams")?;
    // The one that takes a little stays.
    let ((taken, most), closed, _) =
        tokio::try_join!(dripped, closed_after(&scene, open + 1, since), scene.neighbour(trial))?;
    trial.in_time("those that take nothing are closed after, s", closed, 10.5);
    let each = (most - before) / STREAMS as f64 / 1024.0;
    trial.at_most("memory for each of one that takes a little, KiB", each, 96.0);
    trial.shows("the one that takes a little has taken, MiB", format!("{:.1}", taken as f64 / MIB));
    drop((peers, drips));
    scene.leave(trial).await
}

/// A peer with small buffers that asked for endless answers.
async fn endless(address: SocketAddr, size: u32) -> Result<Raw> {
    let (mut raw, mut calls, mut bytes) =
        (narrow(address).await?, Calls::streams("Hostile.Repeat", &size), Vec::new());
    for _ in 0..STREAMS {
        let id = calls.put(&mut bytes);
        put(&mut bytes, END, 0, id, &[]);
    }
    raw.say(&bytes).await?;
    Ok(raw)
}
