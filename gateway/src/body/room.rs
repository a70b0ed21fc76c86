//! The memory of bodies that are read whole: nobody is known yet when they come, and no limit of a caller counts them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use http::Extensions;

use super::ReadError;
use crate::peer::Peer;

/// What part of it one address of another machine may have.
const SHARE_OF_ONE: usize = 4;

/// The memory of all such bodies: an extension of every request. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    taken: Arc<Mutex<Taken>>,
    size: usize,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

impl Room {
    /// One of so many bytes.
    pub(crate) fn new(size: u64) -> Self {
        Self { taken: Arc::default(), size: usize::try_from(size).unwrap_or(usize::MAX) }
    }

    /// The place of the body of a request, in which nothing is yet.
    pub(crate) fn place_of(extensions: &Extensions) -> Place {
        let peer = extensions.get::<Peer>().and_then(|peer| peer.0);
        // Processes of this machine, among them proxies of many clients, have no shares.
        let address = peer.filter(|address| !address.to_canonical().is_loopback()).map(network);
        Place { room: extensions.get().cloned(), address, bytes: 0 }
    }
}

/// What counts as one address: a subscriber has at least 2^64 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

/// What one body has of the room, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    room: Option<Room>,
    address: Option<IpAddr>,
    bytes: usize,
}

impl Place {
    /// Takes so many bytes more.
    pub(super) fn take(&mut self, more: usize) -> Result<(), ReadError> {
        let Some(room) = &self.room else { return Ok(()) };
        let mut taken = room.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if more > room.size - taken.all {
            return Err(ReadError::NoRoom);
        }
        if let Some(address) = self.address {
            let of_address = taken.by_address.entry(address).or_default();
            if more > (room.size / SHARE_OF_ONE).saturating_sub(*of_address) {
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
        let Some(room) = &self.room else { return };
        let mut taken = room.taken.lock().unwrap_or_else(PoisonError::into_inner);
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

    fn from(room: &Room, address: &str) -> Place {
        let mut extensions = Extensions::new();
        extensions.insert(room.clone());
        extensions.insert(Peer(Some(address.parse().unwrap())));
        Room::place_of(&extensions)
    }

    #[test]
    fn all_bodies_share_the_room_and_give_it_back() {
        let room = Room::new(100);
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
        let room = Room::new(100);
        let (mut first, mut second) = (from(&room, "2001:db8::1"), from(&room, "2001:db8::2"));
        assert_eq!((first.take(20), second.take(6)), (Ok(()), Err(ReadError::NoRoom)), "the same network");
        assert_eq!(from(&room, "2001:db8:0:1::1").take(25), Ok(()), "another");
        drop(first);
        assert_eq!(second.take(25), Ok(()));
        drop(second);
        assert!(room.taken.lock().unwrap().by_address.is_empty());
    }

    #[test]
    fn a_request_without_a_room_is_not_counted() {
        assert_eq!(Room::place_of(&Extensions::new()).take(usize::MAX), Ok(()));
    }
}
