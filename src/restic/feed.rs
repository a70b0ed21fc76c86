//! What happened lately, for those who watch.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::bucket::Entry;
use super::error::Error;
use super::name::{ObjectName, RepositoryPath};
use crate::clock::Timestamp;

/// How many changes are remembered.
const REMEMBERED: usize = 65_536;

/// A change of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// Strictly increasing.
    pub(super) revision: i64,
    pub(super) repository: RepositoryPath,
    pub(super) object: ObjectName,
    /// Its size and arrival when it was stored; `None`: it was deleted.
    pub(super) stored: Option<(u64, Timestamp)>,
}

/// The memory of changes. It begins with the process: the tree has no history.
#[derive(Debug)]
pub(super) struct Feed {
    changes: Mutex<Changes>,
    newest: watch::Sender<i64>,
}

#[derive(Debug)]
struct Changes {
    /// Before the first one that is remembered.
    floor: i64,
    newest: i64,
    kept: VecDeque<Change>,
}

impl Feed {
    /// Begins with a revision that no earlier process of this machine had, as long as its clock is not set back.
    pub(super) fn new(now: Timestamp) -> Self {
        let floor = now.nanos().max(1);
        let changes = Mutex::new(Changes { floor, newest: floor, kept: VecDeque::new() });
        Feed { changes, newest: watch::Sender::new(floor) }
    }

    /// Tells of an object that was stored.
    pub(super) fn stored(&self, repository: &RepositoryPath, object: ObjectName, entry: (u64, Timestamp)) {
        self.tell(repository, object, Some(entry));
    }

    /// Tells of an object that was deleted.
    pub(super) fn deleted(&self, repository: &RepositoryPath, object: ObjectName) {
        self.tell(repository, object, None);
    }

    fn tell(&self, repository: &RepositoryPath, object: ObjectName, stored: Option<(u64, Timestamp)>) {
        let mut changes = self.changes.lock();
        changes.newest += 1;
        let revision = changes.newest;
        if changes.kept.len() == REMEMBERED
            && let Some(forgotten) = changes.kept.pop_front()
        {
            changes.floor = forgotten.revision;
        }
        changes.kept.push_back(Change { revision, repository: repository.clone(), object, stored });
        drop(changes);
        self.newest.send_replace(revision);
    }

    /// The revision of the newest change.
    pub(super) fn newest(&self) -> i64 {
        self.changes.lock().newest
    }

    /// Up to `limit` changes after `revision`.
    pub(super) fn after(&self, revision: i64, limit: usize) -> Result<Vec<Change>, Error> {
        let changes = self.changes.lock();
        if revision < changes.floor {
            return Err(Error::Compacted { asked: revision, floor: changes.floor });
        }
        let start = changes.kept.partition_point(|change| change.revision <= revision);
        Ok(changes.kept.range(start..).take(limit).cloned().collect())
    }

    /// Is told the revision of each change.
    pub(super) fn subscribe(self: &Arc<Self>) -> watch::Receiver<i64> {
        self.newest.subscribe()
    }
}

/// What an entry of the index is in a change.
impl From<Entry> for (u64, Timestamp) {
    fn from(entry: Entry) -> Self {
        (entry.size, entry.arrive_time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::restic::name::{Kind, ObjectId};

    #[test]
    fn changes_are_told_in_order_and_forgotten_loudly() {
        let feed = Feed::new(Timestamp::from_nanos(100));
        let object = ObjectName::Blob(Kind::Data, ObjectId([1; 32]));
        feed.stored(&RepositoryPath::default(), object, (5, Timestamp::from_nanos(7)));
        feed.deleted(&RepositoryPath::default(), object);
        let told = feed.after(100, 10).unwrap();
        assert_eq!(
            told.iter().map(|change| (change.revision, change.stored.is_some())).collect::<Vec<_>>(),
            [(101, true), (102, false)]
        );
        assert_eq!(feed.after(101, 10).unwrap().len(), 1);
        assert!(matches!(feed.after(99, 10), Err(Error::Compacted { floor: 100, .. })));
        for _ in 0..REMEMBERED {
            feed.deleted(&RepositoryPath::default(), object);
        }
        assert!(matches!(feed.after(101, 10), Err(Error::Compacted { floor: 102, .. })));
        assert_eq!(feed.after(102, 3).unwrap().len(), 3);
    }
}
