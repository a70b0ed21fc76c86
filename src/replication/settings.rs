//! What can be set about replication.

use std::time::Duration;

use jiff::tz::TimeZone;

/// What can be set about replication.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many runs are under way at a time.
    pub running_executions: usize,
    /// How long a run that has ended is kept.
    pub execution_retention: Duration,
    /// For how long the groups of the maker of a task count that an issuer told.
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
    pub connect_timeout: Duration,
    /// How long a target may be silent.
    pub idle_timeout: Duration,
    /// Whether targets may have addresses of this machine, of its link or of private networks.
    pub private_targets: PrivateTargets,
    /// Hosts and networks that are targets whatever their addresses are: `registry.example.org`, `10.0.0.0/8`.
    pub allowed_targets: Vec<String>,
    /// Only `allowed_targets` are targets.
    pub only_allowed_targets: bool,
    /// The zone of times without one and of cron expressions.
    pub time_zone: TimeZone,
}

/// Which addresses that are not public may be targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrivateTargets {
    /// All: the setting says so.
    Allowed,
    /// Those of this machine: the server itself is reached from there alone.
    Loopback,
    /// None.
    Refused,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            running_executions: 4,
            execution_retention: Duration::from_hours(30 * 24),
            maker_groups_for: Duration::from_hours(90 * 24),
            max_tasks: 10_000,
            max_watchers: 1024,
            chunk_bytes: 4 << 20,
            attempts: 5,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_mins(1),
            private_targets: PrivateTargets::Loopback,
            allowed_targets: Vec::new(),
            only_allowed_targets: false,
            time_zone: TimeZone::UTC,
        }
    }
}
