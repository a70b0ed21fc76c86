//! The index of a repository: what is where, without asking the file system.
//!
//! It follows the tree, never the other way round. A directory whose time of change is not the one that the index
//! agreed with has been changed by somebody else (or by us) and is read again before it is told of.

use std::fs;
use std::io;
use std::path::Path;

use parking_lot::{Mutex, MutexGuard};

use super::bucket::{BUCKETS, Bucket, BucketId, Difference, Entry};
use super::files;
use super::layout::Layout;
use super::name::{Kind, ObjectId};
use crate::clock::{Clock, Timestamp};

/// A directory that was changed this short a time ago can be changed again without another time of change: file systems
/// count in ticks.
const TICK: std::time::Duration = std::time::Duration::from_millis(50);
/// How often a directory is read beside our own changes of it, before these have to wait.
const ATTEMPTS: u32 = 4;

/// What is in a repository, beside its config.
#[derive(Debug)]
pub(super) struct Index {
    layout: Layout,
    buckets: Vec<Mutex<Bucket>>,
}

/// What others have changed in a directory.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Drift {
    /// Objects that came.
    pub(super) added: Vec<Entry>,
    /// Objects that went.
    pub(super) removed: Vec<Entry>,
}

impl Index {
    /// An index that knows nothing yet.
    pub(super) fn new(layout: Layout) -> Self {
        Index { layout, buckets: (0..BUCKETS).map(|_| Mutex::default()).collect() }
    }

    /// One bucket, for a moment.
    pub(super) fn bucket(&self, bucket: BucketId) -> MutexGuard<'_, Bucket> {
        self.buckets[usize::from(bucket.number())].lock()
    }

    /// What is known of an object.
    pub(super) fn get(&self, kind: Kind, id: ObjectId) -> Option<Entry> {
        self.bucket(BucketId::of(kind, id)).get(id)
    }

    /// Brings a bucket up to its directory, if that has changed. Blocks.
    pub(super) fn refresh(&self, bucket: BucketId, clock: &dyn Clock) -> io::Result<Drift> {
        let path = self.layout.bucket(bucket);
        for _ in 0..ATTEMPTS {
            let reading = Reading::begin(&path, clock)?;
            let generation = {
                let bucket = self.bucket(bucket);
                if reading.agrees_with(&bucket) {
                    return Ok(Drift::default());
                }
                bucket.generation
            };
            let names = reading.names(bucket)?;
            let difference = self.bucket(bucket).compare(&names);
            let drift = reading.look_at(difference)?;
            let mut bucket = self.bucket(bucket);
            if bucket.generation == generation {
                reading.apply(&drift, &mut bucket);
                return Ok(drift);
            }
        }
        // It is changed all the time: now the changes wait.
        let mut guard = self.bucket(bucket);
        let reading = Reading::begin(&path, clock)?;
        let drift = reading.look_at(guard.compare(&reading.names(bucket)?))?;
        reading.apply(&drift, &mut guard);
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

    /// The names of objects in the directory, in order.
    fn names(&self, bucket: BucketId) -> io::Result<Vec<ObjectId>> {
        let Some(entries) = files::optional(fs::read_dir(self.path))? else { return Ok(Vec::new()) };
        let mut names = Vec::new();
        for entry in entries {
            let id = entry?.file_name().to_str().and_then(ObjectId::parse);
            names.extend(id.filter(|id| BucketId::of(bucket.kind(), *id) == bucket));
        }
        names.sort_unstable();
        Ok(names)
    }

    fn look_at(&self, difference: Difference) -> io::Result<Drift> {
        let mut added = Vec::with_capacity(difference.unknown.len());
        for id in difference.unknown {
            added.extend(look(&self.path.join(id.hex()), id)?);
        }
        Ok(Drift { added, removed: difference.missing })
    }

    fn apply(&self, drift: &Drift, bucket: &mut Bucket) {
        if bucket.entries().is_empty() {
            bucket.fill(drift.added.clone());
        } else {
            for entry in &drift.added {
                bucket.insert(*entry);
            }
        }
        for entry in &drift.removed {
            bucket.remove(entry.id);
        }
        bucket.shrink();
        bucket.agreed = self.changed.filter(|changed| changed.plus(TICK) < self.begun);
    }
}

/// What the file of an object tells of it; `None` when there is no such file.
pub(super) fn look(path: &Path, id: ObjectId) -> io::Result<Option<Entry>> {
    let metadata = files::optional(fs::metadata(path))?.filter(fs::Metadata::is_file);
    Ok(metadata.map(|metadata| Entry { id, size: metadata.len(), arrive_time: files::modify_time(&metadata) }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
