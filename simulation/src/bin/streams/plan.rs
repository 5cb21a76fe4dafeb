//! A schedule, as its seed decides it.

use std::ops::Range;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rpc_core::stream::Shape;

use crate::pipe::Manners;

/// When those who wait to be told are told.
pub(crate) const RELEASE: Duration = Duration::from_secs(20);

/// A call that is made by then is answered before that, though all streams stand still.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Everything ends within this: far more than all pauses of the longest schedule.
pub(crate) const LONGEST: Duration = Duration::from_secs(3600);

/// The smallest that can be announced.
const SMALLEST: u32 = 64 * 1024;

/// What an item has beside its bytes, at the most: their length, its stream and its place.
pub(crate) const HEAD: u32 = 32;

/// All that is decided before a schedule begins.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) client: Side,
    pub(crate) server: Side,
    /// Streams at once that the server takes.
    pub(crate) max_streams: u32,
    /// Calls at once that the server takes.
    pub(crate) max_calls: u32,
    pub(crate) streams: Vec<Stream>,
    pub(crate) calls: Vec<Call>,
    pub(crate) manners: Manners,
    pub(crate) ending: Ending,
}

/// What one side announces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side {
    pub(crate) window: u32,
    pub(crate) max_frame: u32,
}

/// How the connection ends, after so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// When nothing is left to do.
    Idle,
    Cut(Duration),
    /// After so many bytes.
    CutAt(u64),
    Drain(Duration, Duration),
    Close(Duration),
}

/// What the items of a stream are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Bytes, which go by reference when they are many.
    Bytes,
    /// A struct.
    Parcel,
    /// Nothing at all: no byte on the wire.
    Unit,
}

/// One stream.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) shape: Shape,
    pub(crate) kind: Kind,
    pub(crate) spawned: bool,
    pub(crate) start: Duration,
    /// From the client, if any.
    pub(crate) up: Way,
    /// From the server, if any.
    pub(crate) down: Way,
    pub(crate) timeout: Option<Duration>,
    pub(crate) idle_timeout: Option<Duration>,
    /// The caller drops all it has of the call.
    pub(crate) dropped: Option<Duration>,
    /// The call that it was made within is cancelled.
    pub(crate) parent: Option<Duration>,
    /// The sender is dropped after so many items.
    pub(crate) unfinished: Option<usize>,
    /// The caller stops to read after so many items.
    pub(crate) stops: Option<usize>,
    pub(crate) input: Input,
    /// The handler fails: before it answers, or after so many items.
    pub(crate) fails: Option<usize>,
}

/// What a handler does with its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Takes it, then answers.
    First,
    /// Takes it in a task of its own, which may be longer there than the handler.
    Beside,
    /// Drops it after so many items.
    Some(usize),
    /// Holds it and takes nothing.
    Holds,
}

/// The items of one direction, and who is when slow with them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Way {
    pub(crate) items: Vec<u32>,
    pub(crate) producer: Pace,
    pub(crate) consumer: Pace,
}

/// How fast somebody is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pace {
    pub(crate) seed: u64,
    /// How often there is a pause before an item, and how long it is at the most.
    pub(crate) pauses: (f64, Duration),
    /// How often it is tried for a moment only, and then again.
    pub(crate) impatient: f64,
    /// Before which item it stops for long.
    pub(crate) stall: Option<(usize, Stall)>,
}

/// A long stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stall {
    For(Duration),
    /// For ever, until it is told to go on.
    UntilTold,
}

/// A call without a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) start: Duration,
    pub(crate) work: Duration,
    pub(crate) len: usize,
}

impl Plan {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let rng = &mut rng;
        // Every stream is to be stalled with more than its window holds.
        let jam = rng.random_bool(0.02);
        let count = match rng.random_range(0..10) {
            0..6 => rng.random_range(1..=8),
            6..9 => rng.random_range(1..=25),
            _ => rng.random_range(1..=50),
        };
        let [client, server] = [(); 2].map(|()| Side {
            window: match rng.random_range(0..10) {
                0..5 => SMALLEST,
                5..9 => rng.random_range(SMALLEST..4 * SMALLEST),
                _ => 1 << 20,
            },
            max_frame: match rng.random_range(0..10) {
                0 if !jam => SMALLEST,
                0..3 => 1 << 20,
                _ => 4 << 20,
            },
        });
        // How many bytes there are, about: most schedules are small.
        let budget = match rng.random_range(0..100) {
            _ if jam => 400_000 * count as u64,
            0..60 => rng.random_range(1_000..300_000),
            60..95 => rng.random_range(200_000..3_000_000),
            _ => rng.random_range(3_000_000..10_000_000),
        };
        let mut maker = Maker { jam, share: budget / count as u64, client, server };
        let calm = rng.random_bool(0.3);
        let streams: Vec<_> = (0..count).map(|_| maker.stream(rng, calm)).collect();
        let bytes = streams.iter().flat_map(|one| one.up.items.iter().chain(&one.down.items));
        let bytes = bytes.map(|len| u64::from(*len)).sum::<u64>().max(budget);
        let calls = (0..rng.random_range(0..6)).map(|_| Call {
            start: millis(rng, 0..25_000),
            work: if rng.random_bool(0.5) { Duration::ZERO } else { millis(rng, 0..100) },
            len: if rng.random_bool(0.8) { rng.random_range(0..100) } else { rng.random_range(0..50_000) },
        });
        Self {
            seed,
            calls: calls.collect(),
            client,
            server,
            max_streams: if rng.random_bool(0.1) { rng.random_range(1..=30) } else { 256 },
            max_calls: if !jam && rng.random_bool(0.1) { rng.random_range(1..=10) } else { 1024 },
            streams,
            manners: Manners::random(rng, bytes),
            ending: match rng.random_range(0..100) {
                _ if jam => Ending::Idle,
                0..4 => Ending::Cut(millis(rng, 0..3_000)),
                4..8 => Ending::CutAt(rng.random_range(0..2 * bytes)),
                8..12 => Ending::Drain(millis(rng, 0..22_000), millis(rng, 0..30_000)),
                12..16 => Ending::Close(millis(rng, 0..22_000)),
                _ => Ending::Idle,
            },
        }
    }

    /// What the receiver of that direction announced.
    pub(crate) fn receiver(&self, up: bool) -> Side {
        if up { self.server } else { self.client }
    }

    /// What the server's streams may hold at the most, and its calls beside that: its limit of memory.
    pub(crate) fn memory(&self) -> usize {
        let streams = self.streams.iter().map(|stream| {
            let largest = stream.up.items.iter().copied().max().unwrap_or_default() + HEAD;
            // A part of 64 KiB costs 32 bytes, and a call 1 KiB with what is known of it.
            self.server.window as usize + largest as usize + 32 + 2048
        });
        streams.chain(self.calls.iter().map(|call| call.len + 2048)).sum()
    }
}

struct Maker {
    jam: bool,
    share: u64,
    client: Side,
    server: Side,
}

impl Maker {
    fn stream(&mut self, rng: &mut SmallRng, calm: bool) -> Stream {
        let shape = [Shape::Server, Shape::Client, Shape::Bidi][rng.random_range(0..3)];
        let kind = match rng.random_range(0..10) {
            0 if !self.jam => Kind::Unit,
            0..7 => Kind::Bytes,
            _ => Kind::Parcel,
        };
        let up = if shape.sends() { self.way(rng, kind, self.server) } else { Way::default() };
        let down = if shape.answers() { self.way(rng, kind, self.client) } else { Way::default() };
        let troubled = !self.jam && !calm;
        let mut often = |share: f64| troubled && rng.random_bool(share);
        let [timed, idle, dropped, parent, unfinished, stops, fails] =
            [0.08, 0.06, 0.08, 0.03, 0.06, 0.08, 0.08].map(&mut often);
        let items = up.items.len().max(down.items.len()) + 1;
        Stream {
            shape,
            kind,
            spawned: rng.random_bool(0.3),
            start: if rng.random_bool(0.5) { Duration::ZERO } else { millis(rng, 0..2_000) },
            timeout: timed.then(|| millis(rng, 0..25_000)),
            idle_timeout: (idle && shape.answers()).then(|| millis(rng, 1..15_000)),
            dropped: dropped.then(|| millis(rng, 0..3_000)),
            parent: parent.then(|| millis(rng, 0..3_000)),
            unfinished: (unfinished && shape.sends()).then(|| rng.random_range(0..items)),
            stops: stops.then(|| rng.random_range(0..items)),
            input: match rng.random_range(0..20) {
                _ if self.jam => Input::Beside,
                0..9 => Input::First,
                9..17 => Input::Beside,
                17..19 => Input::Some(rng.random_range(0..items)),
                _ => Input::Holds,
            },
            fails: fails.then(|| rng.random_range(0..items)),
            up,
            down,
        }
    }

    fn way(&self, rng: &mut SmallRng, kind: Kind, receiver: Side) -> Way {
        let (most, window) = (receiver.max_frame - HEAD, receiver.window);
        let mut items = Vec::new();
        if self.jam {
            let len = (window + rng.random_range(1..2 * window)).min(most);
            items.extend((0..rng.random_range(2..4)).map(|_| len));
        } else {
            let mut left = self.share.saturating_add(32);
            let at_most = match rng.random_range(0..10) {
                0 => 0,
                1..7 => 20,
                7..9 => 100,
                _ => 400,
            };
            while items.len() < at_most && left > 0 {
                let len = match rng.random_range(0..100) {
                    _ if kind == Kind::Unit => 0,
                    0..10 => 0,
                    10..60 => rng.random_range(0..200),
                    60..85 => rng.random_range(200..5_000),
                    85..95 => rng.random_range(5_000..80_000),
                    // A part is 64 KiB, with the length of the item in it.
                    95..98 => rng.random_range(1..4) * 65_536 - rng.random_range(0..16) + 8,
                    98 => rng.random_range(window / 2..4 * window),
                    _ => most + 2 * HEAD + rng.random_range(0..1000),
                };
                let len = if u64::from(len) > left * 2 { len % 1000 } else { len };
                // Either clearly within the limit or clearly over it.
                let len = if (most + 1..most + 2 * HEAD).contains(&len) { most } else { len };
                left = left.saturating_sub(u64::from(len) + 32);
                items.push(len);
            }
        }
        let stall = if self.jam { Some((0, Stall::UntilTold)) } else { None };
        let count = items.len();
        let mut producer = pace(rng, count, None);
        if self.jam {
            producer.stall = None;
        }
        Way { items, producer, consumer: pace(rng, count, stall) }
    }
}

fn pace(rng: &mut SmallRng, items: usize, stall: Option<(usize, Stall)>) -> Pace {
    let share = [0.0, 0.0, 0.1, 0.5][rng.random_range(0..4)];
    let longest = millis(rng, 1..300);
    let stall = stall.or_else(|| {
        let stall = match rng.random_range(0..100) {
            0..10 => Stall::For(millis(rng, 1..10_000)),
            10..20 => Stall::UntilTold,
            _ => return None,
        };
        Some((rng.random_range(0..=items), stall))
    });
    let impatient = if rng.random_bool(0.2) { 0.3 } else { 0.0 };
    Pace { seed: rng.random(), pauses: (share, longest), impatient, stall }
}

/// A time of so many milliseconds.
pub(crate) fn millis(rng: &mut SmallRng, range: Range<u64>) -> Duration {
    Duration::from_millis(rng.random_range(range))
}
