//! Replication, from outside: real servers, a stock registry, and what goes over the wire between them.

#[expect(dead_code, reason = "every area uses its own part of it")]
#[path = "../common/mod.rs"]
mod common;

mod copies;
mod crash;
mod deletes;
mod hostile;
mod image;
mod proxy;
mod registry;
mod runs;
mod ssrf;
mod steward;
mod triggers;
mod wire;
