//! One lock for each volume, which exists only while somebody wants it.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

type Lock = tokio::sync::Mutex<()>;

/// The locks of volumes.
#[derive(Default)]
pub(super) struct VolumeLocks(Mutex<HashMap<u64, Weak<Lock>>>);

impl VolumeLocks {
    /// Waits for the lock of one volume.
    pub(super) async fn one(&self, id: u64) -> OwnedMutexGuard<()> {
        self.get(id).lock_owned().await
    }

    /// Waits for the locks of several volumes, in the order of their ids, so that two that want the same do not wait for
    /// each other.
    pub(super) async fn all(&self, ids: impl IntoIterator<Item = u64>) -> Vec<OwnedMutexGuard<()>> {
        let mut ids: Vec<u64> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        let mut guards = Vec::with_capacity(ids.len());
        for id in ids {
            guards.push(self.one(id).await);
        }
        guards
    }

    fn get(&self, id: u64) -> Arc<Lock> {
        let mut locks = self.0.lock();
        if let Some(lock) = locks.get(&id).and_then(Weak::upgrade) {
            return lock;
        }
        // The volumes of a moment are few; those that nobody holds any more go when others come.
        locks.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::new(Lock::default());
        locks.insert(id, Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn one_volume_is_locked_once_and_others_stay_free() {
        let locks = VolumeLocks::default();
        let held = locks.all([7, 3, 7]).await;
        assert_eq!(held.len(), 2);
        assert!(locks.one(3).now_or_never().is_none());
        assert!(locks.one(4).now_or_never().is_some());
        drop(held);
        assert!(locks.one(3).now_or_never().is_some());
    }
}
