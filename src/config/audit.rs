//! The settings of the audit.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration;

/// Less makes no file of it.
const LEAST_BYTES: u64 = 64 * 1024;
/// Longer is for ever.
const LONGEST: Duration = Duration::from_hours(100 * 365 * 24);

/// Who changed what, kept in the data directory.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// Keep entries at all.
    pub enabled: bool,
    /// How long they are kept, at least; up to an eighth longer.
    #[serde(with = "duration")]
    pub retention: Duration,
    /// How many bytes of them; then the oldest go.
    pub max_bytes: u64,
    /// What the answer to a change waits for.
    pub wait: Wait,
    /// What becomes of changes while entries cannot be written.
    pub on_failure: OnFailure,
    /// Whether signs of life, such as heartbeats and renewals, are entries too.
    pub heartbeats: bool,
}

/// What the answer to a change waits for.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// For nothing: when the process is killed, the entries of the last moment may be missing.
    No,
    /// Until its entry survives the end of the process. A loss of power may take the entries of the last second.
    #[default]
    Written,
    /// Until its entry survives a loss of power.
    Synced,
}

/// What becomes of changes while entries cannot be written.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// They go on. What is lost is counted, and said in the log.
    #[default]
    GoOn,
    /// They are refused.
    Refuse,
}

impl Default for Audit {
    fn default() -> Self {
        Audit {
            enabled: true,
            retention: Duration::from_hours(90 * 24),
            max_bytes: 1024 * 1024 * 1024,
            wait: Wait::default(),
            on_failure: OnFailure::default(),
            heartbeats: false,
        }
    }
}

impl Audit {
    /// What is wrong with it, if anything.
    pub(super) fn problem(&self) -> Option<(&'static str, &'static str)> {
        if self.retention.is_zero() {
            return Some(("audit.retention", "has to be longer than nothing"));
        }
        if self.retention > LONGEST {
            return Some(("audit.retention", "is longer than a hundred years"));
        }
        (self.max_bytes < LEAST_BYTES).then_some(("audit.max_bytes", "has to be 65536 at least"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_make_no_sense_are_named() {
        let day = Duration::from_hours(24);
        for (audit, named) in [
            (Audit { retention: Duration::ZERO, ..Audit::default() }, "audit.retention"),
            (Audit { retention: day * 365 * 101, ..Audit::default() }, "audit.retention"),
            (Audit { max_bytes: 1, ..Audit::default() }, "audit.max_bytes"),
        ] {
            assert_eq!(audit.problem().map(|(setting, _)| setting), Some(named));
        }
        assert_eq!(Audit::default().problem(), None);
        let read: Audit = toml::from_str("wait = \"synced\"\non_failure = \"refuse\"").unwrap();
        assert_eq!((read.wait, read.on_failure), (Wait::Synced, OnFailure::Refuse));
    }
}
