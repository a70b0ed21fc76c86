//! The settings of the legacy APIs.

use std::path::PathBuf;
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
    /// How a gateway on its own speaks TLS with its server.
    pub upstream: Upstream,
}

/// How a gateway on its own speaks TLS with its server; of use for an upstream with `https://`. All of it is read again
/// when it changes.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Upstream {
    /// Certificates that are trusted instead of those of the system, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// The certificate that the gateway shows, with its chain, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    /// Its private key, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
}

impl Upstream {
    /// Says which setting is wrong, and why.
    pub(super) fn problem(&self) -> Option<(&'static str, &'static str)> {
        match (&self.cert, &self.key) {
            (Some(_), None) => {
                Some(("gateway.upstream.key", "is missing, and gateway.upstream.cert is of no use without it"))
            }
            (None, Some(_)) => {
                Some(("gateway.upstream.cert", "is missing, and gateway.upstream.key is of no use without it"))
            }
            (None, None) | (Some(_), Some(_)) => None,
        }
    }
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
            upstream: Upstream::default(),
        }
    }
}
