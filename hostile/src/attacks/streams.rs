//! Streams that nobody reads, at either end.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use chaos::descriptors::Owner;
use futures_util::future::try_join_all;
use tests::{Frame, encoded};
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, sleep, timeout};

use super::flood::{CREDIT, Calls, END, Tally, exchange, narrow, put, put_item};
use super::watch::{MIB, closed_after, full, under};
use crate::attack::{Attack, Trial};
use crate::raw::Raw;
use crate::scene::Scene;

pub(crate) const ATTACKS: &[Attack] = &[
    Attack {
        name: "unread-streams",
        aim: "L51: items that wait to go out, 64 KiB and a frame or an item; L23: nothing is taken for 10 s",
        run: |trial| Box::pin(unread_streams(trial)),
    },
    Attack {
        name: "stalled-handlers",
        aim: "L49: items that a handler does not read, its window and an item; L53: 1 GiB for all",
        run: |trial| Box::pin(stalled_handlers(trial)),
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

const STREAMS: u64 = 256;
pub(super) const WINDOW: usize = 512 * 1024;
const ITEM: usize = 64 * 1024;

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
        let (mut scrap, mut taken, began) = (vec![0; 4096], 0, Instant::now());
        while began.elapsed() < Duration::from_millis(10_600) {
            let read = timeout(Duration::from_secs(5), drips.0.read(&mut scrap)).await;
            taken += read.context("nothing comes")?.context("cut off")?;
            sleep(Duration::from_millis(10)).await;
        }
        anyhow::Ok(taken)
    };
    let since = since.context("no streams")?;
    // The one that takes a little stays.
    let (taken, closed, _) =
        tokio::try_join!(dripped, closed_after(&scene, open + 1, since), scene.neighbour(trial))?;
    trial.at_most("those that take nothing are closed after, s", closed, 10.5);
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

/// All that the window lets through, on as many streams as there may be, to handlers that never read.
async fn stalled_handlers(trial: &mut Trial) -> Result<()> {
    const TIMES: usize = 3;
    // With the largest item at their end all of them come to more than the server has for calls.
    for (size, last, streams) in
        [(0, ITEM, STREAMS), (ITEM, ITEM, STREAMS), (ITEM, 4 << 20, trial.size(STREAMS, 20))]
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
            // A call behind them tells that all was taken.
            let chunks = chunks.chain([Frame::request(1000, "Hostile.Live", &()).to_bytes()]);
            exchange(&mut raw, &mut tally, chunks, |tally| tally.ended() == 1).await?;
            (held, _) = full(&scene).await?;
            trial.at_least("handlers that hold them", scene.live().await?.0 as f64, streams as f64);
            if time == 1 {
                scene.neighbour(trial).await?;
                trial.at_most("memory for each, KiB", held / streams as f64 / 1024.0, allowed);
                trial.at_most("memory for all, MiB", held / MIB, 1024.0 + 32.0);
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
        "items for each Credit, at the least half a window",
        credits as f64,
        sent as f64 / (BOUGHT / 2) as f64,
    );
    trial.at_most("memory, MiB", most / MIB, 4.0);
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
    trial.at_most("memory, MiB", most / MIB, 8.0);
    scene.leave(trial).await
}
