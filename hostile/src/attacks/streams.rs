//! Streams of items that come: unread, without end, of no length, given up.

use std::time::Duration;

use anyhow::Result;
use chaos::descriptors::Owner;
use futures_util::future::try_join_all;
use rpc_core::{Code, Executed, Status};
use tests::{CREDIT, END, Frame, encoded};
use tokio::time::{Instant, sleep};

use super::flood::{Calls, Tally, exchange, put, put_item};
use super::watch::{closed_after, full, under};
use crate::attack::{Attack, Trial};
use crate::memory::MIB;
use crate::raw::Raw;
use crate::scene::Scene;

pub(crate) const ATTACKS: &[Attack] = &[
    Attack {
        name: "stalled-handlers",
        aim: "L49: items that a handler does not read, its window and an item",
        run: |trial| Box::pin(stalled_handlers(trial)),
    },
    Attack {
        name: "spent-memory",
        aim: "L53: 1 GiB for the items and calls of all connections",
        run: |trial| Box::pin(spent_memory(trial)),
    },
    Attack {
        name: "empty-items",
        aim: "L49: an empty item costs 32 of the window",
        run: |trial| Box::pin(empty_items(trial)),
    },
    Attack {
        name: "stream-churn",
        aim: "L18, L48, L54: streams opened, given an item, and cancelled",
        run: |trial| Box::pin(churn(trial)),
    },
];

pub(super) const STREAMS: u64 = 256;
pub(super) const WINDOW: usize = 512 * 1024;
pub(super) const ITEM: usize = 64 * 1024;
const RESOURCE_EXHAUSTED: u8 = Code::ResourceExhausted as u8;

/// All that the window lets through, on as many streams as there may be, to handlers that never read.
async fn stalled_handlers(trial: &mut Trial) -> Result<()> {
    const TIMES: usize = 3;
    // With the largest item at their end all of them would come to more than there is for calls: see `spent_memory`.
    for (size, last, streams) in
        [(0, ITEM, STREAMS), (ITEM, ITEM, STREAMS), (ITEM, 4 << 20, trial.size(200, 20))]
    {
        let scene = Scene::set(trial).await?;
        let before = Owner::Process(scene.pid()).descriptors()?;
        trial.shows(&format!("streams with items of {size} bytes, then {last}"), streams);
        let allowed = ((WINDOW + last) / 1024 + 16) as f64;
        let mut held = 0.0;
        for time in 1..=TIMES {
            let (mut raw, mut tally) = (Raw::enter(scene.address(), "").await?, Tally::default());
            let mut calls = Calls::streams("Hostile.Unread", &());
            let chunks = (0..streams).map(move |_| windowful(&mut calls, size, last));
            // A Ping behind them tells that all was taken.
            let chunks = chunks.chain([Frame::new(Frame::PING, 1, []).to_bytes()]);
            exchange(&mut raw, &mut tally, chunks, |tally| tally.kind(Frame::PONG) > 0).await?;
            (held, _) = full(&scene).await?;
            trial.at_least("handlers that hold them", scene.live().await?.0 as f64, streams as f64);
            if time == 1 {
                scene.neighbour(trial).await?;
                trial.at_most("memory for each, KiB", held / streams as f64 / 1024.0, allowed);
            }
            // At once: the calls of one that has only closed its side go on.
            raw.0.set_zero_linger()?;
            drop(raw);
            closed_after(&scene, before, Instant::now()).await?;
        }
        // What was given back is used again; by each of the two threads, since the allocator keeps it for them apart.
        let again = held / streams as f64 / 1024.0;
        trial.at_most(&format!("memory for each, time {TIMES}, KiB"), again, allowed * 2.0);
        scene.leave(trial).await?;
    }
    Ok(())
}

/// With the largest item at the end of each window, the streams of one connection come to more than there is for the
/// calls of all: others are told, until it is gone.
async fn spent_memory(trial: &mut Trial) -> Result<()> {
    let scene = Scene::set(trial).await?;
    let (mut raw, mut tally) = (Raw::enter(scene.address(), "").await?, Tally::default());
    let mut calls = Calls::streams("Hostile.Unread", &());
    let chunks = (0..STREAMS).map(move |_| windowful(&mut calls, ITEM, 4 << 20));
    let chunks = chunks.chain([Frame::new(Frame::PING, 1, []).to_bytes()]);
    exchange(&mut raw, &mut tally, chunks, |tally| tally.kind(Frame::PONG) > 0).await?;
    trial.shows("streams that were refused, of 256", tally.code(RESOURCE_EXHAUSTED));
    trial.in_memory("memory, MiB", scene.growth()? / MIB, 1024.0 + 32.0);
    let told = scene.live().await.err();
    let told = told.as_ref().and_then(|error| error.downcast_ref::<rpc_client::Error>());
    let status = told.and_then(rpc_client::Error::status);
    let exhausted =
        |status: &Status| status.code() == Code::ResourceExhausted && status.executed() == Executed::No;
    trial.holds("others are told ResourceExhausted, not executed", status.is_some_and(exhausted));
    raw.0.set_zero_linger()?;
    drop(raw);
    let (gone, end) = (Instant::now(), Instant::now() + Duration::from_secs(10));
    while scene.live().await.is_err() && Instant::now() < end {
        sleep(Duration::from_millis(1)).await;
    }
    trial.in_time("they are served after its end, s", gone.elapsed().as_secs_f64(), 2.0);
    scene.leave(trial).await
}

/// A stream, items of that size until less than one is left of its window, and a last one.
fn windowful(calls: &mut Calls, size: usize, last: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let id = calls.put(&mut bytes);
    let item = [&(size as u32).to_be_bytes()[..], &vec![7; size]].concat();
    let (mut count, together) = ((WINDOW - 1) / (size + 32), ITEM / item.len() + 1);
    while count > 0 {
        let these = count.min(together);
        put(&mut bytes, Frame::DATA, 0, id, &[&item.repeat(these)]);
        count -= these;
    }
    // In parts.
    let item = vec![7; last];
    let mut parts = item.chunks(ITEM);
    let first = parts.next().unwrap_or_default();
    put(&mut bytes, Frame::DATA, 0, id, &[&(last as u32).to_be_bytes(), first]);
    parts.for_each(|part| put(&mut bytes, Frame::DATA, 0, id, &[part]));
    bytes
}

/// Items of no length, as many as credit is given for.
async fn empty_items(trial: &mut Trial) -> Result<()> {
    const BOUGHT: u64 = (WINDOW / 32) as u64;
    let scene = Scene::set(trial).await?;
    let rounds = trial.size(1000, 20);
    trial.shows("empty items", rounds * BOUGHT);
    let attack = async {
        let (mut raw, mut tally) = (Raw::enter(scene.address(), "").await?, Tally::default());
        let (mut bytes, mut sent) = (Vec::new(), 0);
        let id = Calls::streams("Hostile.Empties", &()).put(&mut bytes);
        raw.say(&bytes).await?;
        let mut overpaid = 0;
        while sent < rounds * BOUGHT {
            let bought = (WINDOW as u64 + tally.credit) / 32;
            overpaid = overpaid.max(tally.credit.saturating_sub(sent * 32));
            let items = bought - sent;
            exchange(&mut raw, &mut tally, [empties(id, items)], |tally| tally.credit / 32 + BOUGHT > bought)
                .await?;
            sent = bought;
        }
        let mut bytes = Vec::new();
        put(&mut bytes, END, 0, id, &[]);
        let credits = tally.kind(CREDIT);
        exchange(&mut raw, &mut tally, [bytes], |tally| tally.ended() == 1).await?;
        Ok((sent, overpaid, credits, tally.kind(Frame::RESPONSE)))
    };
    let ((sent, overpaid, credits, answered), most) = under(&scene, trial, attack).await?;
    trial.shows("sent", sent);
    trial.at_least("answered", answered as f64, 1.0);
    trial.at_most("credit for items that were not sent", overpaid as f64, 0.0);
    trial.at_most(
        "Credits, of which each is half a window",
        credits as f64,
        sent as f64 / (BOUGHT / 2) as f64,
    );
    trial.in_memory("memory, MiB", most / MIB, 4.0);
    for more in [0, 1] {
        let (mut raw, mut tally) = (Raw::enter(scene.address(), "").await?, Tally::default());
        let mut bytes = Vec::new();
        let id = Calls::streams("Hostile.Unread", &()).put(&mut bytes);
        bytes.extend(empties(id, BOUGHT + more));
        // A call behind them tells that they were borne.
        bytes.extend(Frame::request(2, "Hostile.Live", &()).to_bytes());
        exchange(&mut raw, &mut tally, [bytes], |tally| tally.ended() == 1).await?;
        let borne = tally.kind(Frame::RESPONSE) == 1 && !tally.closed;
        match more {
            0 => trial.holds("a window of them is borne", borne),
            _ => trial.holds("one more is not", !borne && tally.reason == Some(1)),
        }
    }
    scene.leave(trial).await
}

/// So many empty items, a thousand to a frame.
fn empties(id: u64, mut count: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while count > 0 {
        let these = count.min(1000);
        put(&mut bytes, Frame::DATA, 0, id, &[&vec![0; 4 * these as usize]]);
        count -= these;
    }
    bytes
}

/// Each stream is given an item, cancelled, and given another.
async fn churn(trial: &mut Trial) -> Result<()> {
    const CONNECTIONS: u64 = 4;
    let scene = Scene::set(trial).await?;
    let (rounds, item) = (trial.size(100, 5), encoded(&vec![7u8; 100]));
    let streams = rounds * STREAMS;
    trial.shows("streams", CONNECTIONS * streams);
    let attack = try_join_all((0..CONNECTIONS).map(async |_| {
        let (mut raw, mut tally) = (Raw::enter(scene.address(), "").await?, Tally::default());
        let (mut calls, item) = (Calls::streams("Hostile.Unread", &()), &item);
        let chunks = (0..rounds).map(move |_| {
            let mut bytes = Vec::new();
            for _ in 0..STREAMS {
                let id = calls.put(&mut bytes);
                put_item(&mut bytes, id, item);
                put(&mut bytes, Frame::CANCEL, 0, id, &[]);
                put_item(&mut bytes, id, item);
            }
            bytes
        });
        exchange(&mut raw, &mut tally, chunks, |tally| tally.ended() == streams).await?;
        anyhow::Ok((tally.code(1), tally.reason))
    }));
    let (tallies, most) = under(&scene, trial, attack).await?;
    let cancelled: u64 = tallies.iter().map(|(cancelled, _)| cancelled).sum();
    trial.at_least("told Cancelled", cancelled as f64, (CONNECTIONS * streams) as f64);
    trial.holds("nobody was sent away", tallies.iter().all(|(_, reason)| reason.is_none()));
    trial.at_most("handlers at a time", scene.live().await?.1 as f64, (CONNECTIONS * STREAMS) as f64);
    trial.in_memory("memory, MiB", most / MIB, 8.0);
    scene.leave(trial).await
}
