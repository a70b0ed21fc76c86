//! Which addresses are gone to.

use std::net::IpAddr;

/// Says which addresses this server goes to. It is asked right before each connection, with the very address that is
/// then connected to: what a name stands for may change between two questions.
pub(in crate::replication) trait Addresses: Send + Sync {
    /// Whether `host`, as the URL has it, may be gone to at `ip`. An error says why not.
    fn allows(&self, host: &str, ip: IpAddr) -> Result<(), String>;
}
