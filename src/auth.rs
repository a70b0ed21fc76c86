//! Who a caller is: found once, in front of the services, and carried in the extensions of the request.

use std::net::IpAddr;

/// The caller of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The authenticated user; `None` when nobody is asked who they are.
    pub user: Option<String>,
    /// Where the call comes from, as far as a trusted proxy or the connection tells.
    pub address: Option<IpAddr>,
}
