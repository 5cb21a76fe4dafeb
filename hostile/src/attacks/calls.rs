//! Calls whose handlers do what handlers should not.

use std::cell::Cell;
use std::fs;
use std::future::Future;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use rpc_core::Code;
use tests::Frame;
use tokio::time::Instant;

use super::flood::{Calls, Tally, exchange};
use super::watch::under;
use crate::attack::{Attack, Trial};
use crate::memory::MIB;
use crate::raw::Raw;
use crate::scene::Scene;

pub(crate) const ATTACKS: &[Attack] = &[
    Attack { name: "panics", aim: "a panic ends one call (M64)", run: |trial| Box::pin(panics(trial)) },
    Attack {
        name: "blocking",
        aim: "L22: handlers that compute for over 1 ms get tasks of their own; 512 threads for those that block",
        run: |trial| Box::pin(blocking(trial)),
    },
    Attack {
        name: "deadlines",
        aim: "deadlines that pass at once (M54, M55)",
        run: |trial| Box::pin(deadlines(trial)),
    },
];

const INTERNAL: u8 = Code::Internal as u8;
const DEADLINE_EXCEEDED: u8 = Code::DeadlineExceeded as u8;

fn threads(scene: &Scene) -> Result<usize> {
    Ok(fs::read_dir(format!("/proc/{}/task", scene.pid())).context("the server has ended")?.count())
}

/// Handlers that panic, a thousand at a time.
async fn panics(trial: &mut Trial) -> Result<()> {
    const CONNECTIONS: u64 = 4;
    const TOGETHER: u64 = 250;
    let scene = Scene::set(trial).await?;
    let (rounds, threads_before) = (trial.size(100, 5), threads(&scene)?);
    let count = rounds * TOGETHER;
    trial.shows("panics", CONNECTIONS * count);
    let attack = try_join_all((0..CONNECTIONS).map(async |_| {
        let (mut raw, mut tally) = (Raw::enter(scene.address(), "").await?, Tally::default());
        let mut calls = Calls::of("Hostile.Panics", &());
        let chunks = (0..rounds).map(move |_| calls.bytes(TOGETHER));
        exchange(&mut raw, &mut tally, chunks, |tally| tally.ended() == count).await?;
        anyhow::Ok(tally.code(INTERNAL))
    }));
    let (told, most) = under(&scene, trial, attack).await?;
    trial.at_least("told Internal", told.iter().sum::<u64>() as f64, (CONNECTIONS * count) as f64);
    trial.in_memory("memory, MiB", most / MIB, 8.0);
    trial.at_most("threads left behind", threads(&scene)? as f64 - threads_before as f64, 0.0);
    scene.leave(trial).await
}

/// Handlers that sleep on the thread that polls them, and on threads for that.
async fn blocking(trial: &mut Trial) -> Result<()> {
    let scene = Scene::set(trial).await?;
    let (mut raw, mut counter, mut until_noticed) = (Raw::enter(scene.address(), "").await?, 0, 0);
    // As long as it is polled in the connection's task, a call behind it waits for it.
    let held_up = loop {
        ensure!(until_noticed < 20, "a handler that blocks is never noticed");
        let (blocks, next) = (
            Frame::request(counter + 1, "Hostile.Blocks", &50u64),
            Frame::request(counter + 2, "Hostile.Live", &()),
        );
        counter += 2;
        let sent = Instant::now();
        raw.say(&[blocks.to_bytes(), next.to_bytes()].concat()).await?;
        let first = raw.answer().await?.context("no answer")?;
        let took = sent.elapsed();
        raw.answer().await?.context("no answer")?;
        if first.id == next.id {
            break took;
        }
        until_noticed += 1;
    };
    // The first is not timed by itself.
    trial.at_most("calls of 50 ms until it is noticed", f64::from(until_noticed), 4.0);
    trial.shows("then the next call has its answer after, ms", format!("{:.1}", held_up.as_secs_f64() * 1e3));
    let (count, mut tally) = (trial.size(256, 32), Tally::default());
    trial.shows("handlers that block for 50 ms, on two threads", count);
    let mut bytes = Vec::new();
    for _ in 0..count {
        counter += 1;
        bytes.extend(Frame::request(counter, "Hostile.Blocks", &50u64).to_bytes());
    }
    let blocked = exchange(&mut raw, &mut tally, [bytes], |tally| tally.ended() == count);
    let ((longest, ()), _) = under(&scene, trial, longest_call(&scene, blocked)).await?;
    trial.shows("the longest call on another connection, s", format!("{:.2}", longest.as_secs_f64()));
    trial.at_least("of these answered", tally.kind(Frame::RESPONSE) as f64, count as f64);
    let before = threads(&scene)?;
    let on_threads = longest_call(&scene, on_threads(&scene));
    let ((longest, (ended, took)), most) = under(&scene, trial, on_threads).await?;
    trial.shows("the longest call on another connection, s", format!("{:.2}", longest.as_secs_f64()));
    trial.at_least("of 600 that block a thread for 1 s, answered", ended as f64, 600.0);
    trial.at_most("threads for them", threads(&scene)? as f64 - before as f64, 512.0);
    // Two turns.
    trial.at_least("they took, s", took.as_secs_f64(), 2.0);
    trial.shows("memory, MiB", format!("{:.2}", most / MIB));
    drop(raw);
    scene.leave(trial).await
}

/// Calls, one after the other, while an attack is on. The longest of them: percentiles hide what happens once.
async fn longest_call<T>(scene: &Scene, attack: impl Future<Output = Result<T>>) -> Result<(Duration, T)> {
    let on = Cell::new(true);
    let attack = async {
        let done = attack.await;
        on.set(false);
        done
    };
    let calls = async {
        let mut longest = Duration::ZERO;
        while on.get() {
            let sent = Instant::now();
            scene.live().await?;
            longest = longest.max(sent.elapsed());
        }
        Ok(longest)
    };
    let (done, longest) = tokio::try_join!(attack, calls)?;
    Ok((longest, done))
}

/// More than the runtime has threads for. How many are answered, and the time for that.
async fn on_threads(scene: &Scene) -> Result<(u64, Duration)> {
    let (mut raw, mut tally, began) =
        (Raw::enter(scene.address(), "").await?, Tally::default(), Instant::now());
    let bytes = Calls::of("Hostile.BlocksThread", &1000u64).bytes(600);
    exchange(&mut raw, &mut tally, [bytes], |tally| tally.ended() == 600).await?;
    Ok((tally.kind(Frame::RESPONSE), began.elapsed()))
}

/// Calls that wait for ever with a microsecond, or nothing, left.
async fn deadlines(trial: &mut Trial) -> Result<()> {
    const TOGETHER: u64 = 1000;
    let scene = Scene::set(trial).await?;
    let rounds = trial.size(100, 10);
    trial.shows("calls with 1 us left", rounds * TOGETHER);
    trial.shows("calls with nothing left", rounds * TOGETHER);
    let attack = try_join_all([1, 0].map(async |left| {
        let (mut raw, mut tally) = (Raw::enter(scene.address(), "").await?, Tally::default());
        let mut calls = Calls::of("Hostile.Hold", &()).within(left);
        for round in 1..=rounds {
            // As many as may be in flight, so that none is refused.
            let bytes = calls.bytes(TOGETHER);
            exchange(&mut raw, &mut tally, [bytes], |tally| tally.ended() == round * TOGETHER).await?;
        }
        anyhow::Ok(tally.code(DEADLINE_EXCEEDED))
    }));
    let (told, most) = under(&scene, trial, attack).await?;
    trial.at_least("told DeadlineExceeded", told.iter().sum::<u64>() as f64, (2 * rounds * TOGETHER) as f64);
    let (_, live) = scene.live().await?;
    trial.at_most("handlers at a time", live as f64, TOGETHER as f64);
    trial.in_memory("memory, MiB", most / MIB, 8.0);
    scene.leave(trial).await
}
