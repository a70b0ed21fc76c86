//! How patient with targets to be, and how much to hand them at a time.

use std::sync::Arc;
use std::time::Duration;

use super::super::settings::Settings;
use super::address::Addresses;

/// How long to wait before something is tried a second time.
const FIRST_DELAY: Duration = Duration::from_millis(500);

/// How patient with targets to be, and how much to hand them at a time.
#[derive(Clone)]
pub(super) struct Limits {
    /// How many bytes a chunk has.
    pub(super) chunk_bytes: u64,
    /// How often something is tried.
    pub(super) attempts: u32,
    pub(super) connect_timeout: Duration,
    pub(super) idle_timeout: Duration,
    /// How long to wait before something is tried a second time.
    pub(super) first_delay: Duration,
    pub(super) addresses: Arc<dyn Addresses>,
}

impl Limits {
    pub(super) fn new(settings: &Settings, addresses: Arc<dyn Addresses>) -> Self {
        Limits {
            chunk_bytes: settings.chunk_bytes.max(1),
            attempts: settings.attempts.max(1),
            connect_timeout: settings.connect_timeout,
            idle_timeout: settings.idle_timeout,
            first_delay: FIRST_DELAY,
            addresses,
        }
    }
}
