//! Whether the other side is still there, when it says nothing.

use std::time::{Duration, Instant};

/// Asks a silent peer whether it is there, and tells when it does not answer.
///
/// Any byte is a sign of life. Reads no clock and keeps no timer: whoever owns the connection says
/// what happened when, and asks [`check`](Self::check) when [`due`](Self::due) has come.
#[derive(Debug)]
pub struct Liveness {
    interval: Option<Duration>,
    answer: Duration,
    heard: Instant,
    asked: Option<Asked>,
    /// How often the peer was asked since it closed its side: it cannot answer, and a failing write
    /// tells that it is gone.
    mute: Option<u32>,
}

/// A process that is dead answers the first bytes with a reset, at which the next ones fail. So a peer
/// that has closed its side is asked twice after so short a time; one that only waits for its answers
/// mostly has them by then.
const FIRST_ASKS: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Asked {
    since: Instant,
    /// The Ping has left. Until then the time runs from the last byte that was taken.
    left: bool,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Nothing before the next [`due`](Liveness::due).
    Alive,
    /// Send a Ping.
    Ask,
    /// Nobody answered in time: the connection is lost.
    Dead,
}

impl Liveness {
    /// Asks after `interval` of silence, and takes the peer for dead when it says nothing within
    /// `answer` after that. `None`: never asks.
    #[must_use]
    pub fn new(interval: Option<Duration>, answer: Duration, now: Instant) -> Self {
        Self { interval, answer, heard: now, asked: None, mute: None }
    }

    /// Bytes came.
    pub fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.asked = None;
    }

    /// The peer will send nothing more. From now on it is asked (twice after a second, then every
    /// interval) and not expected to answer.
    pub fn fell_silent(&mut self, now: Instant) {
        self.heard(now);
        self.mute = Some(0);
    }

    /// Whether a Ping waits for its answer, so that [`wrote`](Self::wrote) is of interest.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        self.asked.as_ref().is_some_and(|asked| !asked.left)
    }

    /// The transport took bytes; `all` that there were. A Ping behind a large body has not been
    /// asked yet.
    pub fn wrote(&mut self, now: Instant, all: bool) {
        if let Some(asked) = self.asked.as_mut().filter(|asked| !asked.left) {
            asked.since = now;
            asked.left = all;
        }
    }

    /// When to [`check`](Self::check) next.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let interval = self.interval?;
        match (&self.asked, self.mute) {
            (Some(asked), _) => asked.since.checked_add(self.answer),
            (None, Some(0 | 1)) => self.heard.checked_add(interval.min(FIRST_ASKS)),
            (None, _) => self.heard.checked_add(interval),
        }
    }

    /// What is to be done at `now`.
    pub fn check(&mut self, now: Instant) -> Check {
        if self.due().is_none_or(|due| now < due) {
            return Check::Alive;
        }
        if let Some(times) = &mut self.mute {
            *times = times.saturating_add(1);
            self.heard = now;
            return Check::Ask;
        }
        if self.asked.is_some() {
            return Check::Dead;
        }
        self.asked = Some(Asked { since: now, left: false });
        Check::Ask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(start: Instant, seconds: u32) -> Instant {
        start + SECOND * seconds
    }

    fn asks_after_30_waits_10() -> (Liveness, Instant) {
        let start = Instant::now();
        (Liveness::new(Some(SECOND * 30), SECOND * 10, start), start)
    }

    #[test]
    fn a_silent_peer_is_asked_and_then_dead() {
        let (mut peer, start) = asks_after_30_waits_10();
        assert_eq!(peer.check(at(start, 29)), Check::Alive);
        assert_eq!(peer.check(at(start, 30)), Check::Ask);
        peer.wrote(at(start, 30), true);
        assert_eq!((peer.due(), peer.check(at(start, 39))), (Some(at(start, 40)), Check::Alive));
        assert_eq!(peer.check(at(start, 40)), Check::Dead);
    }

    #[test]
    fn any_byte_is_a_sign_of_life() {
        let (mut peer, start) = asks_after_30_waits_10();
        assert_eq!(peer.check(at(start, 30)), Check::Ask);
        peer.heard(at(start, 35));
        assert_eq!((peer.check(at(start, 64)), peer.due()), (Check::Alive, Some(at(start, 65))));
    }

    #[test]
    fn the_time_to_answer_begins_when_the_ping_has_left() {
        let (mut peer, start) = asks_after_30_waits_10();
        assert_eq!(peer.check(at(start, 30)), Check::Ask);
        peer.wrote(at(start, 38), false);
        assert_eq!(peer.check(at(start, 47)), Check::Alive);
        peer.wrote(at(start, 47), true);
        peer.wrote(at(start, 56), true);
        assert_eq!(peer.check(at(start, 57)), Check::Dead);
    }

    #[test]
    fn a_peer_that_takes_nothing_is_dead_before_the_ping_has_left() {
        let (mut peer, start) = asks_after_30_waits_10();
        assert_eq!(peer.check(at(start, 30)), Check::Ask);
        assert_eq!(peer.check(at(start, 40)), Check::Dead);
    }

    #[test]
    fn a_peer_that_has_closed_its_side_is_asked_twice_after_a_second_and_then_for_ever() {
        let (mut peer, start) = asks_after_30_waits_10();
        peer.fell_silent(at(start, 10));
        assert_eq!(peer.check(at(start, 10)), Check::Alive);
        assert_eq!(peer.check(at(start, 11)), Check::Ask);
        assert_eq!(peer.check(at(start, 12)), Check::Ask);
        for round in 1..100 {
            assert_eq!(peer.check(at(start, 11 + 30 * round)), Check::Alive);
            assert_eq!(peer.check(at(start, 12 + 30 * round)), Check::Ask);
        }
    }

    #[test]
    fn without_an_interval_nothing_is_asked() {
        let start = Instant::now();
        let mut peer = Liveness::new(None, SECOND, start);
        assert_eq!((peer.due(), peer.check(at(start, 1_000_000))), (None, Check::Alive));
    }
}
