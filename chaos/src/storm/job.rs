//! What each number stands for: a call or a stream, which client, server and judge know alike.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::dice::{Dice, mix};

/// How much longer than its time a call may take until it counts as hung.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// The time of most calls, longer than any harm lasts.
const TIME: u64 = 10_000;

/// All that is asked in a phase: the streams are spread evenly among the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) calls: u64,
    pub(crate) streams: u64,
}

/// As servers are asked it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) number: u64,
    pub(crate) kind: Kind,
    /// How many items there are in each direction that has some.
    pub(crate) items: u32,
    /// Bytes of each.
    pub(crate) size: u32,
    /// The handler waits so many milliseconds, once or after each few items.
    pub(crate) linger: u32,
    /// Milliseconds that the caller gives it.
    pub(crate) time: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// A call that may run once.
    Once,
    /// One that may be made again.
    Again,
    Server,
    Client,
    Bidi,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [Self::Once, Self::Again, Self::Server, Self::Client, Self::Bidi];

    pub(crate) fn sends(self) -> bool {
        matches!(self, Self::Client | Self::Bidi)
    }

    pub(crate) fn answers(self) -> bool {
        matches!(self, Self::Server | Self::Bidi)
    }
}

impl Plan {
    /// Numbers are below this.
    pub(crate) fn total(&self) -> u64 {
        self.calls + self.streams
    }

    pub(crate) fn job(&self, number: u64) -> Job {
        let mut dice = Dice::new(self.seed ^ mix(number));
        let streams_before =
            |number: u64| u128::from(number) * u128::from(self.streams) / u128::from(self.total());
        let time = if dice.once_in(32) { dice.within(5..100) } else { TIME } as u32;
        if streams_before(number) == streams_before(number + 1) {
            let kind = if dice.once_in(8) { Kind::Again } else { Kind::Once };
            let linger = if dice.once_in(4) { dice.within(1..30) } else { 0 } as u32;
            return Job { number, kind, items: 0, size: 0, linger, time };
        }
        let kind = [Kind::Server, Kind::Client, Kind::Bidi][dice.within(0..3) as usize];
        let (items, size) = match dice.within(0..100) {
            0..5 => (0, 0),
            5..77 => (dice.within(1..40), dice.within(0..64)),
            77..97 => (dice.within(200..500), dice.within(0..100)),
            // Several of them are more than a window.
            _ => (dice.within(10..30), dice.within(20_000..100_000)),
        };
        let linger = if dice.once_in(4) { dice.within(1..30) } else { 0 } as u32;
        Job { number, kind, items: items as u32, size: size as u32, linger, time }
    }
}

impl Job {
    pub(crate) fn time(&self) -> Duration {
        Duration::from_millis(u64::from(self.time))
    }

    pub(crate) fn linger(&self) -> Duration {
        Duration::from_millis(u64::from(self.linger))
    }

    /// The one answer of a call or a client's stream; 0 where items are the answer.
    pub(crate) fn answer(&self) -> u64 {
        match self.kind {
            Kind::Once | Kind::Again => mix(self.number),
            Kind::Client => (0..self.items).fold(0, |sum, at| add(sum, self.word(at))),
            Kind::Server | Kind::Bidi => 0,
        }
    }

    /// The item of this place. No other item of any job is like it, if it has eight bytes.
    pub(crate) fn item(&self, at: u32) -> Bytes {
        let word = self.word(at);
        let mut item = vec![word as u8; self.size as usize];
        for (byte, of_word) in item.iter_mut().zip(word.to_le_bytes()) {
            *byte = of_word;
        }
        item.into()
    }

    /// What item `at` adds to the answer of a client's stream.
    pub(crate) fn word(&self, at: u32) -> u64 {
        mix(self.number << 20 ^ u64::from(at))
    }
}

/// A sum that depends on the order.
pub(crate) fn add(sum: u64, word: u64) -> u64 {
    mix(sum ^ word)
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.seed, self.calls, self.streams)
    }
}

impl FromStr for Plan {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let mut numbers = text.split(':').map(str::parse);
        let mut next = || numbers.next().context("a number is missing");
        Ok(Self { seed: next()??, calls: next()??, streams: next()?? })
    }
}
