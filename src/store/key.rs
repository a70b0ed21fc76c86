//! Keys: one byte for the table, then parts that keep their order as bytes.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use sha2::{Digest as _, Sha256};

/// The tables. A number is never used again for something else. 0 belongs to the store itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Table {
    /// How often the key of stored secrets was changed.
    SecretGeneration = 0x08,
    /// Heads of locks, by name.
    Lock = 0x10,
    /// Shared and semaphore holders, by lock digest and owner digest.
    LockHolder = 0x11,
    /// Queues, by lock digest, epoch and number.
    LockWaiter = 0x12,
    /// Places in queues, by lock digest, epoch and owner digest.
    LockWaiterIndex = 0x13,
    /// What is to be looked at when, by time.
    LockDeadline = 0x14,
    /// Dismissed queues, by lock digest and epoch.
    LockPurge = 0x15,
    /// Leases, by id.
    Lease = 0x16,
    /// The grants of a lease, by lease id, lock digest and owner digest.
    LeaseGrant = 0x17,
    /// Answered requests, by digest.
    LockRequest = 0x18,
    /// What operators did, newest first.
    LockAudit = 0x19,
    /// Events of locks, by name. Emitted only.
    LockEvent = 0x1a,
    /// Owners of shared and semaphore grants, by lock digest and grant id.
    LockHolderIndex = 0x1b,
    /// Workers of the transcoding farm, by id.
    Worker = 0x20,
    /// Ids of workers, by the digest of the name.
    WorkerName = 0x21,
    /// Tasks, by number.
    Task = 0x22,
    /// Videos, by id.
    Video = 0x24,
    /// Ids of videos, by the digest of the path.
    VideoPath = 0x25,
    /// The log of the farm, by id.
    FarmLog = 0x26,
    /// Libraries, by name.
    Library = 0x27,
    /// How far the numbers of a table have been given out, by table.
    Sequence = 0x28,
    /// Volumes and directories, by id.
    Volume = 0x30,
    /// Ids of volumes and directories, by the id of their directory and their name.
    VolumeEntry = 0x31,
    /// Snapshots of volumes, by UUID.
    VolumeSnapshot = 0x32,
    /// UUIDs of snapshots, by volume and number.
    VolumeSnapshotSeq = 0x33,
    /// UUIDs of snapshots, by volume and the digest of the name.
    VolumeSnapshotName = 0x34,
    /// Clones, by the UUID of the snapshot that they need and their id.
    VolumeClone = 0x35,
    /// Layers of volumes, by number.
    VolumeLayer = 0x36,
    /// Layers that stand on another, by that one and their own number.
    VolumeLayerChild = 0x37,
    /// Operations on volumes, by UUID.
    VolumeOperation = 0x38,
    /// UUIDs of operations, by the time of their start.
    VolumeOperationTime = 0x39,
    /// Volumes in the trash, by the time of their purge.
    VolumeTrash = 0x3a,
    /// Snapshots that end by themselves, by that time.
    VolumeSnapshotExpiry = 0x3b,
    /// Snapshot policies, by name.
    VolumePolicy = 0x3c,
    /// Volumes that follow a policy, by its name and their id.
    VolumePolicyMember = 0x3d,
    /// What users of volumes have and may have, by name.
    VolumeUser = 0x3e,
    /// The highest id of a volume that was given out.
    VolumeSequence = 0x3f,
    /// Operations on volumes that have work to do, by UUID.
    VolumeOperationActive = 0x40,
    /// Projects of artifacts, by name.
    ArtifactProject = 0x50,
    /// Repositories of artifacts, by project and name.
    ArtifactRepository = 0x51,
    /// Repositories that were deleted and are to be swept, by number.
    ArtifactDeletedRepository = 0x52,
    /// Files, by repository and path.
    ArtifactFile = 0x53,
    /// Files that end by themselves, by that time, repository and path digest.
    ArtifactFileExpiry = 0x54,
    /// Stored bytes, by digest.
    Blob = 0x55,
    /// What needs stored bytes, by digest, kind and owner.
    BlobUse = 0x56,
    /// Images, by repository and name.
    Image = 0x57,
    /// Blobs that an image knows, by image and digest.
    ImageBlob = 0x58,
    /// Manifests, by image and digest.
    Manifest = 0x59,
    /// What manifests consist of, by image, digest of the part and digest of the manifest.
    ManifestPart = 0x5a,
    /// Manifests that refer to others, by image, digest of the other and digest of the manifest.
    Referrer = 0x5b,
    /// Tags, by image and name.
    ImageTag = 0x5c,
    /// Tags of a manifest, by image, digest and name.
    ManifestTag = 0x5d,
    /// Uploads that are under way, by id.
    ArtifactUpload = 0x5e,
    /// Changes of files and tags, by repository and stamp.
    ArtifactChange = 0x5f,
    /// The highest stamp of a change.
    ArtifactSequence = 0x60,
    /// Images that were deleted and are to be swept, by number.
    ArtifactDeletedImage = 0x61,
    /// Folders in which a file may be, by repository and path.
    ArtifactFolder = 0x62,
    /// Replication tasks, by project, repository and name.
    ReplicaTask = 0x70,
    /// What replication tasks are to do, in pieces, by id and number.
    ReplicaConfig = 0x71,
    /// Names of replication tasks, by key.
    ReplicaTaskKey = 0x72,
    /// Clusters, by id.
    Cluster = 0x73,
    /// Ids of clusters, by name.
    ClusterName = 0x74,
    /// Certificates of clusters, in pieces, by id and number.
    ClusterCertificate = 0x75,
    /// Runs of replication tasks, by id.
    ReplicaExecution = 0x76,
    /// Ids of runs, by key of the task, time of their start and id.
    ReplicaExecutionTime = 0x77,
    /// Runs that are queued or under way, by id.
    ReplicaExecutionActive = 0x78,
    /// What artifacts of runs came to, by id of the run and number.
    ReplicaResult = 0x79,
    /// Lines of the logs of runs, by id of the run and number.
    ReplicaLog = 0x7a,
    /// Uploads to targets that are under way, by key of the task and digest of place and blob.
    ReplicaBlobSession = 0x7b,
    /// Runs whose records have to be swept, by id, and deleted tasks, by key.
    ReplicaDeletedExecution = 0x7c,
    /// Tokens by which programs sign in, by id.
    Token = 0x80,
}

/// A key: at most [`super::MAX_KEY_BYTES`], compared as bytes. Also used as a prefix of keys.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Bytes);

impl Key {
    /// A key from its bytes.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        Key(bytes.into())
    }

    /// The prefix of a whole table.
    pub fn table(table: Table) -> Self {
        KeyBuilder::new(table).build()
    }

    /// The bytes, table first.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl std::borrow::Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Writes a key part by part.
#[derive(Debug)]
pub struct KeyBuilder(BytesMut);

/// Ends a text. Together with [`ESCAPED_NUL`] it keeps the order of the texts.
const TEXT_END: &[u8] = &[0, 1];
/// A NUL inside of a text.
const ESCAPED_NUL: &[u8] = &[0, 0xff];

impl KeyBuilder {
    /// Starts a key of `table`.
    pub fn new(table: Table) -> Self {
        let mut bytes = BytesMut::with_capacity(96);
        bytes.put_u8(table as u8);
        KeyBuilder(bytes)
    }

    /// Adds a number, in its order.
    #[must_use]
    pub fn number(mut self, number: u64) -> Self {
        self.0.put_u64(number);
        self
    }

    /// Adds bytes of a length that the table fixes.
    #[must_use]
    pub fn fixed(mut self, bytes: &[u8]) -> Self {
        self.0.put_slice(bytes);
        self
    }

    /// Adds a text and its end, so that no text is the beginning of another.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        let mut builder = self.text_start(text);
        builder.0.put_slice(TEXT_END);
        builder
    }

    /// Adds the beginning of a text: the prefix of all texts that start so.
    #[must_use]
    pub fn text_start(mut self, text: &str) -> Self {
        for byte in text.bytes() {
            if byte == 0 { self.0.put_slice(ESCAPED_NUL) } else { self.0.put_u8(byte) }
        }
        self
    }

    /// How long the key is so far, in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was written; never so, as a key starts with its table.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first `len` bytes of the key so far, or all of it.
    #[must_use]
    pub fn cut(mut self, len: usize) -> Self {
        self.0.truncate(len);
        self
    }

    /// The key.
    pub fn build(self) -> Key {
        Key(self.0.freeze())
    }
}

/// Reads a key part by part, in the order in which it was written. `None` when the key is not of that form.
#[derive(Debug)]
pub struct KeyReader<'a>(&'a [u8]);

impl<'a> KeyReader<'a> {
    /// Starts to read `key` behind its table.
    pub fn new(key: &'a Key) -> Self {
        KeyReader(key.as_bytes().get(1..).unwrap_or_default())
    }

    /// Reads a number.
    pub fn number(&mut self) -> Option<u64> {
        self.fixed::<8>().map(u64::from_be_bytes)
    }

    /// Reads bytes of a fixed length.
    pub fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    /// Reads a text up to its end.
    pub fn text(&mut self) -> Option<String> {
        let mut text = Vec::new();
        loop {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            if byte != 0 {
                text.push(byte);
                continue;
            }
            let (&mark, rest) = self.0.split_first()?;
            self.0 = rest;
            match mark {
                1 => return String::from_utf8(text).ok(),
                0xff => text.push(0),
                _ => return None,
            }
        }
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }
}

/// Keys from a first one up to, and without, an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The first key.
    pub start: Key,
    /// Behind the last key; `None`: no end.
    pub end: Option<Key>,
}

impl KeyRange {
    /// All keys that start with `prefix`.
    pub fn prefix(prefix: &Key) -> Self {
        let mut end = prefix.as_bytes().to_vec();
        // The next prefix of the same length: drop the bytes that cannot be raised, raise the last that can.
        while end.pop_if(|byte| *byte == 0xff).is_some() {}
        let end = match end.last_mut() {
            Some(last) => {
                *last += 1;
                Some(Key::from_bytes(end))
            }
            None => None,
        };
        KeyRange { start: prefix.clone(), end }
    }

    /// The part of this range behind `key`.
    #[must_use]
    pub fn after(self, key: &Key) -> Self {
        let next = [key.as_bytes(), &[0]].concat();
        let start = Key::from_bytes(next).max(self.start);
        KeyRange { start, end: self.end }
    }

    /// Whether `key` is in it.
    pub fn contains(&self, key: &Key) -> bool {
        *key >= self.start && self.end.as_ref().is_none_or(|end| key < end)
    }

    /// Whether no key can be in it.
    pub fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }
}

/// A SHA-256 over parts whose borders count: `("ab", "c")` and `("a", "bc")` differ.
pub fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_key_reads_back_as_it_was_written(number: u64, text: String, more: String, fixed: [u8; 16]) {
            let key = KeyBuilder::new(Table::Lock).text(&text).number(number).fixed(&fixed).text(&more).build();
            let mut reader = KeyReader::new(&key);
            prop_assert_eq!(reader.text(), Some(text));
            prop_assert_eq!(reader.number(), Some(number));
            prop_assert_eq!(reader.fixed::<16>(), Some(fixed));
            prop_assert_eq!(reader.text(), Some(more));
            prop_assert!(reader.rest().is_empty());
        }

        #[test]
        fn keys_sort_like_the_texts_in_them(a: String, b: String, c: String, d: String) {
            let first = KeyBuilder::new(Table::Lock).text(&a).text(&b).build();
            let second = KeyBuilder::new(Table::Lock).text(&c).text(&d).build();
            prop_assert_eq!(first.cmp(&second), (a, b).cmp(&(c, d)));
        }

        #[test]
        fn a_prefix_range_holds_exactly_the_keys_with_that_prefix(prefix: Vec<u8>, key: Vec<u8>) {
            let (prefix, key) = (Key::from_bytes(prefix), Key::from_bytes(key));
            let range = KeyRange::prefix(&prefix);
            prop_assert_eq!(range.contains(&key), key.as_bytes().starts_with(prefix.as_bytes()));
        }

        #[test]
        fn garbage_is_never_read_past_its_end(garbage: Vec<u8>) {
            let key = Key::from_bytes(garbage);
            let mut reader = KeyReader::new(&key);
            while reader.text().is_some() {}
            let _ = reader.number();
        }
    }
}
