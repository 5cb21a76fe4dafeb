//! Bodies that claim more than they are.

mod bombs;

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use examples::Args;
use rpc_core::{Body, Format};
use tests::Frame;
use tokio::time::Instant;

use crate::attack::{Attack, Trial};
use crate::memory::{self, MIB};
use crate::raw::Raw;
use crate::scene::Scene;
use bombs::{Bomb, Ends, bombs};

pub(crate) const ATTACKS: &[Attack] = &[Attack {
    name: "bodies",
    aim: "L16, L17: a body that is none fails its call, at once, and takes no more memory than it has bytes",
    run: |trial| Box::pin(bodies(trial)),
}];

/// What a frame has room for, with the head of its request.
const ROOM: usize = 4 * 1024 * 1024 - 100;

/// From the last byte of a body that claims what it does not have to the refusal.
const AT_ONCE_MS: f64 = 10.0;

/// The same for a body that is as large as it says: 4 million elements take their 96 MiB from the kernel first. With any
/// work that grows faster than the bytes it is minutes.
const READ_MS: f64 = 500.0;

/// Of an answer, whatever its call quoted.
const MOST_SAID: usize = 1024;

/// What one body may take while it is decoded: a vector of empty strings has 24 bytes for each of the body, and its
/// frame is there besides.
const MOST_MIB: f64 = 24.0 * 4.0 + 32.0;

/// One after another on one connection for each format, each followed by an honest call.
async fn bodies(trial: &mut Trial) -> Result<()> {
    let scene = Scene::set(trial).await?;
    let before = memory::resident(scene.pid())?;
    let (mut light, mut heavy, mut count) = (Slowest::default(), Slowest::default(), 0);
    for format in [Format::Bincode, Format::Json] {
        let mut peer = Peer::enter(&scene, format).await?;
        for bomb in bombs(format, trial.size(ROOM, ROOM / 16)) {
            count += 1;
            let name = format!("{} in {}", bomb.name, format.name());
            match peer.median(&bomb, trial.size(5, 1)).await {
                Ok(time) if bomb.ends == Ends::AtOnce => light.see(time, name),
                Ok(time) => heavy.see(time, name),
                Err(error) => {
                    trial.miss(&format!("{name}: {error:#}"));
                    peer = Peer::enter(&scene, format).await?;
                }
            }
        }
    }
    trial.shows("bodies", count);
    trial.shows("the slowest of what is refused unread", &light);
    trial.shows("the slowest of what has to be read", &heavy);
    // A debug build shows that they fail, and not how fast.
    if !cfg!(debug_assertions) {
        trial.at_most("refused unread within, ms", light.time.as_secs_f64() * 1e3, AT_ONCE_MS);
        trial.at_most("read within, ms", heavy.time.as_secs_f64() * 1e3, READ_MS);
    }
    let peak = memory::peak(scene.pid())?.saturating_sub(before) as f64;
    trial.at_most("memory at its peak, MiB", peak / MIB, MOST_MIB);
    scene.neighbour(trial).await?;
    scene.leave(trial).await
}

#[derive(Default)]
struct Slowest {
    time: Duration,
    name: String,
}

impl Slowest {
    fn see(&mut self, time: Duration, name: String) {
        if time > self.time {
            *self = Self { time, name };
        }
    }
}

impl fmt::Display for Slowest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} ms, {}", self.time.as_secs_f64() * 1e3, self.name)
    }
}

/// A connection, and the calls made on it.
struct Peer {
    raw: Raw,
    format: Format,
    calls: u64,
}

impl Peer {
    async fn enter(scene: &Scene, format: Format) -> Result<Self> {
        let raw = Raw::enter(scene.address(), &format!("Rpc-Format: {}\r\n", format.name())).await?;
        Ok(Self { raw, format, calls: 0 })
    }

    async fn median(&mut self, bomb: &Bomb, times: usize) -> Result<Duration> {
        let mut took = Vec::new();
        for _ in 0..times {
            took.push(self.drop_on(bomb).await?);
            self.next_call().await.context("the call behind it")?;
        }
        took.sort_unstable();
        Ok(took[times / 2])
    }

    /// From the last byte of the body to the answer.
    async fn drop_on(&mut self, bomb: &Bomb) -> Result<Duration> {
        let id = self.say(bomb.method, &bomb.body).await?;
        let said = Instant::now();
        let answer = self.raw.answer().await?.context("closed")?;
        let took = said.elapsed();
        ensure!(answer.id == id, "the answer of another call");
        ensure!(answer.body.len() <= MOST_SAID, "an answer of {} bytes", answer.body.len());
        if bomb.ends == Ends::InAnAnswer {
            ensure!(answer.kind == Frame::RESPONSE, "a value, answered with kind {}", answer.kind);
        } else {
            ensure!(answer.kind == Frame::STATUS, "answered with kind {}", answer.kind);
            let (code, executed, text) = answer.status();
            ensure!((code, executed) == (3, 0), "code {code}, executed {executed}: {text}");
        }
        Ok(took)
    }

    async fn next_call(&mut self) -> Result<()> {
        let mut args = Vec::new();
        self.format.encode(&Args { a: 6, b: 7 }, &mut args)?;
        let id = self.say("Arith.Multiply", &args).await?;
        let answer = self.raw.answer().await?.context("closed")?;
        ensure!(answer.kind == Frame::RESPONSE && answer.id == id, "answered {answer:?}");
        ensure!(self.format.decode::<i64>(Body::Borrowed(&answer.body))? == 42, "6 times 7 is not 42");
        Ok(())
    }

    async fn say(&mut self, method: &str, args: &[u8]) -> Result<u64> {
        self.calls += 1;
        let mut request = Frame::request(self.calls, method, &());
        request.body.extend_from_slice(args);
        self.raw.send(&request).await?;
        Ok(request.id)
    }
}
