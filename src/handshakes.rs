//! Connections that have proved nothing yet: so many, and then somebody has to go. Those of TLS are counted apart on each
//! port; over NBD everybody counts who has no device open.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// Handshakes that are under way, and those that have ended well and keep their place.
#[derive(Debug)]
pub(crate) struct Handshakes {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// In the order in which they began.
    under_way: BTreeMap<u64, Handshake>,
    settled: HashSet<u64>,
}

#[derive(Debug)]
struct Handshake {
    network: Option<IpAddr>,
    gone: CancellationToken,
}

impl Handshakes {
    /// So many.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Handshakes { limit, state: Mutex::default() })
    }

    /// Takes a place. When there is none, the oldest handshake of the network that has most loses its own; `None`: none
    /// is under way.
    pub(crate) fn enter(self: &Arc<Self>, network: Option<IpAddr>) -> Option<Place> {
        let gone = CancellationToken::new();
        let mut state = self.state.lock();
        if state.under_way.len() + state.settled.len() >= self.limit && !state.evict() {
            return None;
        }
        let number = state.next;
        state.next += 1;
        state.under_way.insert(number, Handshake { network, gone: gone.clone() });
        Some(Place { handshakes: Arc::clone(self), number, gone })
    }
}

impl State {
    /// Whether there was somebody to go.
    fn evict(&mut self) -> bool {
        let mut counts: HashMap<Option<IpAddr>, usize> = HashMap::new();
        for handshake in self.under_way.values() {
            *counts.entry(handshake.network).or_default() += 1;
        }
        let most = counts.values().max().copied().unwrap_or_default();
        let has_most = |handshake: &Handshake| counts.get(&handshake.network) == Some(&most);
        let oldest = self.under_way.iter().find(|(_, handshake)| has_most(handshake)).map(|(number, _)| *number);
        let evicted = oldest.and_then(|number| self.under_way.remove(&number));
        if let Some(handshake) = &evicted {
            handshake.gone.cancel();
        }
        evicted.is_some()
    }
}

/// A place, until this is dropped or somebody else needs it.
#[derive(Debug)]
pub(crate) struct Place {
    handshakes: Arc<Handshakes>,
    number: u64,
    gone: CancellationToken,
}

impl Place {
    /// Cancelled when somebody else has it.
    pub(crate) fn gone(&self) -> &CancellationToken {
        &self.gone
    }

    /// Keeps the place, since the handshake has ended. Returns whether it was still there to be kept.
    pub(crate) fn settle(&self) -> bool {
        let mut state = self.handshakes.state.lock();
        let is_ours = state.under_way.remove(&self.number).is_some();
        if is_ours {
            state.settled.insert(self.number);
        }
        is_ours
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.handshakes.state.lock();
        state.under_way.remove(&self.number);
        state.settled.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use steward_gateway::network;

    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "so the tests read as the calls do")]
    fn at(address: &str) -> Option<IpAddr> {
        Some(address.parse().expect("an address"))
    }

    fn enter(handshakes: &Arc<Handshakes>, network: Option<IpAddr>) -> Place {
        handshakes.enter(network).expect("a place")
    }

    #[test]
    fn the_oldest_of_who_has_most_makes_room() {
        let handshakes = Handshakes::new(4);
        let first_of_few = enter(&handshakes, at("10.0.0.1"));
        let many: Vec<_> = (0..3).map(|_| enter(&handshakes, at("10.0.0.2"))).collect();
        let newcomer = enter(&handshakes, at("10.0.0.3"));
        let gone: Vec<_> = many.iter().map(|place| place.gone().is_cancelled()).collect();
        assert_eq!(gone, [true, false, false]);
        assert!(!first_of_few.gone().is_cancelled() && !newcomer.gone().is_cancelled());
    }

    #[test]
    fn who_has_ended_leaves_room() {
        let handshakes = Handshakes::new(1);
        drop(enter(&handshakes, None));
        let second = enter(&handshakes, None);
        assert!(!second.gone().is_cancelled());
        let _third = enter(&handshakes, None);
        assert!(second.gone().is_cancelled());
    }

    #[test]
    fn who_has_settled_is_in_nobodys_reach() {
        let handshakes = Handshakes::new(2);
        let settled = enter(&handshakes, None);
        assert!(settled.settle());
        let gone = enter(&handshakes, None);
        let second = enter(&handshakes, None);
        assert!(gone.gone().is_cancelled() && !gone.settle());
        assert!(second.settle());
        assert!(handshakes.enter(None).is_none());
        drop(settled);
        assert!(handshakes.enter(None).is_some());
    }

    #[test]
    fn a_network_of_ipv6_is_one() {
        let handshakes = Handshakes::new(3);
        let of = |address: &str| at(address).map(network);
        let alone = enter(&handshakes, of("2001:db8:0:1::1"));
        let first = enter(&handshakes, of("2001:db8::1"));
        let _second = enter(&handshakes, of("2001:db8::2"));
        let _newcomer = enter(&handshakes, of("10.0.0.1"));
        assert!(first.gone().is_cancelled() && !alone.gone().is_cancelled());
    }
}
