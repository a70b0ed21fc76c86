//! The commands for people at a shell: clients of a running server.
//!
//! Standard output carries the answer and nothing else; what a person should know besides goes to standard error.

mod age;
pub mod artifact;
pub mod audit;
pub mod auth;
pub(crate) mod backoff;
mod command;
pub mod connect;
mod console;
pub mod dev_certs;
mod drawing;
mod duration;
pub(crate) mod error;
pub(crate) mod exit;
mod farm;
mod follow;
pub(crate) mod identity;
mod json;
pub mod library;
pub mod lock;
pub mod log;
mod progress;
pub mod replication;
mod repository_name;
pub mod rest_server;
pub mod restic;
pub mod secrets;
mod sign_in;
mod signals;
mod size;
mod table;
pub mod task;
#[cfg(test)]
pub(crate) mod testing;
mod time;
pub mod token;
pub mod video;
pub mod volume;
pub mod worker;
pub mod worker_run;
