//! The settings of volumes.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Listen, duration};
use crate::volume::{RootAccess, Settings};

/// One GiB, in bytes.
const GIB: u64 = 1 << 30;

/// Volumes.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Volumes {
    /// The directory of the layers. Without it: `volumes` in the data directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Where volumes are served over NBD: `host:port`, `:port` or `unix:/path`, any number of them.
    #[serde(deserialize_with = "super::listen::several")]
    pub nbd: Vec<Listen>,
    /// How many connections may be open over NBD.
    pub nbd_connections: usize,
    /// Clients of NBD over TCP have to use TLS, with the certificate of `tls`.
    pub nbd_require_tls: bool,
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
    #[serde(with = "duration")]
    pub trash_retention: Duration,
    /// How long an operation that has ended is kept; zero: for ever.
    #[serde(with = "duration")]
    pub operation_retention: Duration,
    /// At most so many bytes a second for an operation that says nothing of its own; 0: no limit.
    pub copy_bytes_per_second: u64,
    /// Make the directory of a user, `/USER`, when the user first makes a volume in it.
    pub auto_home: bool,
    /// Who may act as the user `root`: whoever says so (`trusted`), whoever has signed in (`token`), nobody (`deny`).
    pub root: RootAccess,
    /// How many watches may be open.
    pub max_watchers: usize,
    /// Roll back where the older API asks for it. Otherwise it answers that this is not supported, as it always did.
    pub rollback: bool,
    /// Whose texts the older API answers with.
    pub messages: Messages,
}

/// Whose texts the older API answers with.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Messages {
    /// Those of its document.
    #[default]
    Seed,
    /// Those of its first server.
    Upstream,
}

impl Default for Volumes {
    fn default() -> Self {
        Volumes {
            path: None,
            nbd: vec![Listen::Tcp { host: "127.0.0.1".to_owned(), port: 10809 }],
            nbd_connections: 1024,
            nbd_require_tls: false,
            min_size: GIB,
            max_size: 20 * 1024 * GIB,
            pools: vec!["default".to_owned()],
            max_snapshots: 1024,
            max_operations: 1000,
            running_operations: 4,
            trash_retention: Duration::from_hours(7 * 24),
            operation_retention: Duration::from_hours(7 * 24),
            copy_bytes_per_second: 0,
            auto_home: false,
            root: RootAccess::Trusted,
            max_watchers: 1000,
            rollback: false,
            messages: Messages::Seed,
        }
    }
}

impl Volumes {
    /// What the catalogue is told.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            min_size: self.min_size,
            max_size: self.max_size,
            pools: self.pools.clone(),
            max_snapshots: self.max_snapshots,
            max_operations: self.max_operations,
            running_operations: self.running_operations,
            trash_retention: self.trash_retention,
            operation_retention: self.operation_retention,
            copy_bytes_per_second: self.copy_bytes_per_second,
            auto_home: self.auto_home,
            root: self.root,
            max_watchers: self.max_watchers,
        }
    }

    /// Says which setting is wrong, and why.
    pub(super) fn problem(&self) -> Option<(&'static str, &'static str)> {
        const BLOCK: u64 = crate::volume::device::BLOCK_BYTES;
        /// Beyond this, offsets of files end.
        const LARGEST: u64 = 1 << 60;
        let is_pool = |pool: &String| !pool.is_empty() && pool.len() <= 63 && !pool.chars().any(char::is_control);
        let wrong = [
            ("volumes.min_size", "has to be a multiple of 4096, and 4096 at least", {
                self.min_size == 0 || !self.min_size.is_multiple_of(BLOCK)
            }),
            ("volumes.max_size", "has to be between volumes.min_size and 1 EiB", {
                self.max_size < self.min_size || self.max_size > LARGEST
            }),
            ("volumes.pools", "has to name one at least, each once, each of 1 to 63 bytes", {
                self.pools.is_empty()
                    || !self.pools.iter().all(is_pool)
                    || (1..self.pools.len()).any(|index| self.pools[..index].contains(&self.pools[index]))
            }),
            ("volumes.max_snapshots", "has to be between 1 and 4000", !(1..=4000).contains(&self.max_snapshots)),
            ("volumes.max_operations", "has to be between 1 and 100000", !(1..=100_000).contains(&self.max_operations)),
            ("volumes.running_operations", "has to be between 1 and 64", !(1..=64).contains(&self.running_operations)),
            ("volumes.nbd_connections", "has to be between 1 and 100000", {
                !(1..=100_000).contains(&self.nbd_connections)
            }),
            ("volumes.nbd", "names more than 16 addresses", self.nbd.len() > 16),
        ];
        wrong.into_iter().find(|(_, _, is_wrong)| *is_wrong).map(|(setting, problem, _)| (setting, problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_named() {
        assert_eq!(Volumes::default().problem(), None);
        let wrong = |change: fn(&mut Volumes)| {
            let mut volumes = Volumes::default();
            change(&mut volumes);
            volumes.problem().expect("something is wrong").0
        };
        assert_eq!(wrong(|volumes| volumes.min_size = 1000), "volumes.min_size");
        assert_eq!(wrong(|volumes| volumes.max_size = 4096), "volumes.max_size");
        assert_eq!(wrong(|volumes| volumes.pools.clear()), "volumes.pools");
        assert_eq!(wrong(|volumes| volumes.pools = vec!["a".to_owned(), "a".to_owned()]), "volumes.pools");
        assert_eq!(wrong(|volumes| volumes.running_operations = 0), "volumes.running_operations");
    }
}
