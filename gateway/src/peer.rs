//! Where a request comes from, and who turned out to have sent it.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, OnceLock};

/// The address at the other end of a request's connection: an extension of the request. `None` for a Unix socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer(pub Option<IpAddr>);

/// Where a request comes from as the proxies tell that are trusted: an extension of the request, in whose absence it is
/// the [`Peer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub Option<IpAddr>);

/// What counts as one address: a subscriber has at least 2^64 of IPv6.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

/// The user that the certificate of a request's connection names: an extension of the request. The listener verified the
/// certificate; nothing that comes over the network becomes an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientUser(pub Arc<str>);

/// Where the service notes who the caller is, for the log of the HTTP request that the call is made for: an extension
/// of the request, which the gateway passes on to a service in the same process.
#[derive(Clone, Debug, Default)]
pub struct CallerNote(Arc<KnownCaller>);

/// Who a caller turned out to be. Of each only the first note counts.
#[derive(Debug, Default)]
struct KnownCaller {
    user: OnceLock<Option<String>>,
    address: OnceLock<Option<IpAddr>>,
}

impl CallerNote {
    /// Notes where the call comes from, proxies that are trusted left out.
    pub fn write_address(&self, address: Option<IpAddr>) {
        let _ = self.0.address.set(address);
    }

    /// Notes the user; `None` when nobody is asked.
    pub fn write_user(&self, user: Option<String>) {
        let _ = self.0.user.set(user);
    }

    /// Where the call comes from, if that was noted.
    pub fn address(&self) -> Option<IpAddr> {
        self.0.address.get().copied().flatten()
    }

    /// The user, if one was noted.
    pub fn user(&self) -> Option<&str> {
        self.0.user.get()?.as_deref()
    }
}
