//! Backup repositories, from outside: the real binary through its ports, with hand-made HTTP, gRPC and real restics.
//!
//! `STEWARD_TEST_REST_SERVER=…/rest-server` runs the original instead of `steward rest-server`, where that is what is
//! under test: so the tests themselves are tested.

#[expect(dead_code, reason = "every area uses its own part of it")]
#[path = "../common/mod.rs"]
mod common;

mod cli;
mod command;
mod crash;
mod damaged_trees;
mod fixture;
mod full_disk;
mod grpcurl;
mod hostile;
mod http_table;
mod listing;
mod logins;
mod memory;
mod metrics;
mod min_age;
mod native;
mod numbers;
mod quotas;
mod real_restic;
mod rest_server;
mod restic;
mod rights;
mod tls;
mod tree;
mod undelete;
mod verify;
mod vocabulary;
mod watch;
