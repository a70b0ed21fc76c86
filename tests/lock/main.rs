//! Locks, from outside: the real binary through its ports, with hand-made HTTP, gRPC and real programs.

#[expect(dead_code, reason = "every area uses its own part of it")]
#[path = "../common/mod.rs"]
mod common;

mod cli;
mod crash;
mod events;
mod grpcurl;
mod http_table;
mod legacy;
mod limits;
mod memory;
mod mutual_exclusion;
mod native;
mod operability;
mod python_client;
mod rights;
mod seed_examples;
mod semantics;
mod vocabulary;
