//! The index of a repository: what is where, without asking the file system.
//!
//! It follows the tree, never the other way round. A directory whose time of change is not the one that the index
//! agreed with has been changed by somebody else (or by us) and is read again before it is told of.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::bucket::{BUCKETS, Bucket, BucketId, Drift, Entry};
use super::files;
use super::layout::Layout;
use super::name::{Kind, ObjectId};
use crate::clock::{Clock, Timestamp};

/// A directory that was changed this short a time ago can be changed again without another time of change: file systems
/// count in ticks, of up to two seconds. A file that was written this short a time ago may still be growing.
const TICK: Duration = Duration::from_millis(2500);

/// What is in a repository, beside its config.
#[derive(Debug)]
pub(super) struct Index {
    layout: Layout,
    buckets: Vec<Mutex<Bucket>>,
    /// Whether it has changed since it was saved.
    pub(super) is_unsaved: AtomicBool,
}

impl Index {
    /// An index that knows nothing yet.
    pub(super) fn new(layout: Layout) -> Self {
        let buckets = (0..BUCKETS).map(|_| Mutex::default()).collect();
        Index { layout, buckets, is_unsaved: AtomicBool::new(false) }
    }

    /// One bucket, for a moment.
    pub(super) fn bucket(&self, bucket: BucketId) -> MutexGuard<'_, Bucket> {
        self.buckets[usize::from(bucket.number())].lock()
    }

    /// What is known of an object.
    pub(super) fn get(&self, kind: Kind, id: ObjectId) -> Option<Entry> {
        self.bucket(BucketId::of(kind, id)).get(id)
    }

    /// Brings a bucket up to its directory, if that has changed. Returns what others have changed. Blocks.
    pub(super) fn refresh(&self, id: BucketId, clock: &dyn Clock) -> io::Result<Drift> {
        let path = self.layout.bucket(id);
        let reading = Reading::begin(&path, clock)?;
        {
            let mut bucket = self.bucket(id);
            if reading.agrees_with(&bucket) {
                return Ok(Drift::default());
            }
            bucket.begin_reading();
        }
        let result = self.read(id, &reading);
        self.bucket(id).end_reading();
        result
    }

    /// The bucket is free while the directory is read, and what is changed in it meanwhile counts.
    fn read(&self, id: BucketId, reading: &Reading) -> io::Result<Drift> {
        let names = reading.names(id)?;
        let difference = self.bucket(id).compare(&names, reading.young_since());
        let found = reading.look_at(difference.unknown.into_iter().chain(difference.young))?;
        let is_settled = found.iter().all(|entry| entry.arrive_time <= reading.young_since());
        let mut bucket = self.bucket(id);
        let drift = bucket.apply(found, &difference.missing);
        bucket.shrink();
        bucket.agreed = reading.changed.filter(|changed| is_settled && *changed <= reading.young_since());
        self.is_unsaved.store(true, Ordering::Relaxed);
        Ok(drift)
    }
}

/// One look at a directory.
struct Reading<'a> {
    path: &'a Path,
    begun: Timestamp,
    /// The last change of the directory; `None` when there is none.
    changed: Option<Timestamp>,
}

impl<'a> Reading<'a> {
    fn begin(path: &'a Path, clock: &dyn Clock) -> io::Result<Self> {
        let begun = clock.now();
        let changed = files::optional(fs::metadata(path))?.as_ref().map(files::modify_time);
        Ok(Reading { path, begun, changed })
    }

    fn agrees_with(&self, bucket: &Bucket) -> bool {
        match self.changed {
            Some(changed) => bucket.agreed == Some(changed),
            None => bucket.entries().is_empty(),
        }
    }

    /// What changed after this may change again without being noticed.
    fn young_since(&self) -> Timestamp {
        let tick = i64::try_from(TICK.as_nanos()).unwrap_or(i64::MAX);
        Timestamp::from_nanos(self.begun.nanos().saturating_sub(tick))
    }

    /// The names of objects in the directory, in order.
    fn names(&self, bucket: BucketId) -> io::Result<Vec<ObjectId>> {
        let Some(entries) = files::optional(fs::read_dir(self.path))? else { return Ok(Vec::new()) };
        let mut names = Vec::new();
        for entry in entries {
            names.extend(bucket.object_named(&entry?.file_name()));
        }
        names.sort_unstable();
        Ok(names)
    }

    fn look_at(&self, ids: impl Iterator<Item = ObjectId>) -> io::Result<Vec<Entry>> {
        let mut found = Vec::new();
        for id in ids {
            found.extend(look(&self.path.join(id.hex()), id)?);
        }
        found.sort_unstable_by_key(|entry| entry.id);
        Ok(found)
    }
}

/// What the file of an object tells of it; `None` when there is no such file.
pub(super) fn look(path: &Path, id: ObjectId) -> io::Result<Option<Entry>> {
    let metadata = files::optional(fs::metadata(path))?.filter(fs::Metadata::is_file);
    Ok(metadata.map(|metadata| Entry { id, size: metadata.len(), arrive_time: files::modify_time(&metadata) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::restic::name::RepositoryPath;

    struct Tree {
        home: tempfile::TempDir,
        index: Index,
        clock: ManualClock,
    }

    const INDEX: Kind = Kind::Index;

    fn bucket() -> BucketId {
        BucketId::of(INDEX, ObjectId([0; 32]))
    }

    impl Tree {
        fn new() -> Self {
            let home = tempfile::tempdir().unwrap();
            fs::create_dir(home.path().join("index")).unwrap();
            let index = Index::new(Layout::new(home.path(), &RepositoryPath::default()));
            let clock = ManualClock::new();
            // After the times that the file system gives.
            clock.advance(Duration::from_hours(100 * 365 * 24));
            Tree { home, index, clock }
        }

        fn write(&self, first: u8) {
            let id = ObjectId([first; 32]);
            fs::write(self.home.path().join("index").join(id.hex()), [first]).unwrap();
        }

        fn refresh(&self) -> Drift {
            self.index.refresh(bucket(), &self.clock).unwrap()
        }
    }

    fn ids(entries: &[Entry]) -> Vec<u8> {
        entries.iter().map(|entry| entry.id.0[0]).collect()
    }

    #[test]
    fn what_others_add_and_remove_is_found() {
        let tree = Tree::new();
        tree.write(2);
        tree.write(1);
        fs::write(tree.home.path().join("index").join("not-an-object"), "x").unwrap();
        assert_eq!(ids(&tree.refresh().added), [1, 2]);
        assert_eq!(tree.refresh(), Drift::default());

        fs::remove_file(tree.home.path().join("index").join(ObjectId([1; 32]).hex())).unwrap();
        tree.write(3);
        let drift = tree.refresh();
        assert_eq!((ids(&drift.added), ids(&drift.removed)), (vec![3], vec![1]));
        assert_eq!(ids(tree.index.bucket(bucket()).entries()), [2, 3]);
    }

    #[test]
    fn a_directory_that_just_changed_is_not_trusted() {
        let mut tree = Tree::new();
        tree.clock = ManualClock::new();
        tree.write(1);
        assert_eq!(ids(&tree.refresh().added), [1]);
        assert_eq!(tree.index.bucket(bucket()).agreed, None);
    }

    #[test]
    fn a_directory_that_is_gone_empties_its_bucket() {
        let tree = Tree::new();
        tree.write(1);
        tree.refresh();
        fs::remove_dir_all(tree.home.path().join("index")).unwrap();
        assert_eq!(ids(&tree.refresh().removed), [1]);
        assert_eq!(tree.refresh(), Drift::default());
    }
}
