//! Bugs for the simulation to find, so that one knows that it would.
//!
//! Compiled only with `--cfg planted`, which `simulation/.cargo/config.toml` alone sets; and then each
//! waits to be planted.

use std::cell::Cell;

/// A bug that this crate can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Nobody wakes the caller whose call has ended.
    LostWakeUp,
    /// A call that was sent is said never to have run when its connection is lost.
    MaybeAsNo,
    /// The place of a call that was given up is used again before the server's last word on it, which
    /// is then taken for the new call's.
    ReusedSlot,
    /// The server keeps an answer to itself.
    LostAnswer,
    /// The server is not told that a call was given up.
    UnsentCancel,
    /// The items of a stream that wait to go out are lost when it ends.
    LostItems,
    /// The peer is not told that items were consumed.
    CreditLeak,
    /// An item is handed over twice.
    RepeatedItem,
    /// An item that came in parts is joined without one of them.
    LostPart,
}

impl Bug {
    /// Those of calls, which worlds have.
    pub const OF_CALLS: [Bug; 5] =
        [Bug::LostWakeUp, Bug::MaybeAsNo, Bug::ReusedSlot, Bug::LostAnswer, Bug::UnsentCancel];

    /// Those of streams.
    pub const OF_STREAMS: [Bug; 4] = [Bug::LostItems, Bug::CreditLeak, Bug::RepeatedItem, Bug::LostPart];
}

/// A bug bites at every so many occasions: most calls go well, as with real ones.
const RARITY: u32 = 5;

thread_local! {
    // A simulation runs on one thread, so its bug is nobody else's.
    static PLANTED: Cell<(Option<Bug>, u32)> = const { Cell::new((None, 0)) };
}

/// Plants a bug on this thread instead of the one before.
pub fn plant(bug: Option<Bug>) {
    PLANTED.set((bug, 0));
}

/// Whether this one was planted.
pub(crate) fn is_planted(bug: Bug) -> bool {
    PLANTED.get().0 == Some(bug)
}

/// Whether this one bites now.
pub(crate) fn bites(bug: Bug) -> bool {
    let (planted, occasions) = PLANTED.get();
    if planted != Some(bug) {
        return false;
    }
    PLANTED.set((planted, occasions + 1));
    occasions % RARITY == RARITY - 1
}
