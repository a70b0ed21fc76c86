//! Tells blocks of zeros from data.

use std::io;

use bytes::Bytes;

use super::Part;
use super::source::BLOCK_LENGTH;

const ZEROS: [u8; BLOCK_LENGTH] = [0; BLOCK_LENGTH];

/// Divides what is pushed, in order and without gaps, into data and runs of zeros as long as possible.
pub(super) struct Splitter<F> {
    at: u64,
    /// Zeros that were not told yet.
    pending: u64,
    sink: F,
}

impl<F: FnMut(Part) -> io::Result<()>> Splitter<F> {
    pub(super) fn new(sink: F) -> Self {
        Splitter { at: 0, pending: 0, sink }
    }

    /// So many zeros.
    pub(super) fn push_zeros(&mut self, length: u64) {
        self.pending += length;
        self.at += length;
    }

    /// Bytes, which may have whole blocks of zeros in them.
    pub(super) fn push(&mut self, bytes: &Bytes) -> io::Result<()> {
        let mut start = 0;
        while start < bytes.len() {
            let rest = &bytes[start..];
            let length = run_length(rest);
            if is_zero(&rest[..length.min(ZEROS.len())]) {
                self.push_zeros(length as u64);
            } else {
                self.flush()?;
                (self.sink)(Part::Data { offset: self.at, bytes: bytes.slice(start..start + length) })?;
                self.at += length as u64;
            }
            start += length;
        }
        Ok(())
    }

    /// Tells what is left, and that it was all.
    pub(super) fn end(mut self) -> io::Result<()> {
        self.flush()?;
        (self.sink)(Part::End)
    }

    fn flush(&mut self) -> io::Result<()> {
        match std::mem::take(&mut self.pending) {
            0 => Ok(()),
            length => (self.sink)(Part::Zeros { offset: self.at - length, length }),
        }
    }
}

/// How far the blocks at the start of `bytes` are all zeros, or all not.
fn run_length(bytes: &[u8]) -> usize {
    let mut blocks = bytes.chunks(ZEROS.len());
    let Some(first) = blocks.next() else { return 0 };
    let kind = is_zero(first);
    first.len() + blocks.take_while(|block| is_zero(block) == kind).map(<[u8]>::len).sum::<usize>()
}

fn is_zero(block: &[u8]) -> bool {
    *block == ZEROS[..block.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(chunks: &[Bytes]) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut splitter = Splitter::new(|part| {
            parts.push(part);
            Ok(())
        });
        for chunk in chunks {
            splitter.push(chunk).unwrap();
        }
        splitter.end().unwrap();
        parts
    }

    fn joined(parts: &[Part]) -> Vec<u8> {
        let mut image = Vec::new();
        for part in parts {
            match part {
                Part::Data { offset, bytes } => {
                    assert_eq!(*offset, image.len() as u64);
                    image.extend_from_slice(bytes);
                }
                Part::Zeros { offset, length } => {
                    assert_eq!(*offset, image.len() as u64);
                    image.resize(image.len() + usize::try_from(*length).unwrap(), 0);
                }
                Part::End => {}
            }
        }
        image
    }

    #[test]
    fn zeros_of_several_chunks_are_one_run() {
        let (zeros, ones) = (Bytes::from(vec![0; 8192]), Bytes::from(vec![1; 4096]));
        let parts = split(&[zeros.clone(), zeros, ones.clone(), Bytes::from(vec![0; 10])]);
        let expected = [
            Part::Zeros { offset: 0, length: 16384 },
            Part::Data { offset: 16384, bytes: ones },
            Part::Zeros { offset: 20480, length: 10 },
            Part::End,
        ];
        assert_eq!(parts, expected);
    }

    #[test]
    fn a_byte_that_is_not_zero_makes_its_block_data() {
        let mut bytes = vec![0; 3 * 4096];
        bytes[2 * 4096 - 1] = 1;
        let parts = split(&[Bytes::from(bytes)]);
        assert!(matches!(&parts[1], Part::Data { offset: 4096, bytes } if bytes.len() == 4096), "{parts:?}");
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_no_block_of_zeros_is_data(
            blocks in prop::collection::vec((any::<bool>(), 1_usize..4), 0..12),
            tail in 0_usize..5000,
            chunk_blocks in 1_usize..4,
        ) {
            let mut image = Vec::new();
            for (is_data, count) in blocks {
                for _ in 0..count {
                    image.resize(image.len() + 4096, 0);
                    let last = image.len() - 1;
                    image[last] = u8::from(is_data);
                }
            }
            image.resize(image.len() + tail, 0);
            let chunks: Vec<_> = image.chunks(chunk_blocks * 4096).map(Bytes::copy_from_slice).collect();
            let parts = split(&chunks);
            prop_assert_eq!(joined(&parts), image);
            prop_assert_eq!(parts.last(), Some(&Part::End));
            for part in &parts {
                if let Part::Data { offset, bytes } = part {
                    prop_assert_eq!(offset % 4096, 0);
                    prop_assert!(bytes.chunks(4096).all(|block| !is_zero(block)));
                }
            }
            let touching = parts.windows(2).any(|two| matches!(two, [Part::Zeros { .. }, Part::Zeros { .. }]));
            prop_assert!(!touching);
        }
    }
}
