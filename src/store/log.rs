//! The change log: every commit of the recent past, packed into chunks under the store's own table.
//!
//! A chunk holds whole small commits, or one part of a large one, and is named after the revision of its first entry,
//! so that one flush writes few of them.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::pending::Accepted;
use super::{Change, ChangeKind, ChangeSet, Error, Key, KeyRange, Op, Revision};

/// The table of the store itself, and the log in it.
const LOG_PREFIX: &[u8] = &[0x00, b'L'];
/// A chunk is closed before it grows past this. It is larger than the largest entry.
const CHUNK_BYTES: usize = 6 * 1024;

/// The key of a part of the log.
pub(super) fn chunk_key(revision: Revision, part: u16) -> Key {
    let mut key = BytesMut::with_capacity(12);
    key.put_slice(LOG_PREFIX);
    key.put_u64(revision.0);
    key.put_u16(part);
    Key::from_bytes(key.freeze())
}

/// All chunks.
pub(super) fn whole() -> KeyRange {
    KeyRange::prefix(&Key::from_bytes(Bytes::from_static(LOG_PREFIX)))
}

/// The revision of the first entry of the chunk under `key`.
pub(super) fn first_revision(key: &Key) -> Option<Revision> {
    let number = key.as_bytes().strip_prefix(LOG_PREFIX)?.first_chunk::<8>()?;
    Some(Revision(u64::from_be_bytes(*number)))
}

/// Packs the changes of a group, in order.
pub(super) fn encode(group: &[Accepted]) -> Vec<(Key, Bytes)> {
    let mut chunks = Vec::new();
    let mut open = BytesMut::new();
    let mut open_key = None;
    for accepted in group {
        let commit: Vec<Bytes> = accepted.ops.iter().map(|op| encode_entry(accepted.revision, op)).collect();
        let size: usize = commit.iter().map(Bytes::len).sum();
        if open.len() + size > CHUNK_BYTES {
            close_chunk(&mut chunks, &mut open, &mut open_key);
        }
        let mut part = 0;
        for entry in commit {
            if open.len() + entry.len() > CHUNK_BYTES {
                close_chunk(&mut chunks, &mut open, &mut open_key);
                part += 1;
            }
            open_key.get_or_insert_with(|| chunk_key(accepted.revision, part));
            open.put_slice(&entry);
        }
        if part > 0 {
            // Later commits must not follow in a chunk that is named after a part of this one.
            close_chunk(&mut chunks, &mut open, &mut open_key);
        }
    }
    close_chunk(&mut chunks, &mut open, &mut open_key);
    chunks
}

fn close_chunk(chunks: &mut Vec<(Key, Bytes)>, open: &mut BytesMut, key: &mut Option<Key>) {
    if let Some(key) = key.take() {
        chunks.push((key, open.split().freeze()));
    }
}

fn encode_entry(revision: Revision, op: &Op) -> Bytes {
    let (kind, key, value) = match op {
        Op::Put(key, value) => (1, key, value.as_ref()),
        Op::Delete(key) => (2, key, &[][..]),
        Op::Emit(key, value) => (3, key, value.as_ref()),
    };
    let key = key.as_bytes();
    let mut entry = BytesMut::with_capacity(13 + key.len() + value.len());
    entry.put_u64(revision.0);
    entry.put_u8(kind);
    // Both lengths were checked when the transaction was accepted and are far below 64 KiB.
    entry.put_u16(u16::try_from(key.len()).unwrap_or(u16::MAX));
    entry.put_u16(u16::try_from(value.len()).unwrap_or(u16::MAX));
    entry.put_slice(key);
    entry.put_slice(value);
    entry.freeze()
}

/// Reads the entries of one chunk.
pub(super) fn decode(key: &Key, mut chunk: Bytes) -> Result<Vec<(Revision, Change)>, Error> {
    let damaged = || Error::Damaged { key: key.to_string(), reason: "not a chunk of the change log".to_owned() };
    let mut entries = Vec::new();
    while chunk.has_remaining() {
        if chunk.remaining() < 13 {
            return Err(damaged());
        }
        let revision = Revision(chunk.get_u64());
        let kind = chunk.get_u8();
        let (key_len, value_len) = (usize::from(chunk.get_u16()), usize::from(chunk.get_u16()));
        if chunk.remaining() < key_len + value_len {
            return Err(damaged());
        }
        let entry_key = Key::from_bytes(chunk.split_to(key_len));
        let value = chunk.split_to(value_len);
        let kind = match kind {
            1 => ChangeKind::Put(value),
            2 => ChangeKind::Delete,
            3 => ChangeKind::Emit(value),
            _ => return Err(damaged()),
        };
        entries.push((revision, Change { key: entry_key, kind }));
    }
    Ok(entries)
}

/// Puts the entries that a watch asked for together by commit. A commit may span chunks, so the last one is held back
/// until the next begins or the end is known.
#[derive(Default)]
pub(super) struct Collector {
    open: Option<ChangeSet>,
}

impl Collector {
    /// Adds one entry; hands out the commit before it when it is complete.
    pub(super) fn push(&mut self, revision: Revision, change: Change) -> Option<ChangeSet> {
        match &mut self.open {
            Some(set) if set.revision == revision => {
                set.changes.push(change);
                None
            }
            open => open.replace(ChangeSet { revision, changes: vec![change] }),
        }
    }

    /// Hands out the last commit.
    pub(super) fn finish(&mut self) -> Option<ChangeSet> {
        self.open.take()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::sync::oneshot;

    use super::*;
    use crate::store::{MAX_EMIT_BYTES, MAX_KEY_BYTES};

    fn accepted(revision: u64, sizes: &[(usize, usize)]) -> Accepted {
        let op = |&(key, value): &(usize, usize)| Op::Emit(Key::from_bytes(vec![7; key]), vec![1; value].into());
        Accepted { revision: Revision(revision), ops: sizes.iter().map(op).collect(), answer: oneshot::channel().0 }
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked_in_order(
            commits in prop::collection::vec(prop::collection::vec((1..=MAX_KEY_BYTES, 0..=MAX_EMIT_BYTES), 1..8), 1..20)
        ) {
            let group: Vec<Accepted> = (10..).zip(&commits).map(|(revision, sizes)| accepted(revision, sizes)).collect();
            let chunks = encode(&group);
            prop_assert!(chunks.is_sorted_by(|a, b| a.0 < b.0));
            let mut unpacked = Vec::new();
            for (key, chunk) in chunks {
                prop_assert!(chunk.len() <= CHUNK_BYTES);
                let entries = decode(&key, chunk).expect("a chunk that was just written");
                prop_assert_eq!(first_revision(&key), Some(entries[0].0));
                unpacked.extend(entries);
            }
            let packed: Vec<(Revision, usize)> =
                group.iter().flat_map(|a| a.ops.iter().map(|op| match op {
                    Op::Emit(_, value) => (a.revision, value.len()),
                    Op::Put(..) | Op::Delete(_) => unreachable!("only emits are made here"),
                })).collect();
            let unpacked: Vec<(Revision, usize)> = unpacked.iter().map(|(revision, change)| match &change.kind {
                ChangeKind::Emit(value) => (*revision, value.len()),
                ChangeKind::Put(_) | ChangeKind::Delete => unreachable!("only emits were packed"),
            }).collect();
            prop_assert_eq!(packed, unpacked);
        }

        #[test]
        fn garbage_is_refused(garbage: Vec<u8>) {
            let _ = decode(&chunk_key(Revision(1), 0), garbage.into());
        }
    }
}
