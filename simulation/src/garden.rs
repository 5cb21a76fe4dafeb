//! Planted bugs: whether the oracle finds them.

use rpc_core::planted::Bug;

use crate::oracle::Check;
use crate::world;

/// How a bug was found.
#[derive(Clone, Copy, Debug)]
pub struct Find {
    /// By the world of which seed.
    pub seed: u64,
    /// How many worlds that took.
    pub worlds: u64,
    /// Which promise it broke first.
    pub check: Check,
}

/// Plants `bug` in `seeds` worlds, one after the other, until the oracle finds it.
#[must_use]
pub fn search(bug: Bug, from: u64, seeds: u64) -> Option<Find> {
    (0..seeds).find_map(|at| {
        let seed = from.wrapping_add(at);
        let violations = world::run(seed, false, Some(bug)).violations;
        violations.first().map(|violation| Find { seed, worlds: at + 1, check: violation.check })
    })
}
