//! How many connections there are, of all ports together, and how many each address has.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use steward_gateway::{Peer, network};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The connections of all ports. Clones count together.
#[derive(Clone)]
pub(in crate::server) struct Peers {
    by_address: Arc<Mutex<HashMap<IpAddr, usize>>>,
    room: Arc<Semaphore>,
}

/// A connection of an address that is counted, until this is dropped.
pub(super) struct Place {
    counted: Option<(Peers, IpAddr)>,
}

/// Room for one connection, until this is dropped.
pub(super) struct Room {
    _permit: OwnedSemaphorePermit,
}

impl Peers {
    /// Of at most so many connections.
    pub(super) fn new(limit: usize) -> Self {
        let room = Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS)));
        Peers { by_address: Arc::default(), room }
    }

    /// Room for a connection, if there is any.
    pub(super) fn room(&self) -> Option<Room> {
        let permit = Arc::clone(&self.room).try_acquire_owned().ok()?;
        Some(Room { _permit: permit })
    }

    /// The same, as soon as one ends where there are as many as may be.
    pub(super) async fn next_room(&self) -> Option<Room> {
        let permit = Arc::clone(&self.room).acquire_owned().await.ok()?;
        Some(Room { _permit: permit })
    }

    /// Counts a connection; `None` when its address has `limit` of them. Processes of this machine, among them proxies
    /// of many clients, are not counted.
    pub(super) fn admit(&self, peer: Peer, limit: usize) -> Option<Place> {
        let Some(address) = peer.0.filter(|address| !address.is_loopback()) else {
            return Some(Place { counted: None });
        };
        let address = network(address);
        let mut peers = self.by_address.lock();
        let count = peers.entry(address).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Place { counted: Some((self.clone(), address)) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((peers, address)) = &self.counted else { return };
        let mut peers = peers.by_address.lock();
        if let Some(count) = peers.get_mut(address) {
            *count -= 1;
            if *count == 0 {
                peers.remove(address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> Peer {
        Peer(Some(address.parse().expect("an address")))
    }

    #[test]
    fn one_address_has_only_so_many_connections() {
        let peers = Peers::new(10);
        let first = peers.admit(at("2001:db8::1"), 2).expect("a place");
        let second = peers.admit(at("2001:db8::2"), 2).expect("a place");
        assert!(peers.admit(at("2001:db8::3"), 2).is_none(), "the same network");
        assert!(peers.admit(at("2001:db8:0:1::1"), 2).is_some(), "another");
        drop(first);
        assert!(peers.admit(at("2001:db8::3"), 2).is_some());
        drop(second);
        assert!(peers.by_address.lock().is_empty());
    }

    #[test]
    fn processes_of_this_machine_are_not_counted() {
        let peers = Peers::new(10);
        let places: Vec<_> =
            [at("127.0.0.1"), at("::1"), Peer(None)].iter().map(|peer| peers.admit(*peer, 0)).collect();
        assert!(places.iter().all(Option::is_some));
    }

    #[tokio::test]
    async fn there_are_only_so_many_connections_of_all() {
        let peers = Peers::new(1);
        let room = peers.room().expect("room");
        assert!(peers.room().is_none());
        let other_port = peers.clone();
        let mut next = Box::pin(other_port.next_room());
        assert!(futures::poll!(&mut next).is_pending());
        drop(room);
        assert!(next.await.is_some());
    }
}
