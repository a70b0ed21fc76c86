//! Who callers are and what they may do, from outside: the real binary through its ports.

#[expect(dead_code, reason = "every area uses its own part of it")]
#[path = "../common/mod.rs"]
mod common;

mod limits;
