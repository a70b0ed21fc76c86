//! Entries in a file: the length of each, a CRC-32 of the length and of the entry, the entry.

use prost::Message as _;
use steward_proto::audit::v1::AuditEntry;

/// Bytes in front of an entry: its length and the checksum.
const HEADER_BYTES: usize = 8;
/// Texts of entries are cut, so none is longer. A length beyond it is none.
const MAX_BYTES: usize = 64 * 1024;

/// Adds an entry.
pub(super) fn push(entry: &AuditEntry, bytes: &mut Vec<u8>) {
    let length = entry.encoded_len();
    let length = u32::try_from(length).expect("the texts of an entry are cut").to_be_bytes();
    let start = bytes.len();
    bytes.extend_from_slice(&length);
    bytes.extend_from_slice(&[0; 4]);
    // A vector always has room.
    let _ = entry.encode(bytes);
    let checksum = checksum(length, &bytes[start + HEADER_BYTES..]).to_be_bytes();
    bytes[start + 4..start + HEADER_BYTES].copy_from_slice(&checksum);
}

/// The entry at the beginning of `bytes` and how long it is there; `None` where there is no whole, undamaged one.
pub(super) fn read(bytes: &[u8]) -> Option<(AuditEntry, usize)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (expected, rest) = rest.split_first_chunk::<4>()?;
    let size = usize::try_from(u32::from_be_bytes(*length)).ok().filter(|size| (1..=MAX_BYTES).contains(size))?;
    let payload = rest.get(..size)?;
    if checksum(*length, payload) != u32::from_be_bytes(*expected) {
        return None;
    }
    let entry = AuditEntry::decode(payload).ok()?;
    Some((entry, HEADER_BYTES + size))
}

fn checksum(length: [u8; 4], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(payload);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(entries: &[AuditEntry]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for entry in entries {
            push(entry, &mut bytes);
        }
        bytes
    }

    fn entry(number: i64, resource: &str) -> AuditEntry {
        AuditEntry { number, resource: resource.to_owned(), ..AuditEntry::default() }
    }

    #[test]
    fn entries_are_read_as_they_were_written() {
        let entries = [entry(1, "a"), entry(2, &"b".repeat(1000))];
        let bytes = framed(&entries);
        let (first, size) = read(&bytes).expect("an entry");
        let (second, rest) = read(&bytes[size..]).expect("another one");
        assert_eq!(([first, second], size + rest), (entries, bytes.len()));
    }

    proptest! {
        #[test]
        fn a_damaged_or_cut_entry_is_none(resource in "[a-z]{0,80}", at: prop::sample::Index, by in 1..=255_u8) {
            let mut bytes = framed(&[entry(7, &resource)]);
            let at = at.index(bytes.len());
            prop_assert_eq!(read(&bytes[..at]), None);
            bytes[at] ^= by;
            prop_assert_eq!(read(&bytes), None);
        }

        #[test]
        fn garbage_does_no_harm(garbage: Vec<u8>) {
            let _ = read(&garbage);
        }
    }
}
