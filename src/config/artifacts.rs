//! The settings of artifacts.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration;
use crate::artifact::Settings;

/// Artifacts: files and images.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Artifacts {
    /// The directory of their bytes. Without it: `blobs` in the data directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// How long a file or blob may be, in bytes.
    pub max_blob_bytes: u64,
    /// How long an upload is kept to which nothing comes.
    #[serde(with = "duration")]
    pub upload_retention: Duration,
    /// How many uploads may be under way.
    pub max_uploads: usize,
    /// How long bytes stay after nothing needs them any more.
    #[serde(with = "duration")]
    pub sweep_after: Duration,
    /// How long changes are kept for those who follow them.
    #[serde(with = "duration")]
    pub change_retention: Duration,
    /// How many watches may be open.
    pub max_watchers: usize,
}

impl Default for Artifacts {
    fn default() -> Self {
        let settings = Settings::default();
        Artifacts {
            path: None,
            max_blob_bytes: settings.max_blob_bytes,
            upload_retention: settings.upload_retention,
            max_uploads: settings.max_uploads,
            sweep_after: settings.sweep_after,
            change_retention: settings.change_retention,
            max_watchers: settings.max_watchers,
        }
    }
}

impl Artifacts {
    /// As the area takes them.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            max_blob_bytes: self.max_blob_bytes,
            upload_retention: self.upload_retention,
            max_uploads: self.max_uploads,
            sweep_after: self.sweep_after,
            change_retention: self.change_retention,
            max_watchers: self.max_watchers,
        }
    }

    /// Says which setting is wrong, and why.
    pub(super) fn problem(&self) -> Option<(&'static str, &'static str)> {
        const LARGEST: u64 = 1 << 50;
        const A_MINUTE: Duration = Duration::from_mins(1);
        let wrong = [
            ("artifacts.max_blob_bytes", "has to be between 1 and 1 PiB", {
                !(1..=LARGEST).contains(&self.max_blob_bytes)
            }),
            ("artifacts.upload_retention", "has to be a minute at least", self.upload_retention < A_MINUTE),
            ("artifacts.change_retention", "has to be a minute at least", self.change_retention < A_MINUTE),
            ("artifacts.max_uploads", "has to be between 1 and 1000000", !(1..=1_000_000).contains(&self.max_uploads)),
        ];
        wrong.into_iter().find(|(_, _, is_wrong)| *is_wrong).map(|(setting, problem, _)| (setting, problem))
    }
}
