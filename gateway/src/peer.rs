//! Where a request comes from.

use std::net::IpAddr;

/// The address at the other end of a request's connection: an extension of the request. `None` for a Unix socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer(pub Option<IpAddr>);
