//! Locks on a pair of names, with queues, leases, fencing tokens and records of completed work.
//!
//! A node takes the lock of a layer before it works on it; the others wait, and once one has *succeeded* they skip the
//! work instead of repeating it. [`Locks`] has the commands. Each loads what one decision needs, lets the pure rules in
//! [`state`] and its neighbours decide, and commits the outcome in one transaction; engines change state by the same
//! commands. Nothing is kept in memory between two commands.

mod acquire;
mod admin;
mod calls;
mod engine;
mod error;
mod event;
mod keys;
mod lease;
mod leases;
mod load;
mod locks;
mod model;
mod query;
mod records;
mod release;
mod renew;
mod service;
mod state;
mod wait;
mod watch;

#[cfg(test)]
mod history_test;
#[cfg(test)]
mod model_test;

pub use self::engine::{ExpiryEngine, PurgeEngine};
pub use self::error::Error;
pub use self::locks::{Locks, Settings};
pub use self::service::LockServer;
