//! What can be set about volumes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What can be set about volumes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The smallest volume, in bytes.
    pub min_size: u64,
    /// The largest volume, in bytes.
    pub max_size: u64,
    /// The names of the pools. The first is that of volumes that name none.
    pub pools: Vec<String>,
    /// How many snapshots a volume may have.
    pub max_snapshots: u32,
    /// How many operations may wait or run at a time.
    pub max_operations: usize,
    /// How many operations work on bytes at a time.
    pub running_operations: usize,
    /// How long a volume stays in the trash; zero: for ever.
    pub trash_retention: Duration,
    /// How long an operation that has ended is kept.
    pub operation_retention: Duration,
    /// At most so many bytes a second for an operation that says nothing of its own; 0: no limit.
    pub copy_bytes_per_second: u64,
    /// Make the directory of a user, `/USER`, when the user first makes a volume there.
    pub auto_home: bool,
    /// Who may act as `root`.
    pub root: RootAccess,
    /// How many watches may be open.
    pub max_watchers: usize,
}

/// Who may act as the user `root`, to whom everything is open.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum RootAccess {
    /// Whoever says so.
    #[default]
    Trusted,
    /// Whoever has signed in.
    Token,
    /// Nobody.
    Deny,
}
