//! Everything that a seed decides.

use std::ops::Range;
use std::time::Duration;

/// Numbers that look random; the same seed gives the same ones.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// One of the numbers in the range, which is not empty.
    pub(crate) fn within(&mut self, range: Range<u64>) -> u64 {
        self.0 = mix(self.0);
        range.start + self.0 % (range.end - range.start)
    }

    /// Whether it is the one time in so many.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.within(0..times) == 0
    }

    pub(crate) fn millis(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.within(range))
    }
}

/// The next number of splitmix64. Different numbers give different ones.
pub(crate) const fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
