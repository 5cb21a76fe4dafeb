//! What breaks the rules of streams: the connection closes, and says why.

use anyhow::{Context, Result, ensure};
use tests::{CREDIT, END, Frame};
use tokio::time::Instant;

use super::flood::{Calls, Tally, exchange, put, put_item};
use super::streams::{STREAMS, WINDOW};
use super::watch::under;
use crate::attack::{Attack, Trial};
use crate::memory::MIB;
use crate::raw::Raw;
use crate::scene::Scene;

pub(crate) const ATTACKS: &[Attack] = &[
    Attack {
        name: "stream-breaches",
        aim: "items and credit against the rules (M104 to M131)",
        run: |trial| Box::pin(breaches(trial)),
    },
    Attack {
        name: "credit-drip",
        aim: "L55: Credits of 1, beyond one for each half window",
        run: |trial| Box::pin(credit_drip(trial)),
    },
    Attack {
        name: "refused-streams",
        aim: "L48: 256 streams; L54: what comes for a stream that was refused",
        run: |trial| Box::pin(refused_streams(trial)),
    },
];

const PROTOCOL: u8 = 1;
const CALM_DOWN: u8 = 3;
const RESOURCE_EXHAUSTED: u8 = 8;

type Breach = fn(&mut Vec<u8>, u64);

const BREACHES: [(&str, Breach); 9] = [
    ("items beyond the credit", |out, id| {
        put_item(out, id, &vec![7; WINDOW]);
        put_item(out, id, b"");
    }),
    ("a Credit of 0", |out, id| put(out, CREDIT, 0, id, &[&[0; 4]])),
    ("credit over 2,147,483,647", |out, id| put(out, CREDIT, 0, id, &[&i32::MAX.to_be_bytes()])),
    ("half a Credit", |out, id| put(out, CREDIT, 0, id, &[&[0, 1]])),
    ("empty Data", |out, id| put(out, Frame::DATA, 0, id, &[])),
    ("half a length", |out, id| put(out, Frame::DATA, 0, id, &[&[0, 0]])),
    ("an End inside an item", |out, id| {
        put(out, Frame::DATA, 0, id, &[&9u32.to_be_bytes(), b"half"]);
        put(out, END, 0, id, &[]);
    }),
    ("Data after the End", |out, id| {
        put(out, END, 0, id, &[]);
        put_item(out, id, b"late");
    }),
    ("Data for a stream that was never opened", |out, id| put_item(out, id + (1 << 16), b"")),
];

async fn breaches(trial: &mut Trial) -> Result<()> {
    let scene = Scene::set(trial).await?;
    let times = trial.size(1000, 20);
    trial.shows("connections for each breach", times);
    let attack = async {
        let mut told = Vec::new();
        for (what, breach) in BREACHES {
            let (mut sent_away, mut longest) = (0, 0.0f64);
            for _ in 0..times {
                let (mut raw, mut tally) = (Raw::enter(scene.address(), "").await?, Tally::default());
                let mut bytes = Vec::new();
                let id = Calls::streams("Hostile.Unread", &()).put(&mut bytes);
                breach(&mut bytes, id);
                let began = Instant::now();
                exchange(&mut raw, &mut tally, [bytes], |_| false).await?;
                longest = longest.max(began.elapsed().as_secs_f64());
                sent_away += u64::from(tally.reason == Some(PROTOCOL) && tally.ended() == 0);
            }
            told.push((what, sent_away, longest));
        }
        Ok(told)
    };
    let (told, most) = under(&scene, trial, attack).await?;
    for (what, sent_away, longest) in told {
        trial.at_least(&format!("sent away: {what}"), sent_away as f64, times as f64);
        trial.in_time("within, s", longest, 1.0);
    }
    trial.in_memory("memory, MiB", most / MIB, 8.0);
    scene.leave(trial).await
}

/// Frames of which there are so many between two calls, whose answers tell how many were borne.
const STEP: u64 = 100;

/// How many such frames a connection bears behind `bytes`, and how it ends. `most` are to be more, but by less than
/// 256 KiB: with so much unread its reason would be lost (L8).
async fn borne(scene: &Scene, bytes: Vec<u8>, frame: Vec<u8>, most: u64) -> Result<(u64, Tally)> {
    let (mut raw, mut tally) = (Raw::enter(scene.address(), "").await?, Tally::default());
    raw.say(&bytes).await?;
    let chunks = (0..most.div_ceil(STEP)).map(move |at| {
        let mut chunk = frame.repeat(STEP as usize);
        chunk.extend(Frame::request(10_000 + at, "Hostile.Live", &()).to_bytes());
        chunk
    });
    exchange(&mut raw, &mut tally, chunks, |_| false).await?;
    Ok((tally.kind(Frame::RESPONSE) * STEP, tally))
}

async fn credit_drip(trial: &mut Trial) -> Result<()> {
    let scene = Scene::set(trial).await?;
    let mut bytes = Vec::new();
    let id = Calls::streams("Hostile.Unread", &()).put(&mut bytes);
    let mut drip = Vec::new();
    put(&mut drip, CREDIT, 0, id, &[&1u32.to_be_bytes()]);
    let ((borne, tally), most) = under(&scene, trial, borne(&scene, bytes, drip, 5000)).await?;
    trial.at_least("Credits of 1 that are borne", borne as f64, 900.0);
    // The burst, and what comes back of it meanwhile.
    trial.at_most("Credits of 1 that are borne", borne as f64, 1000.0 + 33.0);
    trial.holds("then it is told to calm down", tally.reason == Some(CALM_DOWN));
    trial.in_memory("memory, MiB", most / MIB, 1.0);
    scene.leave(trial).await
}

async fn refused_streams(trial: &mut Trial) -> Result<()> {
    /// The window and an eighth of it, twice the largest frame, and an End.
    const PAID: u64 = (WINDOW + WINDOW / 8 + 2 * (4 << 20) + 32) as u64;
    let scene = Scene::set(trial).await?;
    let mut calls = Calls::streams("Hostile.Unread", &());
    let bytes = calls.bytes(STREAMS);
    let mut raw = Raw::enter(scene.address(), "").await?;
    raw.say(&bytes).await?;
    let one_more = calls.bytes(1);
    raw.say(&one_more).await?;
    let answer = raw.answer().await?.context("no answer")?;
    ensure!(answer.kind == Frame::STATUS, "no status: {answer:?}");
    let (code, executed, _) = answer.status();
    trial.holds("the 257th is told ResourceExhausted", code == RESOURCE_EXHAUSTED);
    trial.holds("and that it has not run", executed == 0);
    trial.at_most("handlers at a time", scene.live().await?.1 as f64, STREAMS as f64);
    drop(raw);
    for size in [1, 1000] {
        let (mut bytes, mut late) = (bytes.clone(), Vec::new());
        bytes.extend(&one_more);
        put_item(&mut late, (STREAMS + 1) << 16, &vec![7; size]);
        // Each is charged with its body and 32; beyond what is paid, with one of the budget.
        let paid = PAID / (4 + size as u64 + 32);
        let ((borne, tally), most) = under(&scene, trial, borne(&scene, bytes, late, paid + 1200)).await?;
        trial.at_least(&format!("Data of {size} bytes borne for it"), borne as f64, (paid + 900) as f64);
        trial.at_most(
            &format!("Data of {size} bytes borne for it"),
            borne as f64,
            (paid + 1000 + 100) as f64,
        );
        trial.holds("then it is told to calm down", tally.reason == Some(CALM_DOWN));
        trial.in_memory("memory, MiB", most / MIB, 2.0);
    }
    scene.leave(trial).await
}
