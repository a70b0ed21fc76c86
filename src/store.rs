//! State: ordered records under typed keys, changed only by transactions.
//!
//! [`Store`] is the contract; [`memory`] and [`sled`] keep it, both through [`embedded`], which adds revisions, group
//! commit and watches to a [`journal`] and an ordered map of bytes ([`backend`]). Nothing in the contract is peculiar to
//! an embedded database, so that etcd or `PostgreSQL` can keep it too; `suite` is what each has to pass.

pub mod backend;
pub mod embedded;
mod hub;
pub mod journal;
pub mod key;
pub mod memory;
mod pending;
pub mod sled;
#[cfg(test)]
pub(crate) mod suite;
pub(crate) mod tx;
mod txn;
mod update;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

pub use self::key::{Key, KeyRange, Table};
pub use self::txn::{Expect, Op, Txn};
pub use self::update::{Step, update};

/// The longest key, in bytes. sled keeps up to 256 keys in one index page, and a page over 128 KiB goes to a file that
/// is never synced (see [`sled`]); areas put a digest in the place of a long name.
pub const MAX_KEY_BYTES: usize = 480;
/// The longest value of a record, in bytes. Longer things are chunked, or are blobs.
pub const MAX_VALUE_BYTES: usize = 4096;
/// The longest value that only passes by ([`Op::Emit`]), in bytes.
pub const MAX_EMIT_BYTES: usize = 5632;
/// The most operations of one transaction.
pub const MAX_TXN_OPS: usize = 100;
/// The most bytes of keys and values of one transaction.
pub const MAX_TXN_BYTES: usize = 512 * 1024;

/// The number of a commit. Each commit takes the next; 0 is before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision after this one.
    #[must_use]
    pub fn next(self) -> Revision {
        Revision(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A value and the revision of its last change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What was put.
    pub value: Bytes,
    /// When it was put.
    pub revision: Revision,
}

/// A part of a range, in the order of the keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The records, at most as many as were asked for.
    pub records: Vec<(Key, Record)>,
    /// The range goes on behind the last record.
    pub has_more: bool,
}

/// What became of one key in a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// The record has this value now.
    Put(Bytes),
    /// The record is gone.
    Delete,
    /// Something happened that no record keeps.
    Emit(Bytes),
}

/// One change of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which key.
    pub key: Key,
    /// What became of it.
    pub kind: ChangeKind,
}

/// The changes of one commit that a watch asked for. A commit arrives whole or not at all. Without changes: nothing up
/// to the revision concerns the watch, beside what it has been told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeSet {
    /// The commit.
    pub revision: Revision,
    /// Its changes, in the order of its operations.
    pub changes: Vec<Change>,
}

/// Why a store could not answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The changes after the asked revision are no longer kept: read the state anew and watch from there.
    #[error("revision {asked} is compacted: the journal starts after revision {floor}")]
    Compacted {
        /// What was asked for.
        asked: Revision,
        /// The earliest revision that can be resumed from.
        floor: Revision,
    },
    /// A transaction breaks a limit of the store. A bug of the caller.
    #[error("transaction refused: {0}")]
    Refused(String),
    /// A stored record cannot be read.
    #[error("record {key} is damaged: {reason}")]
    Damaged {
        /// Which record.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The disk failed, or the store is shut down. Nothing can be committed any more.
    #[error("the store is closed: {0}")]
    Closed(Arc<str>),
    /// Others kept changing the same records. Trying again is safe.
    #[error("too many concurrent changes of {0}")]
    Busy(String),
}

/// Why a commit was not made. It made no change at all.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommitError {
    /// A precondition no longer holds: load again, decide again.
    #[error("{0} was changed by somebody else")]
    Conflict(Key),
    /// The store cannot commit.
    #[error(transparent)]
    Store(#[from] Error),
}

/// Ordered records, serializable transactions, and a watch that misses nothing.
///
/// `get` and `scan` may show commits that are accepted but not yet durable: whoever answers from what was read first
/// awaits [`Store::settled`]. [`update`] does so by itself.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The record of a key, or `None`.
    async fn get(&self, key: &Key) -> Result<Option<Record>, Error>;

    /// The first `limit` records of a range. Not a snapshot: a guard record that every writer bumps makes it one.
    async fn scan(&self, range: KeyRange, limit: usize) -> Result<Page, Error>;

    /// Makes all changes of `txn` or none. Returns once they survive a power loss. A caller that goes away before
    /// leaves a commit that is made or not made, never half of one; one that neither goes on nor away may have it wait
    /// for the next caller.
    async fn commit(&self, txn: Txn) -> Result<Revision, CommitError>;

    /// The newest revision that a read may have shown.
    fn revision(&self) -> Revision;

    /// Returns once everything that was read before survives a power loss.
    async fn settled(&self) -> Result<(), Error>;

    /// Every change of a key that starts with `prefix` in commits after `from`, in order, none missing, and only
    /// durable ones. Ends with [`Error::Compacted`] when the changes are no longer kept. A slow reader delays nobody.
    fn watch(&self, prefix: Key, from: Revision) -> BoxStream<'static, Result<ChangeSet, Error>> {
        self.watch_with_progress(prefix, from, None)
    }

    /// The same, and whenever it was quiet for `interval` a set without changes, to resume from.
    fn watch_with_progress(
        &self,
        prefix: Key,
        from: Revision,
        interval: Option<Duration>,
    ) -> BoxStream<'static, Result<ChangeSet, Error>>;
}
