//! .
use crate::attack::Attack;
pub(crate) const ATTACKS: &[Attack] = &[];
