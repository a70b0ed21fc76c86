//! Where the messages of a gRPC body begin and end, so that a message counts as a whole from its first byte on.

/// What is before each message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;
/// Longer messages are refused by every service as soon as their length is known, so no room is kept for them.
const LONGEST_MESSAGE: u64 = 8 * 1024 * 1024;

/// Follows the messages of one body.
#[derive(Debug, Default)]
pub(super) struct Framing {
    prefix: [u8; PREFIX_BYTES],
    /// How many bytes of the prefix have come.
    prefix_bytes: usize,
    /// How many bytes of the message have come, and how many are to come.
    came: u64,
    missing: u64,
}

impl Framing {
    /// What the message takes up that is not complete, with what is still to come of it.
    pub(super) fn open(&self) -> u64 {
        self.prefix_bytes as u64 + self.came + self.expected()
    }

    /// Reads on. Returns how many bytes are taken up besides what [`open`](Self::open) was before.
    pub(super) fn accept(&mut self, mut bytes: &[u8]) -> u64 {
        let before = self.open();
        let mut complete = 0;
        while !bytes.is_empty() {
            if self.prefix_bytes < PREFIX_BYTES {
                let part = bytes.len().min(PREFIX_BYTES - self.prefix_bytes);
                self.prefix[self.prefix_bytes..][..part].copy_from_slice(&bytes[..part]);
                self.prefix_bytes += part;
                bytes = &bytes[part..];
                if self.prefix_bytes == PREFIX_BYTES {
                    let [_, length @ ..] = self.prefix;
                    self.missing = u32::from_be_bytes(length).into();
                }
            }
            let part = bytes.len().min(usize::try_from(self.missing).unwrap_or(usize::MAX));
            self.came += part as u64;
            self.missing -= part as u64;
            bytes = &bytes[part..];
            if self.prefix_bytes == PREFIX_BYTES && self.missing == 0 {
                complete += self.open();
                *self = Framing::default();
            }
        }
        (complete + self.open()).saturating_sub(before)
    }

    fn expected(&self) -> u64 {
        if self.came + self.missing > LONGEST_MESSAGE { 0 } else { self.missing }
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
    fn a_message_counts_as_a_whole_from_its_length_on() {
        let (mut framing, bytes) = (Framing::default(), message(100));
        assert_eq!((framing.accept(&bytes[..3]), framing.open()), (3, 3));
        assert_eq!((framing.accept(&bytes[3..10]), framing.open()), (102, 105));
        assert_eq!((framing.accept(&bytes[10..104]), framing.open()), (0, 105));
        assert_eq!((framing.accept(&bytes[104..]), framing.open()), (0, 0));
        let two = [message(10), message(20)].concat();
        assert_eq!((framing.accept(&two[..20]), framing.open()), (40, 25));
    }

    #[test]
    fn no_room_is_kept_for_what_nobody_will_read() {
        let mut framing = Framing::default();
        assert_eq!(framing.accept(&[0, 255, 255, 255, 255, 1, 2]), 7);
        assert_eq!((framing.accept(&[0; 100]), framing.open()), (100, 107));
    }

    proptest! {
        #[test]
        fn however_it_is_cut_all_bytes_are_counted_once(
            lengths in prop::collection::vec(0usize..300, 1..20), cuts in prop::collection::vec(1usize..200, 1..50),
        ) {
            let bytes: Vec<u8> = lengths.iter().flat_map(|length| message(*length)).collect();
            let (mut framing, mut at, mut counted) = (Framing::default(), 0, 0);
            for cut in cuts.iter().cycle() {
                let end = (at + cut).min(bytes.len());
                counted += framing.accept(&bytes[at..end]);
                prop_assert!(counted >= end as u64 && framing.open() <= 305);
                at = end;
                if at == bytes.len() {
                    break;
                }
            }
            prop_assert_eq!((counted, framing.open()), (bytes.len() as u64, 0));
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
