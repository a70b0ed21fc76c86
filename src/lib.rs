//! Steward: one server that coordinates stored things.
//!
//! `docs/architecture.md` has the picture; each module says what it is in its first lines.

pub mod artifact;
pub mod audit;
pub mod auth;
pub mod blob;
pub mod cli;
pub mod clock;
pub mod config;
pub mod engine;
pub mod error;
mod fields;
mod followed;
mod glob;
mod handshakes;
pub mod limits;
mod listener;
pub mod lock;
mod message_prefix;
mod places;
mod private_file;
pub mod replication;
pub mod restic;
mod schedule;
pub mod secrets;
pub mod server;
pub mod store;
pub mod telemetry;
mod tls_client;
pub mod transcode;
pub mod volume;
pub mod worker;
