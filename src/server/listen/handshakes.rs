//! The handshakes of TLS that a port has under way: so many, and then somebody has to go.
//!
//! Those who have said nothing yet and those who have are apart, so that silent connections, which cost nothing, are not
//! in the way of anybody who speaks.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use steward_gateway::Peer;
use tokio_util::sync::CancellationToken;

use super::peers::network;

/// The places of one port. Clones share them.
#[derive(Clone)]
pub(super) struct Places {
    silent: Arc<Waiting>,
    speaking: Arc<Waiting>,
}

/// The places as one connection sees them.
pub(super) struct Handshakes<'a> {
    places: &'a Places,
    network: Option<IpAddr>,
}

impl Places {
    /// So many of each kind.
    pub(super) fn new(limit: usize) -> Self {
        let waiting = || Arc::new(Waiting { limit: limit.max(1), state: Mutex::default() });
        Places { silent: waiting(), speaking: waiting() }
    }

    pub(super) fn of(&self, peer: Peer) -> Handshakes<'_> {
        Handshakes { places: self, network: peer.0.map(network) }
    }
}

impl Handshakes<'_> {
    /// Waits for the first words of the client.
    pub(super) async fn before_hello<T>(&self, hello: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        self.places.silent.enter(self.network).run(hello).await
    }

    /// Goes on with a client that has said something.
    pub(super) async fn after_hello<T>(&self, rest: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        self.places.speaking.enter(self.network).run(rest).await
    }
}

/// Handshakes of one kind.
struct Waiting {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    /// In the order in which they began.
    under_way: BTreeMap<u64, Handshake>,
}

struct Handshake {
    network: Option<IpAddr>,
    gone: CancellationToken,
}

impl Waiting {
    /// Takes a place. When there is none, the oldest handshake of the network that has most loses its own.
    fn enter(self: &Arc<Self>, network: Option<IpAddr>) -> Place {
        let gone = CancellationToken::new();
        let mut state = self.state.lock();
        if state.under_way.len() >= self.limit {
            state.evict();
        }
        let number = state.next;
        state.next += 1;
        state.under_way.insert(number, Handshake { network, gone: gone.clone() });
        Place { waiting: Arc::clone(self), number, gone }
    }
}

impl State {
    fn evict(&mut self) {
        let mut counts: HashMap<Option<IpAddr>, usize> = HashMap::new();
        for handshake in self.under_way.values() {
            *counts.entry(handshake.network).or_default() += 1;
        }
        let most = counts.values().max().copied().unwrap_or_default();
        let has_most = |handshake: &Handshake| counts.get(&handshake.network) == Some(&most);
        let oldest = self.under_way.iter().find(|(_, handshake)| has_most(handshake)).map(|(number, _)| *number);
        if let Some(handshake) = oldest.and_then(|number| self.under_way.remove(&number)) {
            handshake.gone.cancel();
        }
    }
}

/// A place, until this is dropped or somebody else needs it.
struct Place {
    waiting: Arc<Waiting>,
    number: u64,
    gone: CancellationToken,
}

impl Place {
    async fn run<T>(self, handshake: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        let gone = || io::Error::new(io::ErrorKind::TimedOut, "too many handshakes are under way");
        self.gone.run_until_cancelled(handshake).await.ok_or_else(gone)?
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.waiting.state.lock().under_way.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(limit: usize) -> Arc<Waiting> {
        Arc::new(Waiting { limit, state: Mutex::default() })
    }

    #[expect(clippy::unnecessary_wraps, reason = "so the tests read as the calls do")]
    fn at(address: &str) -> Option<IpAddr> {
        Some(address.parse().expect("an address"))
    }

    #[test]
    fn the_oldest_of_who_has_most_makes_room() {
        let waiting = waiting(4);
        let first_of_few = waiting.enter(at("10.0.0.1"));
        let many: Vec<_> = (0..3).map(|_| waiting.enter(at("10.0.0.2"))).collect();
        let newcomer = waiting.enter(at("10.0.0.3"));
        let gone: Vec<_> = many.iter().map(|place| place.gone.is_cancelled()).collect();
        assert_eq!(gone, [true, false, false]);
        assert!(!first_of_few.gone.is_cancelled() && !newcomer.gone.is_cancelled());
    }

    #[tokio::test]
    async fn who_has_to_go_is_told_and_who_has_ended_leaves_room() {
        let waiting = waiting(1);
        let first = waiting.enter(None);
        drop(first);
        let second = waiting.enter(None);
        assert!(!second.gone.is_cancelled());
        let _third = waiting.enter(None);
        let ended = second.run(std::future::pending::<io::Result<()>>()).await;
        assert_eq!(ended.expect_err("it had to go").kind(), io::ErrorKind::TimedOut);
        assert_eq!(waiting.state.lock().under_way.len(), 1);
    }
}
