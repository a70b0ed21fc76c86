//! Single files and directories that are to be looked at.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::clock::Timestamp;

/// How many wait at most. What does not fit is seen by the next whole scan.
const MAX_WAITING: usize = 65_536;
/// How many are looked at in one go.
const MAX_TAKEN: usize = 512;

/// What is known of the file when it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trust {
    /// Nothing.
    Unknown,
    /// Whoever wrote it says that it is finished.
    Finished,
}

/// Paths in a library, and when to look at them.
#[derive(Debug, Default)]
pub(super) struct Looks {
    waiting: Mutex<BTreeMap<String, (Timestamp, Trust)>>,
    added: Notify,
}

impl Looks {
    /// Has a path looked at once it is `due`; later when it waits already, unless it is known to be finished.
    pub(super) fn add(&self, relative: String, due: Timestamp, trust: Trust) {
        let mut waiting = self.waiting.lock();
        if waiting.len() >= MAX_WAITING && !waiting.contains_key(&relative) {
            return;
        }
        let place = waiting.entry(relative).or_insert((due, trust));
        *place = match place.1.max(trust) {
            Trust::Unknown => (due.max(place.0), Trust::Unknown),
            Trust::Finished => (due.min(place.0), Trust::Finished),
        };
        drop(waiting);
        self.added.notify_one();
    }

    /// When the next one is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.waiting.lock().values().map(|(due, _)| *due).min()
    }

    /// Takes some of those that are due.
    pub(super) fn take(&self, now: Timestamp) -> Vec<(String, Trust)> {
        let mut waiting = self.waiting.lock();
        let due: Vec<(String, Trust)> = waiting
            .iter()
            .filter(|(_, (due, _))| *due <= now)
            .take(MAX_TAKEN)
            .map(|(path, (_, trust))| (path.clone(), *trust))
            .collect();
        for (path, _) in &due {
            waiting.remove(path);
        }
        due
    }

    /// Returns when one has been added since the last call.
    pub(super) async fn added(&self) {
        self.added.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_waits_once_and_a_finished_one_does_not_wait_longer() {
        let (looks, at) = (Looks::default(), Timestamp::from_nanos);
        looks.add("a".to_owned(), at(5), Trust::Unknown);
        looks.add("a".to_owned(), at(9), Trust::Unknown);
        looks.add("a".to_owned(), at(7), Trust::Unknown);
        assert_eq!((looks.next_due(), looks.take(at(8))), (Some(at(9)), vec![]));
        looks.add("a".to_owned(), at(6), Trust::Finished);
        looks.add("a".to_owned(), at(20), Trust::Unknown);
        assert_eq!(looks.take(at(6)), [("a".to_owned(), Trust::Finished)]);
        assert_eq!(looks.next_due(), None);
    }

    #[test]
    fn what_does_not_fit_is_left_to_the_next_scan() {
        let looks = Looks::default();
        for number in 0..=MAX_WAITING {
            looks.add(number.to_string(), Timestamp::from_nanos(1), Trust::Unknown);
        }
        assert_eq!(looks.waiting.lock().len(), MAX_WAITING);
        assert_eq!(looks.take(Timestamp::MAX).len(), MAX_TAKEN);
    }
}
