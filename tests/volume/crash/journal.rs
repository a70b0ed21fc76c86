//! What writers did to each block, and what they were promised.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// How many blocks the volume has: two regions of the map and a bit.
pub(super) const BLOCKS: u64 = 2048 + 64;

/// What is known of one block. Its numbers only grow.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// The last number that was sent.
    begun: u64,
    /// The last one whose write was answered.
    written: u64,
    /// The last one that a flush was answered for.
    flushed: u64,
}

/// The facts of all blocks.
#[derive(Debug)]
pub(super) struct Journal {
    blocks: Mutex<(Vec<Known>, u64)>,
}

impl Default for Journal {
    fn default() -> Self {
        Journal { blocks: Mutex::new((vec![Known::default(); index(BLOCKS)], 0)) }
    }
}

impl Journal {
    fn with<T>(&self, look: impl FnOnce(&mut Vec<Known>, &mut u64) -> T) -> T {
        let mut guard = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let (blocks, flushes) = &mut *guard;
        look(blocks, flushes)
    }

    /// The number of the next write of a block.
    pub(super) fn begin(&self, block: u64) -> u64 {
        self.with(|blocks, _| {
            blocks[index(block)].begun += 1;
            blocks[index(block)].begun
        })
    }

    pub(super) fn written(&self, block: u64, number: u64) {
        self.with(|blocks, _| blocks[index(block)].written = number);
    }

    /// What a flush that starts now promises.
    pub(super) fn seen_by(&self, range: Range<u64>) -> Vec<u64> {
        self.with(|blocks, _| blocks[index(range.start)..index(range.end)].iter().map(|known| known.written).collect())
    }

    /// The flush was answered.
    pub(super) fn flushed(&self, first: u64, promised: &[u64]) {
        self.with(|blocks, flushes| {
            for (known, number) in blocks[index(first)..].iter_mut().zip(promised) {
                known.flushed = known.flushed.max(*number);
            }
            *flushes += 1;
        });
    }

    pub(super) fn flushes(&self) -> u64 {
        self.with(|_, flushes| *flushes)
    }

    pub(super) fn written_so_far(&self) -> Vec<u64> {
        self.with(|blocks, _| blocks.iter().map(|known| known.written).collect())
    }

    pub(super) fn begun_so_far(&self) -> Vec<u64> {
        self.with(|blocks, _| blocks.iter().map(|known| known.begun).collect())
    }

    /// The least and the most that each block may hold after a crash.
    pub(super) fn bounds(&self) -> Vec<(u64, u64)> {
        self.with(|blocks, _| blocks.iter().map(|known| (known.flushed, known.begun)).collect())
    }

    /// Goes on from what was found after a crash. What was seen may still be lost by the next one if nobody flushes it.
    pub(super) fn restart_from(&self, found: &[u64]) {
        self.with(|blocks, _| {
            for (known, number) in blocks.iter_mut().zip(found) {
                known.written = *number;
            }
        });
    }
}

fn index(block: u64) -> usize {
    usize::try_from(block).expect("64 bits")
}

/// What a block holds after the write of a number.
pub(super) fn content(block: u64, number: u64) -> Vec<u8> {
    [block.to_le_bytes(), number.to_le_bytes()].concat().repeat(256)
}

/// The number in a block, if it is one and the same all over. A block that was never written has 0.
pub(super) fn value(block: u64, bytes: &[u8]) -> Option<u64> {
    if bytes.iter().all(|byte| *byte == 0) {
        return Some(0);
    }
    let number = u64::from_le_bytes(bytes[8..16].try_into().ok()?);
    (bytes == content(block, number)).then_some(number)
}
