//! The settings of backup repositories.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Listen, duration};

/// Backup repositories.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting that stands alone")]
pub struct Restic {
    /// The directory of the repositories: the root repository itself, and the others below it. Without it: `restic`
    /// in the data directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Where repositories alone are served over HTTP, as rest-server does: `host:port`, `:port` or `unix:/path`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<Listen>,
    /// Nobody deletes anything but locks.
    pub append_only: bool,
    /// A user gets at the repositories whose path starts with the user's name, and at no others.
    pub private_repositories: bool,
    /// The SHA-256 of what is uploaded has to be its name.
    pub verify_uploads: bool,
    /// Files and directories can be read and written by the group.
    pub group_accessible: bool,
    /// How many bytes all repositories may have together; 0: no limit.
    pub max_bytes: u64,
    /// How many bytes one object may have.
    pub max_object_bytes: u64,
    /// How long a deleted object can be restored; zero: not at all.
    #[serde(with = "duration")]
    pub undelete: Duration,
    /// How old an object has to be before it can be deleted; locks can always be.
    #[serde(with = "duration")]
    pub min_age: Duration,
    /// How many watches may be open.
    pub max_watchers: usize,
    /// What single users may do, by their names; others may do everything that the settings above leave.
    pub users: BTreeMap<String, ResticUser>,
}

/// What a user may do.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct ResticUser {
    /// How much the user may change.
    pub access: Access,
    /// How many bytes the repositories that the user created may have together; 0: no limit.
    pub max_bytes: u64,
}

/// How much a user may change.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Nothing at all, and sees nothing.
    None,
    /// Reads, and takes and gives back locks.
    Read,
    /// Also adds.
    Append,
    /// Also deletes.
    #[default]
    Modify,
    /// Also sets quotas.
    Admin,
}

impl Default for Restic {
    fn default() -> Self {
        Restic {
            path: None,
            listen: None,
            append_only: false,
            private_repositories: false,
            verify_uploads: true,
            group_accessible: false,
            max_bytes: 0,
            max_object_bytes: 1024 * 1024 * 1024,
            undelete: Duration::ZERO,
            min_age: Duration::ZERO,
            max_watchers: 1000,
            users: BTreeMap::new(),
        }
    }
}
