//! Credit: how much one direction of a stream may still carry.

use crate::error::ProtocolError;

/// What an item costs beside its bytes, so that empty ones are not free.
pub const ITEM_COST: u32 = 32;

/// The most credit that there can be.
pub const MAX_CREDIT: u32 = i32::MAX as u32;

/// What an item of `len` bytes costs.
#[inline]
pub(crate) fn cost(len: usize) -> u64 {
    len as u64 + u64::from(ITEM_COST)
}

/// What a Data frame costs that comes for a stream that is over: as much as the one item in it.
pub(crate) fn late(body: usize) -> u64 {
    body as u64 + u64::from(ITEM_COST)
}

/// What an item over the credit may cost so, in as many frames as it comes in.
pub(crate) fn late_item(max_frame: u32) -> u64 {
    2 * u64::from(max_frame)
}

/// What the peer lets this side send.
#[derive(Debug)]
pub(crate) struct Credit {
    left: i64,
    /// The peer's window, of which it consumes half before it sends a Credit.
    half: u64,
    /// Cost of all that was sent, which pays for the peer's Credits.
    sent: u64,
    credits: u64,
}

impl Credit {
    pub(crate) fn new(window: u32) -> Self {
        Self { left: window.into(), half: u64::from(window / 2).max(1), sent: 0, credits: 0 }
    }

    /// How much is left. While it is more than 0 an item may begin, whatever that costs.
    pub(crate) fn left(&self) -> i64 {
        self.left
    }

    pub(crate) fn may_begin(&self) -> bool {
        self.left > 0
    }

    pub(crate) fn charge(&mut self, cost: u64) {
        self.left -= cost as i64;
        self.sent += cost;
    }

    /// Takes a Credit; whether it was paid for.
    pub(crate) fn add(&mut self, increment: u32) -> Result<bool, ProtocolError> {
        let left = self.left + i64::from(increment);
        if increment == 0 || left > MAX_CREDIT.into() {
            return Err(ProtocolError::BadCredit { increment });
        }
        self.left = left;
        self.credits += 1;
        Ok(self.credits.saturating_mul(self.half) <= self.sent)
    }

    /// How many Credits the peer may still send for what it got.
    pub(crate) fn unpaid(&self) -> u32 {
        (self.sent / self.half).saturating_sub(self.credits).try_into().unwrap_or(u32::MAX)
    }
}

/// What this side lets the peer send.
#[derive(Debug)]
pub(crate) struct Window {
    size: u32,
    left: i64,
    consumed: u64,
}

impl Window {
    pub(crate) fn new(size: u32) -> Self {
        Self { size, left: size.into(), consumed: 0 }
    }

    /// An item begins. False: the peer has no credit for it.
    #[inline]
    pub(crate) fn begin(&mut self, cost: u64) -> bool {
        let fair = self.left > 0;
        self.left -= cost as i64;
        fair
    }

    /// So much of what came was consumed. The credit that is due for it, if it is half a window.
    pub(crate) fn consume(&mut self, cost: u64) -> Option<u64> {
        self.consumed += cost;
        if self.consumed < u64::from(self.size / 2) {
            return None;
        }
        let credit = std::mem::take(&mut self.consumed);
        self.left += credit as i64;
        Some(credit)
    }

    /// What the peer may still send without breaking a rule.
    pub(crate) fn left(&self) -> u64 {
        self.left.max(0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_goes_below_zero_once_and_comes_back() {
        let mut credit = Credit::new(100);
        assert!(credit.may_begin());
        assert_eq!(credit.left(), 100);
        credit.charge(cost(1000));
        assert_eq!((credit.left(), credit.may_begin()), (-932, false));
        assert_eq!(credit.add(932), Ok(true));
        assert!(!credit.may_begin(), "it stands at 0");
        assert_eq!(credit.add(1), Ok(true));
        assert!(credit.may_begin());
    }

    #[test]
    fn no_credit_and_too_much_of_it_are_errors() {
        let mut credit = Credit::new(100);
        assert_eq!(credit.add(0), Err(ProtocolError::BadCredit { increment: 0 }));
        assert!(credit.add(MAX_CREDIT - 100).is_ok());
        assert_eq!(credit.add(1), Err(ProtocolError::BadCredit { increment: 1 }));
    }

    #[test]
    fn each_half_window_sent_pays_for_one_credit() {
        let mut credit = Credit::new(100);
        assert_eq!(credit.add(1), Ok(false));
        credit.charge(150);
        assert_eq!(
            (credit.unpaid(), credit.add(1), credit.add(1), credit.add(1)),
            (2, Ok(true), Ok(true), Ok(false))
        );
    }

    #[test]
    fn half_a_window_is_given_back_at_a_time() {
        let mut window = Window::new(100);
        assert!(window.begin(150));
        assert!(!window.begin(0));
        assert_eq!((window.consume(49), window.consume(1), window.consume(60)), (None, Some(50), Some(60)));
        assert_eq!(window.left(), 60);
    }
}
