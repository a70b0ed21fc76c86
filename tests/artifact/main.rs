//! Images, from outside: the real binary through its ports, with the programs that people use.

#[expect(dead_code, reason = "every area uses its own part of it")]
#[path = "../common/mod.rs"]
mod common;

mod conditions;
mod conformance;
mod crane;
mod curl;
mod deduplication;
mod distribution;
mod durability;
mod grpcurl;
mod layout;
mod oras;
mod registry;
mod rights;
mod sessions;
mod skopeo;
mod tool;
