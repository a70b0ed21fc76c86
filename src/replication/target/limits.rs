//! How patient with targets to be, and how much to hand them at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::super::settings::Settings;
use super::TargetError;
use super::address::Addresses;

/// How long to wait before something is tried a second time.
const FIRST_DELAY: Duration = Duration::from_millis(500);

/// How much of blobs one run has in memory at a time, in KiB. A run whose target is slow does not hold up the others.
const MEMORY_KIB: u32 = 24 * 1024;

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
    /// What is left of the memory for blobs, in KiB.
    pub(super) memory: Arc<Semaphore>,
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
            memory: Self::memory(),
        }
    }

    /// The same with memory of its own.
    #[must_use]
    pub(super) fn for_one_run(&self) -> Self {
        Limits { memory: Self::memory(), ..self.clone() }
    }

    pub(super) fn memory() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(MEMORY_KIB as usize))
    }

    /// Waits until so many bytes may be in memory; more than there may ever be wait until nothing else is.
    pub(super) async fn room(&self, bytes: u64) -> Result<OwnedSemaphorePermit, TargetError> {
        let wanted = u32::try_from(bytes.div_ceil(1024)).unwrap_or(MEMORY_KIB).clamp(1, MEMORY_KIB);
        Arc::clone(&self.memory).acquire_many_owned(wanted).await.map_err(|_| TargetError::Cancelled)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::limits;
    use super::*;

    #[tokio::test]
    async fn no_more_than_some_chunks_are_in_memory_and_one_that_is_longer_comes_alone() {
        let limits = limits(Arc::default());
        let mut chunks = Vec::new();
        for _ in 0..6 {
            chunks.push(limits.room(4 << 20).await.unwrap());
        }
        assert!(limits.memory.try_acquire().is_err(), "a seventh waits");
        assert!(limits.for_one_run().memory.try_acquire().is_ok(), "another run has its own");
        drop(chunks);
        let _long = limits.room(1 << 40).await.unwrap();
        assert!(limits.memory.try_acquire().is_err());
    }
}
