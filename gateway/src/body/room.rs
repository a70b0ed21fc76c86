//! The memory of bodies that are read whole: nobody is known yet when they come, and no limit of a caller counts them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use http::Extensions;

use super::ReadError;
use crate::peer::{ClientAddress, Peer, network};

/// What part of it one address of another machine may have.
const SHARE_OF_ONE: usize = 4;
/// So much of it there is besides for small bodies alone, such as those of locks.
const SHARE_OF_SMALL: usize = 8;
/// The limit of a small body, in bytes.
const SMALL: usize = 64 * 1024;

/// The memory of all such bodies: an extension of every request. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    small: Part,
    large: Part,
}

/// A part that nothing else can take. Clones are the same.
#[derive(Clone, Debug)]
struct Part {
    taken: Arc<Mutex<Taken>>,
    size: usize,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

impl Room {
    /// One of so many bytes for large bodies.
    pub(crate) fn new(size: u64) -> Self {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        Self { small: Part::new(size / SHARE_OF_SMALL), large: Part::new(size) }
    }

    /// The place of the body of a request that may have so many bytes, in which nothing is yet.
    pub(crate) fn place_of(extensions: &Extensions, limit: usize) -> Place {
        let room: Option<&Self> = extensions.get();
        let part = room.map(|room| if limit <= SMALL { &room.small } else { &room.large });
        let client = match extensions.get() {
            Some(ClientAddress(client)) => *client,
            None => extensions.get::<Peer>().and_then(|peer| peer.0),
        };
        // Processes of this machine, among them proxies that nobody trusts, have no shares.
        let address = client.filter(|address| !address.to_canonical().is_loopback()).map(network);
        Place { part: part.cloned(), address, bytes: 0 }
    }
}

impl Part {
    fn new(size: usize) -> Self {
        Self { taken: Arc::default(), size }
    }
}

/// What one body has of the room, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    part: Option<Part>,
    address: Option<IpAddr>,
    bytes: usize,
}

impl Place {
    /// Takes so many bytes more.
    pub(super) fn take(&mut self, more: usize) -> Result<(), ReadError> {
        let Some(part) = &self.part else { return Ok(()) };
        let mut taken = part.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if more > part.size - taken.all {
            return Err(ReadError::NoRoom);
        }
        if let Some(address) = self.address {
            let of_address = taken.by_address.entry(address).or_default();
            if more > (part.size / SHARE_OF_ONE).saturating_sub(*of_address) {
                return Err(ReadError::NoRoom);
            }
            *of_address += more;
        }
        taken.all += more;
        self.bytes += more;
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(part) = &self.part else { return };
        let mut taken = part.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= self.bytes;
        let Some(address) = self.address else { return };
        if let Some(of_address) = taken.by_address.get_mut(&address) {
            *of_address -= self.bytes;
            if *of_address == 0 {
                taken.by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For large bodies; for small ones there are 12 more.
    const SIZE: u64 = 100;

    fn of_request(room: &Room, limit: usize, add: impl FnOnce(&mut Extensions)) -> Place {
        let mut extensions = Extensions::new();
        extensions.insert(room.clone());
        add(&mut extensions);
        Room::place_of(&extensions, limit)
    }

    fn peer(address: &str) -> Peer {
        Peer(Some(address.parse().unwrap()))
    }

    fn from(room: &Room, address: &str) -> Place {
        of_request(room, SMALL + 1, |extensions| _ = extensions.insert(peer(address)))
    }

    #[test]
    fn all_bodies_share_the_room_and_give_it_back() {
        let room = Room::new(SIZE);
        let (mut first, mut second) = (from(&room, "127.0.0.1"), from(&room, "::ffff:127.0.0.1"));
        assert_eq!(first.take(60), Ok(()));
        assert_eq!(second.take(41), Err(ReadError::NoRoom));
        assert_eq!(second.take(40), Ok(()));
        assert_eq!(first.take(1), Err(ReadError::NoRoom));
        drop(first);
        assert_eq!(second.take(60), Ok(()));
    }

    #[test]
    fn one_address_of_another_machine_has_only_its_share() {
        let room = Room::new(SIZE);
        let (mut first, mut second) = (from(&room, "2001:db8::1"), from(&room, "2001:db8::2"));
        assert_eq!((first.take(20), second.take(6)), (Ok(()), Err(ReadError::NoRoom)), "the same network");
        assert_eq!(from(&room, "2001:db8:0:1::1").take(25), Ok(()), "another");
        drop(first);
        assert_eq!(second.take(25), Ok(()));
        drop(second);
        assert!(room.large.taken.lock().unwrap().by_address.is_empty());
    }

    #[test]
    fn each_client_of_a_trusted_proxy_has_its_own_share() {
        let room = Room::new(SIZE);
        let by_proxy = |client: &str| {
            of_request(&room, SMALL + 1, |extensions| {
                extensions.insert(peer("127.0.0.1"));
                extensions.insert(ClientAddress(Some(client.parse().unwrap())));
            })
        };
        let mut first = by_proxy("192.0.2.7");
        assert_eq!((first.take(25), by_proxy("192.0.2.7").take(1)), (Ok(()), Err(ReadError::NoRoom)));
        assert_eq!(by_proxy("192.0.2.8").take(25), Ok(()));
        assert_eq!(by_proxy("127.0.0.1").take(75), Ok(()), "this machine has no share");
    }

    #[test]
    fn large_bodies_leave_room_for_small_ones() {
        let room = Room::new(SIZE);
        let mut large = from(&room, "127.0.0.1");
        assert_eq!((large.take(100), from(&room, "127.0.0.1").take(1)), (Ok(()), Err(ReadError::NoRoom)));
        let mut small = of_request(&room, SMALL, |extensions| _ = extensions.insert(peer("127.0.0.1")));
        assert_eq!((small.take(12), small.take(1)), (Ok(()), Err(ReadError::NoRoom)));
    }

    #[test]
    fn a_request_without_a_room_is_not_counted() {
        assert_eq!(Room::place_of(&Extensions::new(), SMALL).take(usize::MAX), Ok(()));
    }
}
