//! The attacks, by what they aim at.

mod bodies;
mod client;
mod door;
mod frames;
mod smuggling;

use crate::attack::Attack;

/// All of them, in the order in which they run.
pub(crate) const ALL: &[&[Attack]] =
    &[door::ATTACKS, smuggling::ATTACKS, frames::ATTACKS, bodies::ATTACKS, client::ATTACKS];
