//! What one directory of a repository holds, as far as is known.

use std::ffi::OsStr;

use super::name::{Kind, ObjectId};
use crate::clock::Timestamp;

/// How many directories of objects a repository has: 256 of data and one of each other kind.
pub(super) const BUCKETS: usize = 260;

/// A directory of objects. The order is that of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct BucketId(u16);

impl BucketId {
    /// The directory that has an object.
    pub(super) fn of(kind: Kind, id: ObjectId) -> Self {
        match kind {
            Kind::Data => BucketId(u16::from(id.0[0])),
            Kind::Index => BucketId(256),
            Kind::Key => BucketId(257),
            Kind::Lock => BucketId(258),
            Kind::Snapshot => BucketId(259),
        }
    }

    /// The directories of a kind, in the order of the names in them.
    pub(super) fn all(kind: Kind) -> Buckets {
        Buckets(match kind {
            Kind::Data => 0..256,
            Kind::Index => 256..257,
            Kind::Key => 257..258,
            Kind::Lock => 258..259,
            Kind::Snapshot => 259..260,
        })
    }

    /// All directories of a repository.
    pub(super) fn every() -> impl Iterator<Item = BucketId> {
        Kind::ALL.into_iter().flat_map(BucketId::all)
    }

    /// A directory by its number, if there is such a one.
    pub(super) fn from_number(number: u16) -> Option<Self> {
        (usize::from(number) < BUCKETS).then_some(BucketId(number))
    }

    /// Its number: less than [`BUCKETS`].
    pub(super) fn number(self) -> u16 {
        self.0
    }

    /// What is in it.
    pub(super) fn kind(self) -> Kind {
        match self.0 {
            256 => Kind::Index,
            257 => Kind::Key,
            258 => Kind::Lock,
            259 => Kind::Snapshot,
            _ => Kind::Data,
        }
    }

    /// The object that a file of this name in it is; `None`: it is none.
    pub(super) fn object_named(self, file_name: &OsStr) -> Option<ObjectId> {
        let id = file_name.to_str().and_then(ObjectId::parse);
        id.filter(|id| BucketId::of(self.kind(), *id) == self)
    }

    /// The first byte of the names in it; only for data.
    pub(super) fn fan_out(self) -> Option<u8> {
        u8::try_from(self.0).ok()
    }
}

/// Some directories, in their order.
#[derive(Clone, Debug)]
pub(super) struct Buckets(std::ops::Range<u16>);

impl Iterator for Buckets {
    type Item = BucketId;

    fn next(&mut self) -> Option<BucketId> {
        self.0.next().map(BucketId)
    }
}

/// An object in its bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: ObjectId,
    /// In bytes.
    pub(super) size: u64,
    /// When it arrived.
    pub(super) arrive_time: Timestamp,
}

/// The objects of one directory.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    /// In the order of their names.
    entries: Vec<Entry>,
    /// Objects whose files come or go just now.
    in_flight: Vec<ObjectId>,
    /// How many readings of the directory are under way.
    readings: u32,
    /// What was changed here while there were readings: they must not judge it by what they saw.
    touched: Vec<ObjectId>,
    /// The last change of the directory that the entries agree with; `None`: it has to be read.
    pub(super) agreed: Option<Timestamp>,
}

/// What a directory turned out to hold beside what was known.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// Names without entries.
    pub(super) unknown: Vec<ObjectId>,
    /// Entries whose files were still being written when they were looked at, perhaps.
    pub(super) young: Vec<ObjectId>,
    /// Entries without files.
    pub(super) missing: Vec<ObjectId>,
}

/// What has changed in a bucket.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Drift {
    /// Objects that came.
    pub(super) added: Vec<Entry>,
    /// Objects that went.
    pub(super) removed: Vec<Entry>,
}

impl Bucket {
    fn position(&self, id: ObjectId) -> Result<usize, usize> {
        self.entries.binary_search_by(|entry| entry.id.cmp(&id))
    }

    /// An object, if it is known.
    pub(super) fn get(&self, id: ObjectId) -> Option<Entry> {
        self.position(id).ok().map(|at| self.entries[at])
    }

    /// All of them, in order.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entries behind `after`, or all.
    pub(super) fn entries_after(&self, after: Option<ObjectId>) -> &[Entry] {
        let start = after.map_or(0, |after| self.entries.partition_point(|entry| entry.id <= after));
        &self.entries[start..]
    }

    /// Gives a bucket that nobody uses yet all its entries; they are in order.
    pub(super) fn fill(&mut self, entries: Vec<Entry>) {
        self.entries = entries;
    }

    /// Knows an object from now on. `None`: it was not known; else what it replaces.
    pub(super) fn insert(&mut self, entry: Entry) -> Option<Entry> {
        self.touch(entry.id);
        match self.position(entry.id) {
            Ok(at) => Some(std::mem::replace(&mut self.entries[at], entry)),
            Err(at) => {
                self.entries.insert(at, entry);
                None
            }
        }
    }

    /// Forgets an object. Returns what was known of it.
    pub(super) fn remove(&mut self, id: ObjectId) -> Option<Entry> {
        self.touch(id);
        self.position(id).ok().map(|at| self.entries.remove(at))
    }

    /// Says that the file of an object comes or goes: a reader of the directory leaves it to who said so.
    pub(super) fn take_off(&mut self, id: ObjectId) {
        self.touch(id);
        self.in_flight.push(id);
    }

    fn touch(&mut self, id: ObjectId) {
        if self.readings > 0 {
            self.touched.push(id);
        }
    }

    /// Ends [`Bucket::take_off`].
    pub(super) fn land(&mut self, id: ObjectId) {
        self.touch(id);
        if let Some(at) = self.in_flight.iter().position(|flying| *flying == id) {
            self.in_flight.swap_remove(at);
        }
    }

    /// Says that the directory is going to be read. To be followed by [`Bucket::end_reading`], whatever happens.
    pub(super) fn begin_reading(&mut self) {
        self.readings += 1;
    }

    /// Ends a reading without a result.
    pub(super) fn end_reading(&mut self) {
        self.readings -= 1;
        if self.readings == 0 {
            self.touched = Vec::new();
        }
    }

    /// Compares the entries with the names that the directory has, which are in order. Entries that arrived after
    /// `young_since` may have been looked at too early.
    pub(super) fn compare(&self, names: &[ObjectId], young_since: Timestamp) -> Difference {
        let mut difference = Difference::default();
        let mut entries = self.entries.iter().peekable();
        for name in names {
            while let Some(entry) = entries.next_if(|entry| entry.id < *name) {
                difference.missing.push(entry.id);
            }
            match entries.next_if(|entry| entry.id == *name) {
                None => difference.unknown.push(*name),
                Some(entry) if entry.arrive_time > young_since => difference.young.push(*name),
                Some(_) => {}
            }
        }
        difference.missing.extend(entries.map(|entry| entry.id));
        for ids in [&mut difference.unknown, &mut difference.young, &mut difference.missing] {
            ids.retain(|id| !self.in_flight.contains(id));
        }
        difference
    }

    /// Takes over what a reading found, but for what was changed here meanwhile. Returns what that changed.
    pub(super) fn apply(&mut self, found: Vec<Entry>, missing: &[ObjectId]) -> Drift {
        let touched: Vec<ObjectId> = self.touched.clone();
        let mut drift = Drift::default();
        if self.entries.is_empty() && touched.is_empty() && self.readings == 1 {
            self.entries.clone_from(&found);
            drift.added = found;
            return drift;
        }
        for entry in found.into_iter().filter(|entry| !touched.contains(&entry.id)) {
            if self.get(entry.id) == Some(entry) {
                continue;
            }
            drift.removed.extend(self.insert(entry));
            drift.added.push(entry);
        }
        for id in missing.iter().filter(|id| !touched.contains(id)) {
            drift.removed.extend(self.remove(*id));
        }
        drift
    }

    /// Gives back memory that is not needed.
    pub(super) fn shrink(&mut self) {
        if self.entries.capacity() > self.entries.len() + self.entries.len() / 4 {
            self.entries.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn id(first: u8) -> ObjectId {
        ObjectId([first; 32])
    }

    fn entry(first: u8) -> Entry {
        Entry { id: id(first), size: u64::from(first), arrive_time: Timestamp::from_nanos(0) }
    }

    #[test]
    fn every_object_has_one_bucket_of_its_kind() {
        assert_eq!(BucketId::every().count(), BUCKETS);
        for kind in Kind::ALL {
            for bucket in BucketId::all(kind) {
                assert_eq!(bucket.kind(), kind);
                assert_eq!(BucketId::of(kind, id(bucket.fan_out().unwrap_or(7))), bucket);
                assert_eq!(BucketId::from_number(bucket.number()), Some(bucket));
            }
        }
        assert_eq!(BucketId::from_number(260), None);
    }

    #[test]
    fn what_is_in_flight_is_left_to_its_pilot() {
        let mut bucket = Bucket::default();
        bucket.insert(entry(1));
        bucket.take_off(id(1));
        bucket.take_off(id(2));
        let unknown = |unknown| Difference { unknown, ..Difference::default() };
        assert_eq!(bucket.compare(&[id(2), id(3)], Timestamp::MAX), unknown(vec![id(3)]));
        bucket.land(id(1));
        bucket.land(id(2));
        let difference = bucket.compare(&[id(2)], Timestamp::MAX);
        assert_eq!(difference, Difference { missing: vec![id(1)], ..unknown(vec![id(2)]) });
    }

    #[test]
    fn a_reading_does_not_judge_what_was_changed_meanwhile() {
        let mut bucket = Bucket::default();
        bucket.insert(entry(1));
        bucket.begin_reading();
        bucket.begin_reading();
        bucket.insert(entry(2));
        bucket.remove(id(1));
        // It saw 1, 3 and 4, and not 2.
        let drift = bucket.apply(vec![entry(1), entry(3), entry(4)], &[id(2)]);
        assert_eq!(drift, Drift { added: vec![entry(3), entry(4)], removed: vec![] });
        bucket.end_reading();
        // The second one saw the same: what the first has entered is not entered again.
        assert_eq!(bucket.apply(vec![entry(3), entry(4)], &[]), Drift::default());
        bucket.end_reading();
        assert_eq!(bucket.entries(), [entry(2), entry(3), entry(4)]);
        assert_eq!(bucket.touched, []);
    }

    #[test]
    fn an_object_that_grew_after_it_was_seen_is_seen_again() {
        let mut bucket = Bucket::default();
        bucket.insert(entry(1));
        assert_eq!(bucket.compare(&[id(1)], Timestamp::from_nanos(-1)).young, [id(1)]);
        bucket.begin_reading();
        let grown = Entry { size: 99, ..entry(1) };
        assert_eq!(bucket.apply(vec![grown], &[]), Drift { added: vec![grown], removed: vec![entry(1)] });
        bucket.end_reading();
    }

    proptest! {
        #[test]
        fn a_bucket_is_an_ordered_set(changes: Vec<(bool, u8)>, names: BTreeSet<u8>) {
            let mut bucket = Bucket::default();
            let mut model = BTreeSet::new();
            for (add, name) in changes {
                if add {
                    prop_assert_eq!(bucket.insert(entry(name)).is_none(), model.insert(name));
                } else {
                    prop_assert_eq!(bucket.remove(id(name)).is_some(), model.remove(&name));
                }
            }
            prop_assert!(bucket.entries().iter().map(|entry| entry.id).eq(model.iter().map(|name| id(*name))));
            let listed: Vec<_> = names.iter().map(|name| id(*name)).collect();
            let difference = bucket.compare(&listed, Timestamp::MAX);
            prop_assert!(difference.unknown.iter().copied().eq(names.difference(&model).map(|name| id(*name))));
            prop_assert!(difference.missing.iter().copied().eq(model.difference(&names).map(|name| id(*name))));
        }
    }
}
