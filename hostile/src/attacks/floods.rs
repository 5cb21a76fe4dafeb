//! Frames that cost their sender nothing, as many as the server takes.

use std::time::Duration;

use anyhow::Result;
use futures_util::future::try_join_all;
use futures_util::{StreamExt, stream};
use rpc_client::{Client, Error};
use rpc_core::Code;
use tests::{CREDIT, Frame};

use super::flood::{Calls, Tally, exchange, put};
use super::watch::under;
use crate::attack::{Attack, Trial};
use crate::memory::MIB;
use crate::raw::Raw;
use crate::scene::Scene;

pub(crate) const ATTACKS: &[Attack] = &[
    Attack {
        name: "open-and-cancel",
        aim: "L18, L21: calls in flight; a Request pays for its Cancel, and for no more than that",
        run: |trial| Box::pin(open_and_cancel(trial)),
    },
    Attack {
        name: "control-frames",
        aim: "L21: 1,000 cancels, credits, pings, goodbyes",
        run: |trial| Box::pin(control_frames(trial)),
    },
    Attack {
        name: "pings",
        aim: "L21: Pings of a peer that reads nothing get one Pong for many",
        run: |trial| Box::pin(pings(trial)),
    },
];

/// Of the code on the wire.
const CANCELLED: u8 = Code::Cancelled as u8;
const CALM_DOWN: u8 = 3;

/// More than the budget, what comes back of it, and the one Cancel and the one Ping that are free.
const EXCESS: u64 = 1050;

/// Handlers that wait for ever, begun and cancelled: one by one on some connections, and as many at a time as there may
/// be on the others.
async fn open_and_cancel(trial: &mut Trial) -> Result<()> {
    const CONNECTIONS: u64 = 4;
    const CALLS: u64 = 1024;
    let scene = Scene::set(trial).await?;
    let (rounds, honest) = (trial.size(244, 12), trial.size(5000, 500));
    let pairs = rounds * CALLS;
    trial.shows("pairs of Request and Cancel", CONNECTIONS * pairs);
    let flood = try_join_all((0..CONNECTIONS).map(async |at| {
        let (mut raw, mut tally) = (Raw::enter(scene.address(), "").await?, Tally::default());
        let mut calls = Calls::of("Hostile.Hold", &());
        let chunks = (0..rounds).map(move |_| match at % 2 {
            0 => cancelled(&mut calls, CALLS, 1),
            _ => cancelled(&mut calls, CALLS, CALLS),
        });
        exchange(&mut raw, &mut tally, chunks, |tally| tally.ended() == pairs).await?;
        anyhow::Ok(tally)
    }));
    let attack = async { tokio::try_join!(flood, time_outs(scene.client(), honest)) };
    let ((tallies, in_time), most) = under(&scene, trial, attack).await?;
    let sum = |of: &dyn Fn(&Tally) -> u64| tallies.iter().map(of).sum::<u64>() as f64;
    trial.at_least("calls that were ended", sum(&Tally::ended), (CONNECTIONS * pairs) as f64);
    // A refusal would be an end, too.
    trial.at_least(
        "of these cancelled",
        sum(&|tally| tally.code(CANCELLED)),
        (CONNECTIONS * pairs) as f64 * 0.9,
    );
    trial.holds("nobody was sent away", tallies.iter().all(|tally| tally.reason.is_none() && !tally.closed));
    let (_, live) = scene.live().await?;
    // The honest client's besides.
    trial.at_most("handlers at a time", live as f64, (CONNECTIONS * CALLS + HONEST as u64) as f64);
    trial.in_memory("memory, MiB", most / MIB, 8.0);
    trial.at_least("calls that timed out, of an honest client", in_time as f64, honest as f64);
    scene.leave(trial).await
}

/// So many pairs; as many Requests, and then their Cancels, as `depth` says.
fn cancelled(calls: &mut Calls, count: u64, depth: u64) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..count / depth {
        let ids: Vec<_> = (0..depth).map(|_| calls.put(&mut out)).collect();
        ids.into_iter().for_each(|id| put(&mut out, Frame::CANCEL, 0, id, &[]));
    }
    out
}

/// Calls that an honest client has at a time.
const HONEST: usize = 64;

/// How many of so many calls ended as they should: with their time. Each sends its Cancel.
async fn time_outs(client: &Client, count: usize) -> Result<usize> {
    let calls = stream::iter(0..count)
        .map(|_| client.call::<_, ()>("Hostile.Hold", ()).timeout(Duration::from_millis(3)).into_future());
    let in_time = calls.buffer_unordered(HONEST).filter(|ended| {
        let in_time = match ended {
            Err(Error::DeadlineExceeded { .. }) => true,
            Err(Error::Status { status, .. }) => status.code() == Code::DeadlineExceeded,
            _ => false,
        };
        std::future::ready(in_time)
    });
    Ok(in_time.count().await)
}

/// What a connection bears, on one after the other.
async fn control_frames(trial: &mut Trial) -> Result<()> {
    const LANES: u64 = 4;
    let scene = Scene::set(trial).await?;
    let connections = trial.size(9600, 200);
    trial.shows("control frames", connections * EXCESS);
    let lanes = try_join_all((0..LANES).map(async |_| {
        let mut calmed = 0;
        for _ in 0..connections / LANES {
            let mut raw = Raw::enter(scene.address(), "").await?;
            let ended = Frame::request(1, "Hostile.Live", &());
            raw.send(&ended).await?;
            raw.answer().await?;
            let (id, mut bytes) = (ended.id, Vec::new());
            for turn in 0..EXCESS {
                match turn % 5 {
                    0 => put(&mut bytes, Frame::CANCEL, 0, id, &[]),
                    1 => put(&mut bytes, CREDIT, 0, id, &[&1u32.to_be_bytes()]),
                    2 => put(&mut bytes, Frame::PING, 0, turn, &[]),
                    3 => put(&mut bytes, Frame::PONG, 0, turn, &[]),
                    _ => put(&mut bytes, Frame::GO_AWAY, 0, 0, &[&[0]]),
                }
            }
            calmed += u64::from(sent_away(&mut raw, bytes).await?.reason == Some(CALM_DOWN));
        }
        anyhow::Ok(calmed)
    }));
    let (calmed, most) = under(&scene, trial, lanes).await?;
    let calmed: u64 = calmed.iter().sum();
    trial.at_least("connections told to calm down", calmed as f64, connections as f64);
    trial.in_memory("memory, MiB", most / MIB, 1.0);
    scene.leave(trial).await
}

/// What the server says to these bytes until it closes.
async fn sent_away(raw: &mut Raw, bytes: Vec<u8>) -> Result<Tally> {
    let mut tally = Tally::default();
    exchange(raw, &mut tally, [bytes], |_| false).await?;
    Ok(tally)
}

/// All that a connection bears of them, on many, before anybody reads.
async fn pings(trial: &mut Trial) -> Result<()> {
    let scene = Scene::set(trial).await?;
    let connections = trial.size(2000, 100);
    trial.shows("Pings", connections * EXCESS);
    let attack = async {
        let (mut peers, mut bytes) = (Vec::new(), Vec::new());
        (0..EXCESS).for_each(|token| put(&mut bytes, Frame::PING, 0, token, &[]));
        for _ in 0..connections {
            let mut raw = Raw::enter(scene.address(), "").await?;
            raw.say(&bytes).await?;
            peers.push(raw);
        }
        let (mut pongs, mut calmed) = (0, 0);
        for mut raw in peers {
            let mut tally = Tally::default();
            tally.read(&mut raw.0, |_| false).await?;
            pongs += tally.kind(Frame::PONG);
            calmed += u64::from(tally.reason == Some(CALM_DOWN));
        }
        Ok((pongs, calmed))
    };
    let ((pongs, calmed), most) = under(&scene, trial, attack).await?;
    trial.at_least("connections told to calm down", calmed as f64, connections as f64);
    // One for each 32 frames that are at hand together.
    trial.at_most("Pongs to 1,000 Pings", pongs as f64 / connections as f64, 64.0);
    trial.shows("memory for each connection, KiB", format!("{:.1}", most / connections as f64 / 1024.0));
    scene.leave(trial).await
}
