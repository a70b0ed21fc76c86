//! Volumes, from outside: the real binary through its ports, with hand-made HTTP, gRPC, NBD and real programs.

#[expect(dead_code, reason = "every area uses its own part of it")]
#[path = "../common/mod.rs"]
mod common;

mod cli;
mod command;
mod crash;
mod export_import;
mod filesystem;
mod full_disk;
mod grpcurl;
mod hostile;
mod legacy;
mod mounted;
mod native;
mod nbd;
mod operations;
mod policies;
mod python_client;
mod query;
mod quotas;
mod rights;
mod scrub;
mod tool;
mod trash;
mod vocabulary;
mod wire;
