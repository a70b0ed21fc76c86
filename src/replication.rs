//! Replication: artifacts are copied to registries and to other Stewards, when something changes, by a schedule, or
//! once.
//!
//! A *task* (`tasks`, `task_create`) says what is to be where and when; an *execution* is a run of it. Executions are records: a run that was broken off by a
//! crash goes on where it stopped. What is copied is read over the artifact service (`local`), like any client does,
//! and written to a *target* (`target`): a registry, or another Steward.

mod access;
mod address_policy;
mod alerts;
mod blob_sessions;
mod cancel;
mod clusters;
mod copy;
mod deletes;
mod dry_run;
mod error;
mod execution_watch;
mod executions;
mod health_engine;
mod job;
mod keys;
mod local;
mod local_calls;
mod parts;
mod passwords;
mod pieces;
mod placed;
mod plan;
mod progress;
mod queue;
mod rate;
mod reach;
mod realtime_engine;
mod retention;
mod run;
mod run_log;
mod runner;
mod schedule_engine;
mod seal_anew;
mod select;
mod service;
mod settings;
mod source;
mod start;
mod sweep_engine;
mod target;
mod targets;
mod task_check;
mod task_create;
#[cfg(test)]
mod task_test;
mod task_validate;
mod tasks;
#[cfg(test)]
mod testing;
mod url;
mod walk;

pub use self::error::Error;
pub use self::local::{LocalChannel, local_channel};
pub use self::parts::Replication;
pub use self::service::{ClusterServer, ReplicationServer};
pub use self::settings::{PrivateTargets, Settings};
