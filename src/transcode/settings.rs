//! The settings of the farm.

use std::time::Duration;

use super::library;
use super::model::Policy;

/// How the farm is run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its rules.
    pub policy: Policy,
    /// How often a worker is to beat.
    pub heartbeat_interval: Duration,
    /// How long an ended task is kept; zero: for ever.
    pub task_retention: Duration,
    /// How many ended tasks are kept; 0: all.
    pub max_tasks: usize,
    /// How long an entry of the log is kept; zero: for ever.
    pub log_retention: Duration,
    /// How many entries of the log are kept; 0: all.
    pub max_logs: usize,
    /// How often what is too old is looked for.
    pub sweep_interval: Duration,
    /// How many watches may be open.
    pub max_watchers: usize,
    /// Libraries.
    pub library: library::Settings,
}
