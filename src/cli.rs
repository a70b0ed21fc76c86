//! The commands for people at a shell: clients of a running server.
//!
//! Standard output carries the answer and nothing else; what a person should know besides goes to standard error.

mod backoff;
pub mod connect;
mod console;
mod duration;
mod error;
mod exit;
mod identity;
pub mod lock;
mod sign_in;
mod time;
