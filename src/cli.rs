//! The commands for people at a shell: clients of a running server.
//!
//! Standard output carries the answer and nothing else; what a person should know besides goes to standard error.

mod backoff;
pub mod connect;
mod console;
mod duration;
mod error;
mod exit;
mod farm;
mod follow;
mod identity;
mod json;
pub mod library;
pub mod lock;
pub mod log;
mod progress;
pub mod rest_server;
pub mod restic;
mod sign_in;
mod size;
mod table;
pub mod task;
#[cfg(test)]
mod testing;
mod time;
pub mod video;
pub mod worker;
