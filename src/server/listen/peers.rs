//! How many connections each address has.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;
use steward_gateway::Peer;

/// The connections of one port by address. Clones count together.
#[derive(Clone, Default)]
pub(super) struct Peers(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A connection that is counted, until this is dropped.
pub(super) struct Place {
    counted: Option<(Peers, IpAddr)>,
}

impl Peers {
    /// Counts a connection; `None` when its address has `limit` of them. Processes of this machine, among them proxies
    /// of many clients, are not counted.
    pub(super) fn admit(&self, peer: Peer, limit: usize) -> Option<Place> {
        let Some(address) = peer.0.filter(|address| !address.is_loopback()) else {
            return Some(Place { counted: None });
        };
        let address = network(address);
        let mut peers = self.0.lock();
        let count = peers.entry(address).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Place { counted: Some((self.clone(), address)) })
    }
}

/// What counts as one: a subscriber has at least 2^64 addresses of IPv6.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((Peers(peers), address)) = &self.counted else { return };
        let mut peers = peers.lock();
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
        let peers = Peers::default();
        let first = peers.admit(at("2001:db8::1"), 2).expect("a place");
        let second = peers.admit(at("2001:db8::2"), 2).expect("a place");
        assert!(peers.admit(at("2001:db8::3"), 2).is_none(), "the same network");
        assert!(peers.admit(at("2001:db8:0:1::1"), 2).is_some(), "another");
        drop(first);
        assert!(peers.admit(at("2001:db8::3"), 2).is_some());
        drop(second);
        assert!(peers.0.lock().is_empty());
    }

    #[test]
    fn processes_of_this_machine_are_not_counted() {
        let peers = Peers::default();
        let places: Vec<_> =
            [at("127.0.0.1"), at("::1"), Peer(None)].iter().map(|peer| peers.admit(*peer, 0)).collect();
        assert!(places.iter().all(Option::is_some));
    }
}
