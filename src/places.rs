//! Places that all callers share, such as those of watches: so that nobody keeps the others out, one caller gets a
//! quarter of them.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use steward_gateway::network;

use crate::auth::Identity;

/// How many of so many places one caller may have: a quarter.
pub(crate) fn share(limit: usize) -> usize {
    (limit / 4).max(1)
}

/// So many places. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    limit: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_holder: HashMap<Holder, usize>,
}

/// Who has places, or something else of which everybody has a share: a user, wherever it comes from, or a network.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    /// A user.
    User(String),
    /// The network of one subscriber.
    Network(IpAddr),
}

impl Holder {
    /// Whose share it is that a caller takes. `None`: nobody's, for the server itself, and for processes of this machine
    /// without a user, which may be proxies of many.
    pub(crate) fn of(user: Option<&str>, address: Option<IpAddr>) -> Option<Self> {
        if let Some(user) = user {
            return Some(Holder::User(user.to_owned()));
        }
        let address = address.filter(|address| !address.to_canonical().is_loopback());
        address.map(|address| Holder::Network(network(address)))
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Holder::User(user) => write!(f, "user {user}"),
            Holder::Network(address) => write!(f, "address {address}"),
        }
    }
}

/// There is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// How many there may be.
    pub limit: usize,
    is_of_one: bool,
}

impl Full {
    /// Whose there may be so many, behind what they are.
    pub fn whose(self) -> &'static str {
        if self.is_of_one { " of one caller" } else { "" }
    }
}

impl Places {
    pub(crate) fn new(limit: usize) -> Self {
        Places { limit, taken: Arc::default() }
    }

    /// Takes a place for a caller.
    pub(crate) fn take(&self, caller: &Identity) -> Result<Place, Full> {
        let share = share(self.limit);
        let holder = Holder::of(caller.user.as_deref(), caller.address);
        let mut taken = self.taken.lock();
        if taken.all >= self.limit {
            return Err(Full { limit: self.limit, is_of_one: false });
        }
        if let Some(holder) = &holder {
            let of_one = taken.by_holder.entry(holder.clone()).or_default();
            if *of_one >= share {
                return Err(Full { limit: share, is_of_one: true });
            }
            *of_one += 1;
        }
        taken.all += 1;
        Ok(Place { taken: Arc::clone(&self.taken), holder })
    }
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    taken: Arc<Mutex<Taken>>,
    holder: Option<Holder>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock();
        taken.all -= 1;
        let Some(holder) = &self.holder else { return };
        if let Some(of_one) = taken.by_holder.get_mut(holder) {
            *of_one -= 1;
            if *of_one == 0 {
                taken.by_holder.remove(holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> Identity {
        Identity { user: Some(name.to_owned()), ..Identity::default() }
    }

    fn from(address: &str) -> Identity {
        Identity { address: Some(address.parse().unwrap()), ..Identity::default() }
    }

    #[test]
    fn one_caller_gets_a_quarter_and_gives_it_back() {
        let places = Places::new(8);
        let of_ann = [places.take(&user("ann")).unwrap(), places.take(&user("ann")).unwrap()];
        let from_afar = Identity { address: Some([192, 0, 2, 1].into()), ..user("ann") };
        let full = places.take(&from_afar).unwrap_err();
        assert_eq!((full.limit, full.whose()), (2, " of one caller"));
        let _of_bob = places.take(&user("bob")).unwrap();
        drop(of_ann);
        places.take(&from_afar).unwrap();
        assert_eq!(places.taken.lock().by_holder.len(), 1);
    }

    #[test]
    fn who_has_no_user_counts_by_network_and_this_machine_not_at_all() {
        let places = Places::new(8);
        let _of_one = [places.take(&from("2001:db8::1")).unwrap(), places.take(&from("2001:db8::2")).unwrap()];
        assert_eq!(places.take(&from("2001:db8::3")).unwrap_err().limit, 2);
        let local = [from("127.0.0.1"), from("::ffff:127.0.0.1"), Identity::default()];
        let _local: Vec<_> = local.iter().chain(&local).map(|caller| places.take(caller).unwrap()).collect();
        let full = places.take(&user("ann")).unwrap_err();
        assert_eq!((full.limit, full.whose()), (8, ""), "all are taken");
    }

    #[test]
    fn of_few_places_everybody_may_have_one() {
        let places = Places::new(2);
        let _of_ann = places.take(&user("ann")).unwrap();
        assert!(places.take(&user("ann")).is_err());
        places.take(&user("bob")).unwrap();
    }
}
