//! What can be set about artifacts.

use std::time::Duration;

/// What can be set about artifacts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a file or blob may be, in bytes.
    pub max_blob_bytes: u64,
    /// How long an upload is kept to which nothing comes.
    pub upload_retention: Duration,
    /// How many uploads may be under way.
    pub max_uploads: usize,
    /// How long bytes stay after nothing needs them any more.
    pub sweep_after: Duration,
    /// How long changes are kept for those who follow them.
    pub change_retention: Duration,
    /// How many watches may be open.
    pub max_watchers: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            max_blob_bytes: 64 << 30,
            upload_retention: Duration::from_hours(12),
            max_uploads: 4096,
            sweep_after: Duration::from_hours(24),
            change_retention: Duration::from_hours(7 * 24),
            max_watchers: 1024,
        }
    }
}
