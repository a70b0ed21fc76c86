//! How far operations are at this moment. Records know it as of a few seconds ago.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// How far one operation is.
#[derive(Debug, Default)]
pub(super) struct Meter {
    done: AtomicU64,
    total: AtomicU64,
}

impl Meter {
    pub(super) fn set_total(&self, bytes: u64) {
        self.total.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes that are done, and bytes that are to be.
    pub(super) fn read(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed))
    }
}

/// The operations that are running.
#[derive(Debug, Default)]
pub(super) struct Progress(Mutex<HashMap<String, Arc<Meter>>>);

impl Progress {
    /// Begins to measure an operation.
    pub(super) fn start(&self, operation: &str) -> Arc<Meter> {
        let meter = Arc::new(Meter::default());
        self.0.lock().insert(operation.to_owned(), Arc::clone(&meter));
        meter
    }

    /// The operation runs no more.
    pub(super) fn end(&self, operation: &str) {
        self.0.lock().remove(operation);
    }

    /// How far an operation is that runs: bytes that are done, and bytes that are to be.
    pub(super) fn of(&self, operation: &str) -> Option<(u64, u64)> {
        self.0.lock().get(operation).map(|meter| meter.read())
    }

    /// The same in percent, never 100: that is what an operation is that has ended.
    pub(super) fn percent(&self, operation: &str) -> Option<u32> {
        self.of(operation).map(|(done, total)| percent(done, total))
    }
}

/// How much of the total is done, in percent and below 100.
pub(super) fn percent(done: u64, total: u64) -> u32 {
    let percent = u128::from(done) * 100 / u128::from(total.max(1));
    u32::try_from(percent).map_or(99, |percent| percent.min(99))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_never_all_done_while_it_runs() {
        let progress = Progress::default();
        assert_eq!(progress.percent("a"), None);
        let meter = progress.start("a");
        meter.set_total(200);
        meter.add(50);
        assert_eq!(progress.percent("a"), Some(25));
        meter.add(1000);
        assert_eq!(progress.percent("a"), Some(99));
        progress.end("a");
        assert_eq!(progress.of("a"), None);
    }
}
