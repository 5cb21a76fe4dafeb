//! What a peer may ask for beyond what it pays for.

use std::time::{Duration, Instant};

/// Control frames that may come at once.
const BURST: u32 = 1000;

/// One more every so often: 33 per second.
const REFILL: Duration = Duration::from_millis(30);

/// A bucket of control frames, refilled by time.
///
/// Only the excess draws on it: each request pays for one Cancel of its own, each Ping for its Pong, each
/// stream that is over for what may still be on its way, and one Ping per second is free.
#[derive(Debug)]
pub(crate) struct Budget {
    burst: u32,
    left: u32,
    refilled: Option<Instant>,
    paid_cancels: u32,
    paid_pongs: u32,
    /// Cost of Data and End for streams that are over.
    paid_late: u64,
    paid_credits: u32,
    free_ping: Option<Instant>,
}

impl Budget {
    pub(crate) const fn new() -> Self {
        Self::of(BURST)
    }

    /// For what this side sends: what leaves here evenly may arrive in heaps.
    pub(crate) const fn half() -> Self {
        Self::of(BURST / 2)
    }

    const fn of(burst: u32) -> Self {
        Self {
            burst,
            left: burst,
            refilled: None,
            paid_cancels: 0,
            paid_pongs: 0,
            paid_late: 0,
            paid_credits: 0,
            free_ping: None,
        }
    }

    /// A request came: it pays for one Cancel.
    pub(crate) fn pay_cancel(&mut self) {
        self.paid_cancels = self.paid_cancels.saturating_add(1);
    }

    /// Whether one more Cancel is fair.
    pub(crate) fn cancel(&mut self, now: Instant) -> bool {
        take_one(&mut self.paid_cancels) || self.draw(now)
    }

    /// A stream is over, or was refused: it pays for so much of Data and End, and so many Credits.
    pub(crate) fn pay_late(&mut self, cost: u64, credits: u32) {
        self.paid_late = self.paid_late.saturating_add(cost);
        self.paid_credits = self.paid_credits.saturating_add(credits);
    }

    /// Whether one more Data or End of a stream that is over is fair.
    pub(crate) fn late(&mut self, cost: u64, now: Instant) -> bool {
        let left = self.paid_late.checked_sub(cost);
        self.paid_late = left.unwrap_or(self.paid_late);
        left.is_some() || self.draw(now)
    }

    /// Whether one more Credit of a stream that is over is fair.
    pub(crate) fn late_credit(&mut self, now: Instant) -> bool {
        take_one(&mut self.paid_credits) || self.draw(now)
    }

    /// A Ping went out: it pays for one Pong.
    pub(crate) fn pay_pong(&mut self) {
        self.paid_pongs = self.paid_pongs.saturating_add(1);
    }

    /// Whether one more Pong is fair.
    pub(crate) fn pong(&mut self, now: Instant) -> bool {
        take_one(&mut self.paid_pongs) || self.ping(now)
    }

    /// Whether one more Ping is fair.
    pub(crate) fn ping(&mut self, now: Instant) -> bool {
        if self.free_ping.is_none_or(|next| now >= next) {
            self.free_ping = Some(now + Duration::from_secs(1));
            return true;
        }
        self.draw(now)
    }

    /// Whether one more frame that nothing pays for is fair.
    pub(crate) fn draw(&mut self, now: Instant) -> bool {
        let since = *self.refilled.get_or_insert(now);
        let earned = now.saturating_duration_since(since).as_nanos() / REFILL.as_nanos();
        let earned = u32::try_from(earned).unwrap_or(u32::MAX);
        if earned > 0 {
            self.left = self.burst.min(self.left.saturating_add(earned));
            // What is left of a step counts for the next: otherwise heaps in bad moments earn half.
            self.refilled = since.checked_add(REFILL.saturating_mul(earned)).or(Some(now));
        }
        take_one(&mut self.left)
    }
}

fn take_one(left: &mut u32) -> bool {
    let enough = *left > 0;
    *left -= u32::from(enough);
    enough
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paid_cancels_and_a_ping_per_second_are_free() {
        let (mut budget, start) = (Budget::new(), Instant::now());
        for second in 0..5000 {
            budget.pay_cancel();
            assert!(budget.cancel(start) && budget.ping(start + Duration::from_secs(second)));
        }
        assert_eq!(budget.left, BURST);
    }

    #[test]
    fn the_excess_ends_after_the_burst_and_comes_back_at_33_per_second() {
        let (mut budget, start) = (Budget::new(), Instant::now());
        assert_eq!((0..5000).filter(|_| budget.cancel(start)).count(), 1000);
        let later = start + Duration::from_secs(1);
        assert_eq!((0..5000).filter(|_| budget.draw(later)).count(), 33);
    }

    #[test]
    fn what_leaves_this_side_has_half_the_burst() {
        let (mut budget, now) = (Budget::half(), Instant::now());
        assert_eq!((0..5000).filter(|_| budget.draw(now)).count(), 500);
    }

    #[test]
    fn pings_that_one_side_spaces_fairly_are_fair_when_they_come_in_heaps() {
        let (mut ours, mut theirs, start) = (Budget::half(), Budget::new(), Instant::now());
        let mut sent = 0;
        for millis in 0..600_000 {
            let now = start + Duration::from_millis(millis);
            sent += u32::from(ours.ping(now));
            // A network that holds back what comes within 50 ms.
            if millis % 50 == 49 {
                assert!((0..std::mem::take(&mut sent)).all(|_| theirs.ping(now)), "after {millis} ms");
            }
        }
    }
}
