//! The settings of the legacy APIs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration;

/// The translation of the legacy APIs.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Gateway {
    /// What an unlock without `success` means.
    pub absent_success: AbsentSuccess,
    /// How long an upload to a repository may bring no bytes before it is given up.
    #[serde(with = "duration")]
    pub body_idle_timeout: Duration,
    /// Compress long lists of objects for clients that offer it: worth it only where the network is slow.
    pub compress_lists: bool,
}

/// What an unlock without `success` means.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum AbsentSuccess {
    /// That the work failed.
    #[default]
    Failure,
    /// That it succeeded, unless there is an `error`.
    Infer,
}

impl Default for Gateway {
    fn default() -> Self {
        Gateway {
            absent_success: AbsentSuccess::default(),
            body_idle_timeout: Duration::from_mins(1),
            compress_lists: false,
        }
    }
}
