//! Where the messages of a gRPC body begin and end.

use crate::message_prefix::{PREFIX_BYTES, Prefix};

/// Follows the messages of one body.
#[derive(Debug, Default)]
pub(super) struct Framing {
    prefix: [u8; PREFIX_BYTES],
    /// How many bytes of the prefix have come.
    prefix_bytes: usize,
    /// How many bytes of the message have come, and how many are to come.
    came: u64,
    missing: u64,
    /// How many messages are complete.
    complete: u64,
}

impl Framing {
    /// How many bytes have come of the message that is not complete. What is only announced takes up nothing: anybody
    /// can announce.
    pub(super) fn open(&self) -> u64 {
        self.prefix_bytes as u64 + self.came
    }

    /// How many messages have come to their ends.
    pub(super) fn complete(&self) -> u64 {
        self.complete
    }

    /// Reads on.
    pub(super) fn accept(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.prefix_bytes < PREFIX_BYTES {
                let part = bytes.len().min(PREFIX_BYTES - self.prefix_bytes);
                self.prefix[self.prefix_bytes..][..part].copy_from_slice(&bytes[..part]);
                self.prefix_bytes += part;
                bytes = &bytes[part..];
                if let Some(prefix) = Prefix::of(&self.prefix[..self.prefix_bytes]) {
                    self.missing = prefix.length.into();
                }
            }
            let part = bytes.len().min(usize::try_from(self.missing).unwrap_or(usize::MAX));
            self.came += part as u64;
            self.missing -= part as u64;
            bytes = &bytes[part..];
            if self.prefix_bytes == PREFIX_BYTES && self.missing == 0 {
                *self = Framing { complete: self.complete + 1, ..Framing::default() };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(length: usize) -> Vec<u8> {
        let prefix = u32::try_from(length).unwrap().to_be_bytes();
        [&[0][..], &prefix, &vec![7; length]].concat()
    }

    #[test]
    fn a_message_is_open_until_all_of_it_has_come() {
        let (mut framing, bytes) = (Framing::default(), message(100));
        for (piece, open, complete) in [(0..3, 3, 0), (3..10, 10, 0), (10..104, 104, 0), (104..105, 0, 1)] {
            framing.accept(&bytes[piece]);
            assert_eq!((framing.open(), framing.complete()), (open, complete));
        }
        let three = [message(10), message(0), message(20)].concat();
        framing.accept(&three[..25]);
        assert_eq!((framing.open(), framing.complete()), (5, 3));
    }

    #[test]
    fn what_is_only_announced_takes_up_nothing() {
        let mut framing = Framing::default();
        framing.accept(&[0, 255, 255, 255, 255, 1, 2]);
        assert_eq!((framing.open(), framing.complete()), (7, 0));
    }

    proptest! {
        #[test]
        fn however_it_is_cut_all_messages_are_found(
            lengths in prop::collection::vec(0usize..300, 1..20), cuts in prop::collection::vec(1usize..200, 1..50),
        ) {
            let bytes: Vec<u8> = lengths.iter().flat_map(|length| message(*length)).collect();
            let (mut framing, mut at) = (Framing::default(), 0);
            for cut in cuts.iter().cycle() {
                let end = (at + cut).min(bytes.len());
                framing.accept(&bytes[at..end]);
                prop_assert!(framing.open() < 305);
                at = end;
                if at == bytes.len() {
                    break;
                }
            }
            prop_assert_eq!((framing.complete(), framing.open()), (lengths.len() as u64, 0));
        }

        #[test]
        fn garbage_does_no_harm(pieces: Vec<Vec<u8>>) {
            let mut framing = Framing::default();
            for piece in pieces {
                framing.accept(&piece);
            }
        }
    }
}
