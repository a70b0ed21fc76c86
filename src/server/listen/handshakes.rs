//! The handshakes of TLS that a port has under way.
//!
//! Those who have said nothing yet and those who have are apart, so that silent connections, which cost nothing, are not
//! in the way of anybody who speaks.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use steward_gateway::{Peer, network};

use crate::handshakes;

/// The places of one port. Clones share them.
#[derive(Clone)]
pub(super) struct Places {
    silent: Arc<handshakes::Handshakes>,
    speaking: Arc<handshakes::Handshakes>,
}

/// The places as one connection sees them.
pub(super) struct Handshakes<'a> {
    places: &'a Places,
    network: Option<IpAddr>,
}

impl Places {
    /// So many of each kind.
    pub(super) fn new(limit: usize) -> Self {
        let places = || handshakes::Handshakes::new(limit.max(1));
        Places { silent: places(), speaking: places() }
    }

    pub(super) fn of(&self, peer: Peer) -> Handshakes<'_> {
        Handshakes { places: self, network: peer.0.map(network) }
    }
}

impl Handshakes<'_> {
    /// Waits for the first words of the client.
    pub(super) async fn before_hello<T>(&self, hello: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        run(&self.places.silent, self.network, hello).await
    }

    /// Goes on with a client that has said something.
    pub(super) async fn after_hello<T>(&self, rest: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        run(&self.places.speaking, self.network, rest).await
    }
}

/// Until it ends, or somebody else needs its place.
async fn run<T>(
    handshakes: &Arc<handshakes::Handshakes>,
    network: Option<IpAddr>,
    handshake: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let gone = || io::Error::new(io::ErrorKind::TimedOut, "too many handshakes are under way");
    let place = handshakes.enter(network).ok_or_else(gone)?;
    place.gone().run_until_cancelled(handshake).await.ok_or_else(gone)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_has_to_go_is_told() {
        let places = Places::new(1);
        let ours = places.of(Peer(None));
        let mut first = Box::pin(ours.before_hello(std::future::pending::<io::Result<()>>()));
        assert!(futures::poll!(&mut first).is_pending());
        ours.after_hello(std::future::ready(Ok(()))).await.expect("they are apart");
        ours.before_hello(std::future::ready(Ok(()))).await.expect("there is room for the next");
        assert_eq!(first.await.expect_err("it had to go").kind(), io::ErrorKind::TimedOut);
    }
}
