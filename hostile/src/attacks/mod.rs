//! The attacks, by what they aim at.

mod breaches;
mod calls;
mod door;
mod flood;
mod floods;
mod machine;
mod memory;
mod names;
mod readers;
mod streams;
mod watch;

use crate::attack::Attack;

/// All of them, in the order in which they run.
pub(crate) const ALL: &[&[Attack]] = &[
    door::ATTACKS,
    memory::ATTACKS,
    floods::ATTACKS,
    names::ATTACKS,
    calls::ATTACKS,
    readers::ATTACKS,
    streams::ATTACKS,
    breaches::ATTACKS,
    machine::ATTACKS,
];
