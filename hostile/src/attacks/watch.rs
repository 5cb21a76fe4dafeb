//! What is watched while an attack is on.

use std::cell::Cell;
use std::future::Future;
use std::time::Duration;

use anyhow::{Result, ensure};
use chaos::descriptors::Owner;
use tokio::time::{Instant, sleep};

use crate::attack::Trial;
use crate::memory::KIB;
use crate::scene::Scene;

/// Between two looks at the memory.
const LOOK: Duration = Duration::from_millis(5);

/// Carries an attack out while the neighbour calls. What came of it, and the most bytes that the server held more
/// than before.
pub(super) async fn under<T>(
    scene: &Scene,
    trial: &mut Trial,
    attack: impl Future<Output = Result<T>>,
) -> Result<(T, f64)> {
    let (began, on, took) = (Instant::now(), Cell::new(true), Cell::new(Duration::ZERO));
    let attack = async {
        let done = attack.await?;
        took.set(began.elapsed());
        anyhow::Ok(done)
    };
    let both = async {
        let both = tokio::try_join!(attack, scene.neighbour(trial));
        on.set(false);
        both
    };
    let memory = async {
        let mut most: f64 = 0.0;
        while on.get() {
            most = most.max(scene.growth()?);
            sleep(LOOK).await;
        }
        Ok(most.max(scene.growth()?))
    };
    let ((done, _), most) = tokio::try_join!(both, memory)?;
    trial.shows("attacked for, s", format!("{:.1}", took.get().as_secs_f64()));
    Ok((done, most))
}

/// Waits until the server's memory grows no more: what it holds more than before, and since when.
pub(super) async fn full(scene: &Scene) -> Result<(f64, Instant)> {
    let (mut most, mut since, end) = (0.0, Instant::now(), Instant::now() + Duration::from_secs(60));
    while since.elapsed() < Duration::from_millis(300) {
        ensure!(Instant::now() < end, "the server's memory does not stop growing");
        let now = scene.growth()?;
        if now > most + 16.0 * KIB {
            (most, since) = (now, Instant::now());
        }
        sleep(LOOK).await;
    }
    Ok((most, since))
}

/// Waits until the server has so many descriptors again; how long after `since` that was.
pub(super) async fn closed_after(scene: &Scene, before: usize, since: Instant) -> Result<f64> {
    Owner::Process(scene.pid()).come_back_to(before, Duration::from_secs(20)).await?;
    Ok(since.elapsed().as_secs_f64())
}
