//! What a library remembers from one look to the next, and loses at a restart.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::stable::Stability;
use super::stat::Stat;

/// How many files that cannot be taken up are remembered.
const MAX_FAILURES: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) stability: Mutex<Stability>,
    /// Files that could not be probed, as they were: they are not probed again, nor told of, until they change.
    failures: Mutex<HashMap<String, Stat>>,
    /// What was told of files that cannot be taken up.
    told: Mutex<HashMap<String, String>>,
    /// What went wrong in the last whole scan.
    error: Mutex<Option<String>>,
}

impl Memory {
    /// Whether the file could not be probed, just as it is now.
    pub(super) fn is_bad(&self, path: &str, stat: Stat) -> bool {
        self.failures.lock().get(path) == Some(&stat)
    }

    /// The file cannot be probed as it is.
    pub(super) fn note_bad(&self, path: &str, stat: Stat) {
        insert(&mut self.failures.lock(), path, stat);
    }

    /// Notes what is wrong with a file. Returns whether that is news.
    pub(super) fn note_fault(&self, path: &str, problem: &str) -> bool {
        let mut told = self.told.lock();
        let is_news = told.get(path).is_none_or(|before| before != problem);
        if is_news {
            insert(&mut told, path, problem.to_owned());
        }
        is_news
    }

    /// The file is gone, or is known as it is now.
    pub(super) fn forget(&self, path: &str) {
        self.stability.lock().forget(path);
        self.failures.lock().remove(path);
        self.told.lock().remove(path);
    }

    /// Notes how a whole scan ended. Returns whether that is news.
    pub(super) fn note_error(&self, error: Option<&str>) -> bool {
        let mut noted = self.error.lock();
        let is_news = noted.as_deref() != error;
        *noted = error.map(str::to_owned);
        is_news
    }
}

/// Remembers one more, and begins anew when there are too many.
fn insert<T>(kept: &mut HashMap<String, T>, path: &str, value: T) {
    if kept.len() >= MAX_FAILURES {
        kept.clear();
    }
    kept.insert(path.to_owned(), value);
}
