//! What one directory of a repository holds, as far as is known.

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
    /// Objects whose files are there, or soon will be, but which are not to be told of yet.
    in_flight: Vec<ObjectId>,
    /// The last change of the directory that the entries agree with; `None`: it has to be read.
    pub(super) agreed: Option<Timestamp>,
    /// Raised by each change of ours, so that who read the directory meanwhile reads it again.
    pub(super) generation: u64,
}

/// What a directory turned out to hold beside what was known.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// Names without entries.
    pub(super) unknown: Vec<ObjectId>,
    /// Entries without files.
    pub(super) missing: Vec<Entry>,
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

    /// Gives the bucket all its entries at once; they are in order.
    pub(super) fn fill(&mut self, entries: Vec<Entry>) {
        self.entries = entries;
    }

    /// Knows an object from now on. `None`: it was not known; else what it replaces.
    pub(super) fn insert(&mut self, entry: Entry) -> Option<Entry> {
        self.generation += 1;
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
        self.generation += 1;
        self.position(id).ok().map(|at| self.entries.remove(at))
    }

    /// Says that the file of an object comes or goes: a reader of the directory leaves it to who said so.
    pub(super) fn take_off(&mut self, id: ObjectId) {
        self.generation += 1;
        self.in_flight.push(id);
    }

    /// Ends [`Bucket::take_off`].
    pub(super) fn land(&mut self, id: ObjectId) {
        self.generation += 1;
        if let Some(at) = self.in_flight.iter().position(|flying| *flying == id) {
            self.in_flight.swap_remove(at);
        }
    }

    /// Compares the entries with the names that the directory has, which are in order.
    pub(super) fn compare(&self, names: &[ObjectId]) -> Difference {
        let mut difference = Difference::default();
        let mut entries = self.entries.iter().peekable();
        for name in names {
            while let Some(entry) = entries.next_if(|entry| entry.id < *name) {
                difference.missing.push(*entry);
            }
            if entries.next_if(|entry| entry.id == *name).is_none() {
                difference.unknown.push(*name);
            }
        }
        difference.missing.extend(entries);
        difference.unknown.retain(|id| !self.in_flight.contains(id));
        difference.missing.retain(|entry| !self.in_flight.contains(&entry.id));
        difference
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
        assert_eq!(bucket.compare(&[id(2), id(3)]), Difference { unknown: vec![id(3)], missing: vec![] });
        bucket.land(id(1));
        bucket.land(id(2));
        assert_eq!(bucket.compare(&[id(2)]), Difference { unknown: vec![id(2)], missing: vec![entry(1)] });
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
            let difference = bucket.compare(&listed);
            prop_assert!(difference.unknown.iter().copied().eq(names.difference(&model).map(|name| id(*name))));
            prop_assert!(difference.missing.iter().copied().eq(model.difference(&names).map(|name| entry(*name))));
        }
    }
}
