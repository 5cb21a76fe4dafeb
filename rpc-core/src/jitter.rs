//! Times that differ a little, so that many do not act as one.

use std::time::Duration;

/// A sequence of random variations: splitmix64. The same seed gives the same sequence, so that a
/// simulation replays.
#[derive(Clone, Debug)]
pub struct Jitter {
    state: u64,
}

impl Jitter {
    /// The sequence that begins with `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// `time`, up to `share` of it more or less: `0.2` for 20 %.
    pub fn vary(&mut self, time: Duration, share: f64) -> Duration {
        let whole = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        let factor = 1.0 + share * (2.0 * whole - 1.0);
        Duration::try_from_secs_f64(time.as_secs_f64() * factor).unwrap_or(time)
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_varies_within_its_share_and_the_seed_decides_how() {
        let second = Duration::from_secs(1);
        let vary = |seed| {
            let mut jitter = Jitter::new(seed);
            (0..1000).map(|_| jitter.vary(second, 0.2)).collect::<Vec<_>>()
        };
        let times = vary(7);
        assert_eq!(times, vary(7));
        assert_ne!(times, vary(8));
        assert!(times.iter().all(|time| (800..=1200).contains(&time.as_millis())));
        let (low, high) = (times.iter().min().unwrap(), times.iter().max().unwrap());
        assert!(low.as_millis() < 820 && high.as_millis() > 1180, "{low:?} {high:?}");
    }
}
