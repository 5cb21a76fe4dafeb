//! Heads that are too large, or have too many headers.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep, timeout};

use crate::attack::Trial;
use crate::memory::MIB;
use crate::raw::Raw;
use crate::scene::Scene;

/// What a head begins with that never ends, and what follows.
const ENDLESS: &[(&str, &str)] = &[
    ("CONNECT /_rpc_ HTTP/1.0\r\nX: ", "a"),
    ("CONNECT /_rpc_ HTTP/1.0\r\n", "X: y\r\n"),
    ("CONNECT /_rpc_ HTTP/1.0\r\n", "a:\n"),
    ("CONNECT /", "a"),
    ("", "A"),
    ("", "\r\n"),
    ("", "\n"),
    ("CONNECT /_rpc_ HTTP/1.0\r\nX: a\r\n", " b\r\n"),
    ("CONNECT /_rpc_ HTTP/1.0\r", "\r"),
    ("GET / HTTP/1.1\r\nCookie: ", "\u{e9}"),
];

/// More than all that the kernel holds of one connection, on both sides.
const SENT_AT_MOST: usize = 64 * 1024 * 1024;

/// Each kind from each of many, as fast as they can, and one of each that takes its time.
pub(super) async fn huge_heads(trial: &mut Trial) -> Result<()> {
    let scene = Scene::set(trial).await?;
    let (rounds, mut most, mut count) = (trial.size(200, 10), 0, 0);
    let attack = async {
        for _ in 0..rounds {
            for (first, more) in ENDLESS {
                count += 1;
                most =
                    most.max(pour(scene.address(), first, more).await.with_context(|| format!("{first:?}"))?);
            }
        }
        anyhow::Ok(())
    };
    let (poured, ratio) = tokio::join!(attack, scene.neighbour(trial));
    poured?;
    ratio?;
    trial.shows("heads without an end, all told 431", count);
    trial.shows("most that one could send, KiB", most / 1024);
    trial.holds("that is less than it had", most < SENT_AT_MOST);
    let dripping = ENDLESS.iter().map(|(first, more)| drip(scene.address(), first, more));
    let dripped = join_all(dripping).await.into_iter().collect::<Result<Vec<_>>>()?;
    let longest = dripped.into_iter().max().unwrap_or_default();
    trial.in_time("one that goes on slowly is cut off by, s", longest.as_secs_f64(), 1.5);
    trial.shows("memory held, MiB", format!("{:.2}", scene.growth()? / MIB));
    scene.leave(trial).await
}

/// Sends until it is cut off, and reads at the same time. How much it could send.
async fn pour(address: SocketAddr, first: &str, more: &str) -> Result<usize> {
    let mut raw = Raw::dial(address).await?;
    let piece = more.repeat(16 * 1024 / more.len());
    let (mut reading, mut writing) = raw.0.split();
    let pouring = async {
        let mut sent = first.len();
        let _ = writing.write_all(first.as_bytes()).await;
        while sent < SENT_AT_MOST && writing.write_all(piece.as_bytes()).await.is_ok() {
            sent += piece.len();
        }
        sent
    };
    let reading = async {
        let mut said = Vec::new();
        // Cut off with input unread, it may end in a reset.
        let _ = reading.read_to_end(&mut said).await;
        said
    };
    let both = async { tokio::join!(pouring, reading) };
    let (sent, said) = timeout(Duration::from_secs(10), both).await.context("not cut off")?;
    check(&said)?;
    Ok(sent)
}

/// Sends one head that is too large, and goes on slowly. From the answer to the end.
async fn drip(address: SocketAddr, first: &str, more: &str) -> Result<Duration> {
    let mut raw = Raw::dial(address).await?;
    let head = [first, &more.repeat(8 * 1024 / more.len() + 1)].concat();
    raw.say(head.as_bytes()).await?;
    check(raw.head().await?.as_bytes())?;
    let began = Instant::now();
    let end = began + Duration::from_secs(5);
    while raw.0.write_all(more.as_bytes()).await.is_ok() {
        ensure!(Instant::now() < end, "not cut off after its answer");
        sleep(Duration::from_millis(10)).await;
    }
    Ok(began.elapsed())
}

fn check(said: &[u8]) -> Result<()> {
    ensure!(
        said.starts_with(b"HTTP/1.0 431 "),
        "told {:?}",
        said[..said.len().min(200)].escape_ascii().to_string()
    );
    Ok(())
}

/// Whole heads with so many headers, one connection after another.
pub(super) async fn header_floods(trial: &mut Trial) -> Result<()> {
    let scene = Scene::set(trial).await?;
    let rounds = trial.size(2_000, 100);
    let attack = async {
        for _ in 0..rounds {
            for (headers, line, status) in [
                (64, "X: y\r\n", 200),
                (65, "X: y\r\n", 431),
                (500, "X: y\r\n", 431),
                (2_000, "a:\r\n", 431),
                (2_700, "a:\n", 431),
                // So small that it is not the size that decides.
                (65, "a:\n", 431),
                (64, "Rpc-Window: 65536\n", 200),
            ] {
                let mut raw = Raw::dial(scene.address()).await?;
                raw.say(format!("CONNECT /_rpc_ HTTP/1.0\r\n{}\r\n", line.repeat(headers)).as_bytes())
                    .await?;
                let head = raw.head().await?;
                let expected = format!("HTTP/1.0 {status} ");
                ensure!(
                    head.starts_with(&expected),
                    "{headers} times {line:?} are told {:?}",
                    head.lines().next()
                );
            }
        }
        Ok(())
    };
    let (told, ratio) = tokio::join!(attack, scene.neighbour(trial));
    told?;
    ratio?;
    trial.shows("heads, all told what they have to be", rounds * 7);
    trial.in_memory("memory held, MiB", scene.growth()? / MIB, 2.0);
    scene.leave(trial).await
}
