//! The settings of replication.

use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::{Server, duration};
use crate::replication::{PrivateTargets, Settings};

/// Replication.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Replication {
    /// How many runs are under way at a time.
    pub running_executions: usize,
    /// How long a run that has ended is kept.
    #[serde(with = "duration")]
    pub execution_retention: Duration,
    /// For how long the groups of the maker of a task count that an issuer told, since the maker last made it, changed it
    /// or had it run.
    #[serde(with = "duration")]
    pub maker_groups_for: Duration,
    /// How many tasks there may be.
    pub max_tasks: usize,
    /// How many watches may be open.
    pub max_watchers: usize,
    /// How many bytes a chunk of an upload to a target has.
    pub chunk_bytes: u64,
    /// How often a request to a target is tried.
    pub attempts: u32,
    /// How long a target may take to be reached.
    #[serde(with = "duration")]
    pub connect_timeout: Duration,
    /// How long a target may be silent.
    #[serde(with = "duration")]
    pub idle_timeout: Duration,
    /// Which targets may have addresses that are not public.
    pub private_targets: Private,
    /// Hosts and networks that are targets whatever their addresses are: `registry.example.org`, `10.0.0.0/8`.
    pub allowed_targets: Vec<String>,
    /// Let nothing but `allowed_targets` be a target.
    pub only_allowed_targets: bool,
    /// The zone of times without one and of cron expressions. Empty: that of the machine.
    pub time_zone: String,
    /// An older name of `secrets.key_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
}

/// Which targets may have addresses that are not public: of this machine, of its link, of private networks.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Private {
    /// Those of this machine, if the server itself is reached from there alone; else none.
    #[default]
    Auto,
    /// All.
    Allowed,
    /// None.
    Refused,
}

impl Default for Replication {
    fn default() -> Self {
        let settings = Settings::default();
        Replication {
            running_executions: settings.running_executions,
            execution_retention: settings.execution_retention,
            maker_groups_for: settings.maker_groups_for,
            max_tasks: settings.max_tasks,
            max_watchers: settings.max_watchers,
            chunk_bytes: settings.chunk_bytes,
            attempts: settings.attempts,
            connect_timeout: settings.connect_timeout,
            idle_timeout: settings.idle_timeout,
            private_targets: Private::Auto,
            allowed_targets: Vec::new(),
            only_allowed_targets: false,
            time_zone: String::new(),
            key_file: None,
        }
    }
}

impl Replication {
    /// As the area takes them, on a server with these addresses.
    pub(crate) fn settings(&self, server: &Server) -> Settings {
        let is_local = server.grpc.ip().is_loopback() && server.http.ip().is_loopback();
        Settings {
            running_executions: self.running_executions,
            execution_retention: self.execution_retention,
            maker_groups_for: self.maker_groups_for,
            max_tasks: self.max_tasks,
            max_watchers: self.max_watchers,
            chunk_bytes: self.chunk_bytes,
            attempts: self.attempts,
            connect_timeout: self.connect_timeout,
            idle_timeout: self.idle_timeout,
            private_targets: match self.private_targets {
                Private::Allowed => PrivateTargets::Allowed,
                Private::Auto if is_local => PrivateTargets::Loopback,
                Private::Auto | Private::Refused => PrivateTargets::Refused,
            },
            allowed_targets: self.allowed_targets.clone(),
            only_allowed_targets: self.only_allowed_targets,
            // The configuration was checked.
            time_zone: self.zone().unwrap_or(TimeZone::UTC),
        }
    }

    /// The zone; `None`: the setting is none.
    pub(crate) fn zone(&self) -> Option<TimeZone> {
        if self.time_zone.is_empty() {
            return Some(TimeZone::try_system().unwrap_or(TimeZone::UTC));
        }
        TimeZone::get(&self.time_zone).ok()
    }

    /// Says which setting is wrong, and why.
    pub(super) fn problem(&self) -> Option<(&'static str, &'static str)> {
        const CHUNKS: std::ops::RangeInclusive<u64> = 64 * 1024..=256 * 1024 * 1024;
        let wrong = [
            ("replication.running_executions", "has to be between 1 and 64", {
                !(1..=64).contains(&self.running_executions)
            }),
            ("replication.max_tasks", "has to be between 1 and 100000", !(1..=100_000).contains(&self.max_tasks)),
            ("replication.chunk_bytes", "has to be between 64 KiB and 256 MiB", !CHUNKS.contains(&self.chunk_bytes)),
            ("replication.attempts", "has to be between 1 and 20", !(1..=20).contains(&self.attempts)),
            ("replication.connect_timeout", "has to be longer than nothing", self.connect_timeout.is_zero()),
            ("replication.idle_timeout", "has to be longer than nothing", self.idle_timeout.is_zero()),
            ("replication.time_zone", "is not a time zone", self.zone().is_none()),
        ];
        wrong.into_iter().find(|(_, _, is_wrong)| *is_wrong).map(|(setting, problem, _)| (setting, problem))
    }
}
