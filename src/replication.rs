//! Replication: artifacts are copied to registries and to other Stewards, when something changes, by a schedule, or
//! once.
//!
//! A *task* (`tasks`, `task_create`) says what is to be where and when; an *execution* is a run of it. Executions are records: a run that was broken off by a
//! crash goes on where it stopped. What is copied is read over the artifact service (`local`), like any client does,
//! and written to a *target* (`target`): a registry, or another Steward.

mod address_policy;
mod clusters;
mod error;
mod health_engine;
mod keys;
mod local;
mod local_calls;
mod parts;
mod passwords;
mod pieces;
mod queue;
mod reach;
mod realtime_engine;
mod schedule_engine;
mod service;
mod settings;
mod start;
mod sweep_engine;
mod target;
mod task_check;
mod task_create;
#[cfg(test)]
mod task_test;
mod task_validate;
mod tasks;
mod url;

pub use self::error::Error;
pub use self::local::{LocalChannel, local_channel};
pub use self::parts::Replication;
pub use self::service::{ClusterServer, ReplicationServer};
pub use self::settings::{PrivateTargets, Settings};
