//! What the machine has only so much of.

use std::future::pending;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rpc_client::Client;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::attack::{Attack, Trial};
use crate::memory;
use crate::raw::Raw;
use crate::scene::Scene;

pub(crate) const ATTACKS: &[Attack] = &[Attack {
    name: "descriptors",
    aim: "L9: accepting fails for lack of descriptors, and is tried again up to 1 s later",
    run: |trial| Box::pin(descriptors(trial)),
}];

/// More peers than the server has descriptors for; the kernel holds the others.
async fn descriptors(trial: &mut Trial) -> Result<()> {
    const DESCRIPTORS: usize = 64;
    const PEERS: usize = 200;
    let scene = Scene::set(trial).await?;
    let limit = format!("--nofile={DESCRIPTORS}:{DESCRIPTORS}");
    let pid = scene.pid().to_string();
    let set = Command::new("prlimit").args(["--pid", &pid, &limit]).status().await.context("no prlimit")?;
    ensure!(set.success(), "prlimit: {set}");
    let (mut peers, address) = (JoinSet::new(), scene.address());
    for _ in 0..PEERS {
        // Those that the kernel has no place for dial on.
        peers.spawn(async move {
            let _held = Raw::enter(address, "").await;
            pending::<()>().await
        });
    }
    trial.shows("peers, for a server with 64 descriptors", PEERS);
    let owner = chaos::descriptors::Owner::Process(scene.pid());
    let end = Instant::now() + Duration::from_secs(10);
    while owner.descriptors()? < DESCRIPTORS && Instant::now() < end {
        sleep(Duration::from_millis(10)).await;
    }
    trial.at_least("descriptors in use", owner.descriptors()? as f64, DESCRIPTORS as f64);
    scene.neighbour(trial).await?;
    let (before, began) = (memory::processor(scene.pid())?, Instant::now());
    sleep(Duration::from_secs(3)).await;
    let used = (memory::processor(scene.pid())? - before).as_secs_f64() / began.elapsed().as_secs_f64();
    trial.at_most_in_quiet("processor, percent of one", used * 100.0, 5.0);
    trial.at_least("descriptors still in use", owner.descriptors()? as f64, DESCRIPTORS as f64);
    peers.shutdown().await;
    let released = Instant::now();
    let client = Client::connect(scene.address().to_string()).await?;
    let _: (u64, u64) = client.call("Hostile.Live", ()).await?;
    trial.in_time("a new client is served after, s", released.elapsed().as_secs_f64(), 1.1);
    drop(client);
    scene.leave(trial).await
}
