//! The attacks, by what they aim at.

mod door;

use crate::attack::Attack;

/// All of them, in the order in which they run.
pub(crate) const ALL: &[&[Attack]] = &[door::ATTACKS];
