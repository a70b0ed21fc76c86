//! Frames: the changes of the commits that one flush makes durable.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::store::pending::Accepted;
use crate::store::{Change, ChangeKind, ChangeSet, Error, Key, Op, Revision};

/// Bytes in front of the payload: its length, a CRC-32 over all that follows, the first and the last revision.
pub(super) const HEADER_BYTES: usize = 24;
/// The part of the header that the checksum does not cover.
const UNCHECKED_BYTES: usize = 8;

/// The commits of one flush.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The first of its commits.
    pub first: Revision,
    /// The last of its commits.
    pub last: Revision,
    /// Header and payload, as they are written.
    bytes: Bytes,
}

impl Frame {
    /// Packs a group, which is not empty.
    pub(in crate::store) fn encode(group: &[Accepted]) -> Self {
        let first = group.first().map(|accepted| accepted.revision).unwrap_or_default();
        let last = group.last().map(|accepted| accepted.revision).unwrap_or_default();
        let mut bytes = BytesMut::new();
        bytes.put_bytes(0, UNCHECKED_BYTES);
        bytes.put_u64(first.0);
        bytes.put_u64(last.0);
        for accepted in group {
            for op in &accepted.ops {
                encode_entry(accepted.revision, op, &mut bytes);
            }
        }
        let length = u32::try_from(bytes.len() - HEADER_BYTES).expect("a group is at most a few megabytes");
        let checksum = crc32fast::hash(&bytes[UNCHECKED_BYTES..]);
        bytes[..4].copy_from_slice(&length.to_be_bytes());
        bytes[4..8].copy_from_slice(&checksum.to_be_bytes());
        Frame { first, last, bytes: bytes.freeze() }
    }

    /// The frame at the beginning of `bytes`; `None` when there is no whole, undamaged one.
    pub(super) fn decode(bytes: &Bytes) -> Option<Self> {
        let size = Frame::size(bytes)?;
        let bytes = (bytes.len() >= size).then(|| bytes.slice(..size))?;
        let mut header = &bytes[..HEADER_BYTES];
        let (_, checksum) = (header.get_u32(), header.get_u32());
        let (first, last) = (Revision(header.get_u64()), Revision(header.get_u64()));
        (crc32fast::hash(&bytes[UNCHECKED_BYTES..]) == checksum).then_some(Frame { first, last, bytes })
    }

    /// How long the frame is whose header begins here; `None` where there is none.
    pub(super) fn size(header: &[u8]) -> Option<usize> {
        let length = u32::from_be_bytes(*header.get(..HEADER_BYTES)?.first_chunk::<4>()?);
        (length > 0).then_some(HEADER_BYTES + length as usize)
    }

    /// As it is written.
    pub(super) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Its changes, each with its commit, in order.
    pub(in crate::store) fn changes(&self) -> Result<Vec<(Revision, Change)>, Error> {
        let mut payload = self.bytes.slice(HEADER_BYTES..);
        let mut changes = Vec::new();
        while payload.has_remaining() {
            changes.push(decode_entry(&mut payload).ok_or_else(|| Error::Damaged {
                key: format!("journal frame {}", self.first),
                reason: "an entry cannot be read".to_owned(),
            })?);
        }
        Ok(changes)
    }
}

/// Bytes of an entry before its key.
const ENTRY_HEADER_BYTES: usize = 13;

fn encode_entry(revision: Revision, op: &Op, bytes: &mut BytesMut) {
    let (kind, key, value) = match op {
        Op::Put(key, value) => (1, key.as_bytes(), value.as_ref()),
        Op::Delete(key) => (2, key.as_bytes(), &[][..]),
        Op::Emit(key, value) => (3, key.as_bytes(), value.as_ref()),
    };
    bytes.put_u64(revision.0);
    bytes.put_u8(kind);
    bytes.put_u16(u16::try_from(key.len()).expect("keys are checked to be at most 480 bytes"));
    bytes.put_u16(u16::try_from(value.len()).expect("values are checked to be at most 5632 bytes"));
    bytes.put_slice(key);
    bytes.put_slice(value);
}

fn decode_entry(payload: &mut Bytes) -> Option<(Revision, Change)> {
    if payload.remaining() < ENTRY_HEADER_BYTES {
        return None;
    }
    let revision = Revision(payload.get_u64());
    let kind = payload.get_u8();
    let (key_len, value_len) = (usize::from(payload.get_u16()), usize::from(payload.get_u16()));
    if payload.remaining() < key_len + value_len {
        return None;
    }
    let key = Key::from_bytes(payload.split_to(key_len));
    let value = payload.split_to(value_len);
    let kind = match kind {
        1 => ChangeKind::Put(value),
        2 => ChangeKind::Delete,
        3 => ChangeKind::Emit(value),
        _ => return None,
    };
    Some((revision, Change { key, kind }))
}

/// Puts changes together by commit.
#[derive(Default)]
pub(in crate::store) struct Collector {
    open: Option<ChangeSet>,
}

impl Collector {
    /// Adds one change; hands out the commit before it when it is complete.
    pub(in crate::store) fn push(&mut self, revision: Revision, change: Change) -> Option<ChangeSet> {
        match &mut self.open {
            Some(set) if set.revision == revision => {
                set.changes.push(change);
                None
            }
            open => open.replace(ChangeSet { revision, changes: vec![change] }),
        }
    }

    /// Hands out the last commit.
    pub(in crate::store) fn finish(self) -> Option<ChangeSet> {
        self.open
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
            let frame = Frame::encode(&group);
            let read = Frame::decode(frame.bytes()).expect("a frame that was just written");
            prop_assert_eq!(&read, &frame);
            let changes = read.changes().expect("its changes");
            let sizes: Vec<(u64, usize)> =
                changes.iter().map(|(revision, change)| (revision.0, change.key.as_bytes().len())).collect();
            let expected: Vec<(u64, usize)> =
                (10..).zip(&commits).flat_map(|(revision, sizes)| sizes.iter().map(move |size| (revision, size.0))).collect();
            prop_assert_eq!(sizes, expected);
        }

        #[test]
        fn a_damaged_frame_is_refused(at in 0..600_usize, by in 1..=255_u8) {
            let frame = Frame::encode(&[accepted(1, &[(20, 500)])]);
            let mut bytes = frame.bytes().to_vec();
            let at = at % bytes.len();
            bytes[at] ^= by;
            prop_assert_eq!(Frame::decode(&bytes.into()), None);
        }

        #[test]
        fn garbage_is_no_frame(garbage: Vec<u8>) {
            prop_assert_eq!(Frame::decode(&garbage.into()), None);
        }
    }
}
