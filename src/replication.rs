//! Replication: artifacts are copied to registries and to other Stewards, when something changes, by a schedule, or
//! once.
//!
//! A *task* (`tasks`) says what is to be where and when; an *execution* is a run of it. Executions are records: a run that was broken off by a
//! crash goes on where it stopped. What is copied is read over the artifact service (`local`), like any client does,
//! and written to a *target* (`target`): a registry, or another Steward.

mod alerts;
mod blob_sessions;
mod cancel;
mod copy;
mod deletes;
mod dry_run;
mod error;
mod execution_watch;
mod executions;
mod glob;
mod job;
mod keys;
mod local;
mod parts;
mod pieces;
mod placed;
mod plan;
mod progress;
mod queue;
mod rate;
mod retention;
mod run;
mod run_log;
mod runner;
mod select;
mod service;
mod settings;
mod source;
mod target;
mod targets;
#[cfg(test)]
mod testing;
mod walk;

pub use self::error::Error;
pub use self::local::{LocalChannel, local_channel};
pub use self::parts::Replication;
pub use self::service::{ClusterServer, ReplicationServer};
pub use self::settings::{PrivateTargets, Settings};
