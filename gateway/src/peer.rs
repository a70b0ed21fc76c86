//! Where a request comes from, and who turned out to have sent it.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

/// The address at the other end of a request's connection: an extension of the request. `None` for a Unix socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer(pub Option<IpAddr>);

/// Where the service notes who the caller is, for the log of the HTTP request that the call is made for: an extension
/// of the request, which the gateway passes on to a service in the same process.
#[derive(Clone, Debug, Default)]
pub struct CallerNote(Arc<OnceLock<KnownCaller>>);

/// Who a caller turned out to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownCaller {
    /// The user; `None` when nobody is asked.
    pub user: Option<String>,
    /// Where the call comes from, proxies that are trusted left out.
    pub address: Option<IpAddr>,
}

impl CallerNote {
    /// Notes who it is. Only the first note counts.
    pub fn write(&self, caller: KnownCaller) {
        let _ = self.0.set(caller);
    }

    /// What was noted, if anything.
    pub fn read(&self) -> Option<&KnownCaller> {
        self.0.get()
    }
}
