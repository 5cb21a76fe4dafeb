//! Room for connections: in all, from one address, and for those that are told that there is none.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::state::State;

/// Connections that may be told at a time that there is no room. Each stays for up to a second, so
/// without a limit they would take the descriptors that the limit on connections is to save.
const MAX_REFUSALS: usize = 256;

#[derive(Default)]
pub(crate) struct Room {
    open: AtomicUsize,
    /// Only of addresses with open connections: an ordered map gives its memory back.
    by_address: Mutex<BTreeMap<IpAddr, usize>>,
    refusals: AtomicUsize,
}

impl Room {
    /// Connections that are open.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    fn by_address(&self) -> MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of an open connection.
pub(crate) struct Place {
    server: Arc<State>,
    /// Where it counts, when addresses are counted.
    address: Option<IpAddr>,
}

impl Place {
    /// A place for a connection from there; otherwise what to tell it.
    pub(crate) fn take(server: &Arc<State>, from: Option<SocketAddr>) -> Result<Self, &'static str> {
        if !count_up_to(&server.room.open, server.config.max_connections) {
            return Err("too many connections");
        }
        let mut place = Self { server: server.clone(), address: None };
        if let (Some(most), Some(from)) = (server.config.max_connections_per_address, from) {
            // A socket for both families shows IPv4 addresses as IPv6 ones.
            let address = from.ip().to_canonical();
            let mut counts = server.room.by_address();
            let open = counts.get(&address).copied().unwrap_or(0);
            if open >= most {
                return Err("too many connections from this address");
            }
            counts.insert(address, open + 1);
            place.address = Some(address);
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let room = &self.server.room;
        if let Some(address) = self.address {
            let mut counts = room.by_address();
            match counts.get_mut(&address) {
                Some(open) if *open > 1 => *open -= 1,
                _ => _ = counts.remove(&address),
            }
        }
        room.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection that is being told that there is no room for it.
pub(crate) struct Refused(Arc<State>);

impl Refused {
    /// `None`: too many are; this one is to be closed without a word.
    pub(crate) fn new(server: &Arc<State>) -> Option<Self> {
        count_up_to(&server.room.refusals, MAX_REFUSALS).then(|| Self(server.clone()))
    }
}

impl Drop for Refused {
    fn drop(&mut self) {
        self.0.room.refusals.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether there was room for one more.
pub(crate) fn count_up_to(count: &AtomicUsize, most: usize) -> bool {
    let more = |count: usize| (count < most).then_some(count + 1);
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Server;

    #[test]
    fn the_table_of_addresses_holds_only_those_with_open_connections() {
        let server = Server::builder().max_connections_per_address(2).max_connections(4).build().unwrap();
        let state = &server.state;
        let take = |ip: [u8; 4]| Place::take(state, Some((ip, 1).into()));
        let one = [take([10, 0, 0, 1]).ok(), take([10, 0, 0, 1]).ok()];
        let other = take([10, 0, 0, 2]).ok();
        assert_eq!(take([10, 0, 0, 1]).err(), Some("too many connections from this address"));
        assert_eq!((state.room.open(), state.room.by_address().len()), (3, 2));
        drop(other);
        assert_eq!(state.room.by_address().len(), 1);
        let [first, second] = one;
        drop(first);
        assert_eq!(state.room.by_address().values().sum::<usize>(), 1);
        drop(second);
        assert_eq!((state.room.open(), state.room.by_address().len()), (0, 0));
    }

    #[test]
    fn an_address_without_room_at_all_is_not_remembered() {
        let server = Server::builder().max_connections_per_address(0).build().unwrap();
        assert!(Place::take(&server.state, Some(([10, 0, 0, 1], 1).into())).is_err());
        assert!(server.state.room.by_address().is_empty());
        assert_eq!(server.state.room.open(), 0);
    }
}
