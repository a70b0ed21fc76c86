//! Users, rights, TLS and the audit, from outside: the real binary through its ports.

#[expect(dead_code, reason = "every area uses its own part of it")]
#[path = "../common/mod.rs"]
mod common;

mod audit;
