//! The attacks, by what they aim at.

mod bodies;
mod breaches;
mod calls;
mod client;
mod door;
mod flood;
mod floods;
mod frames;
mod machine;
mod memory;
mod names;
mod readers;
mod smuggling;
mod streams;
mod watch;

use crate::attack::Attack;

/// All of them, in the order in which they run.
pub(crate) const ALL: &[&[Attack]] = &[
    door::ATTACKS,
    smuggling::ATTACKS,
    frames::ATTACKS,
    bodies::ATTACKS,
    memory::ATTACKS,
    floods::ATTACKS,
    names::ATTACKS,
    calls::ATTACKS,
    readers::ATTACKS,
    streams::ATTACKS,
    breaches::ATTACKS,
    machine::ATTACKS,
    client::ATTACKS,
];
