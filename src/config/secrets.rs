//! The settings of stored secrets.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Config;

/// Stored secrets: the passwords of registries and clusters.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Secrets {
    /// The file with the key that stored secrets are encrypted with. Without it: `secrets.key` in the data directory,
    /// made at the first start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
}

impl Config {
    /// Where the key of stored secrets is.
    pub fn key_file(&self) -> PathBuf {
        let set = self.secrets.key_file.as_ref().or(self.replication.key_file.as_ref());
        set.cloned().unwrap_or_else(|| self.store.data.join("secrets.key"))
    }

    /// Says whether the setting and its older name contradict each other.
    pub(super) fn names_two_key_files(&self) -> bool {
        let (new, old) = (&self.secrets.key_file, &self.replication.key_file);
        new.is_some() && old.is_some() && new != old
    }
}
