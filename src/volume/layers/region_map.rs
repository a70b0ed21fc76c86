//! What a layer has of the blocks of one region.

use std::fmt;
use std::ops::Range;

use crate::volume::device::BLOCK_BYTES;

/// How many blocks a region has.
pub const REGION_BLOCKS: usize = 1024;
/// How long a region is, in bytes.
pub const REGION_BYTES: u64 = REGION_BLOCKS as u64 * BLOCK_BYTES;
/// How long the map of a region is on disk, in bytes: two bits for each block.
pub const MAP_BYTES: usize = REGION_BLOCKS / 4;

const MASK: u64 = 0b11;
const PER_WORD: usize = 32;
/// The low bit of each block of a word.
const LOW_BITS: u64 = 0x5555_5555_5555_5555;

/// What a layer has of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockState {
    /// Nothing: the layer below decides.
    Absent,
    /// Its bytes.
    Data,
    /// That it reads as zeros.
    Zero,
}

impl BlockState {
    fn bits(self) -> u64 {
        match self {
            BlockState::Absent => 0,
            BlockState::Data => 1,
            BlockState::Zero => 2,
        }
    }

    fn from_bits(bits: u64) -> Self {
        match bits & MASK {
            0 => BlockState::Absent,
            1 => BlockState::Data,
            _ => BlockState::Zero,
        }
    }
}

/// What a layer has of each block of a region.
#[derive(Clone, PartialEq, Eq)]
pub struct Blocks {
    words: [u64; REGION_BLOCKS / PER_WORD],
}

impl Blocks {
    /// Nothing of any block.
    pub const ABSENT: Blocks = Blocks { words: [0; REGION_BLOCKS / PER_WORD] };

    /// What there is of the block of that number within the region.
    pub fn get(&self, block: usize) -> BlockState {
        BlockState::from_bits(self.words[block / PER_WORD] >> (block % PER_WORD * 2))
    }

    /// Changes one block.
    pub fn set(&mut self, block: usize, state: BlockState) {
        let shift = block % PER_WORD * 2;
        let word = &mut self.words[block / PER_WORD];
        *word = *word & !(MASK << shift) | state.bits() << shift;
    }

    /// Changes several blocks.
    pub fn fill(&mut self, blocks: Range<usize>, state: BlockState) {
        for block in blocks {
            self.set(block, state);
        }
    }

    /// How many blocks are so.
    pub fn count(&self, state: BlockState) -> u64 {
        let count = |bits: fn(u64) -> u64| self.words.iter().map(|word| u64::from(bits(*word).count_ones())).sum();
        match state {
            BlockState::Data => count(|word| word & LOW_BITS),
            BlockState::Zero => count(|word| word >> 1 & LOW_BITS),
            BlockState::Absent => REGION_BLOCKS as u64 - self.count(BlockState::Data) - self.count(BlockState::Zero),
        }
    }

    /// What there is here of blocks of which the other has nothing.
    #[must_use]
    pub fn without(&self, other: &Blocks) -> Blocks {
        self.masked(other, |present| !present)
    }

    /// What there is here of blocks of which the other has something too.
    #[must_use]
    pub fn within(&self, other: &Blocks) -> Blocks {
        self.masked(other, |present| present)
    }

    fn masked(&self, other: &Blocks, mask: fn(u64) -> u64) -> Blocks {
        let mut blocks = self.clone();
        for (word, other) in blocks.words.iter_mut().zip(other.words) {
            let present = (other | other >> 1) & LOW_BITS;
            *word &= mask(present * MASK);
        }
        blocks
    }

    /// What there is here, and below it, where there is nothing here, what the other has.
    #[must_use]
    pub fn over(&self, below: &Blocks) -> Blocks {
        let mut blocks = below.without(self);
        for (word, own) in blocks.words.iter_mut().zip(self.words) {
            *word |= own;
        }
        blocks
    }

    /// Neighbours that are so.
    pub fn runs_of(&self, state: BlockState) -> impl Iterator<Item = Range<usize>> + '_ {
        self.runs().filter(move |(_, of_run)| *of_run == state).map(|(run, _)| run)
    }

    /// Whether there is nothing of any block.
    pub fn is_absent(&self) -> bool {
        *self == Blocks::ABSENT
    }

    /// Neighbours that are alike, from the first block to the last.
    pub fn runs(&self) -> impl Iterator<Item = (Range<usize>, BlockState)> + '_ {
        let mut start = 0;
        std::iter::from_fn(move || {
            let first = start;
            let state = (first < REGION_BLOCKS).then(|| self.get(first))?;
            start = self.end_of_run(first, state);
            Some((first..start, state))
        })
    }

    fn end_of_run(&self, first: usize, state: BlockState) -> usize {
        let mut end = first + 1;
        let whole = LOW_BITS * state.bits();
        while end < REGION_BLOCKS {
            if end.is_multiple_of(PER_WORD) && self.words[end / PER_WORD] == whole {
                end += PER_WORD;
            } else if self.get(end) == state {
                end += 1;
            } else {
                break;
            }
        }
        end
    }

    /// As it is on disk.
    pub fn to_bytes(&self) -> [u8; MAP_BYTES] {
        let mut bytes = [0; MAP_BYTES];
        for (into, word) in bytes.chunks_exact_mut(8).zip(self.words) {
            into.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Nothing if a block is in a state that there is not.
    pub fn from_bytes(bytes: &[u8; MAP_BYTES]) -> Option<Self> {
        let mut blocks = Blocks::ABSENT;
        for (word, from) in blocks.words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*from);
            if *word & *word >> 1 & LOW_BITS != 0 {
                return None;
            }
        }
        Some(blocks)
    }
}

impl fmt::Debug for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let present = self.runs().filter(|(_, state)| *state != BlockState::Absent);
        f.debug_list().entries(present).finish()
    }
}

/// The map of a region as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionMap {
    /// What the layer has of each block.
    pub blocks: Blocks,
    /// Whether the checksums of the region are those of its data.
    pub sums: SumsState,
    /// Counts how often the map of this region was stored; 0 if it never was.
    pub generation: u64,
    /// Whether one of its two copies cannot be read.
    pub is_copy_damaged: bool,
}

impl RegionMap {
    /// That of a region in which nothing was ever written.
    pub const ABSENT: RegionMap =
        RegionMap { blocks: Blocks::ABSENT, sums: SumsState::Valid, generation: 0, is_copy_damaged: false };
}

/// Whether checksums can be held against the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SumsState {
    /// They are those of the data.
    Valid,
    /// Data is being written; after a crash they may be older than it.
    Stale,
}

/// The region that an offset in the volume is in.
pub fn region_of(offset: u64) -> u32 {
    u32::try_from(offset / REGION_BYTES).unwrap_or(u32::MAX)
}

/// Where a region starts in the volume.
pub fn start_of(region: u32) -> u64 {
    u64::from(region) * REGION_BYTES
}

/// A range of the volume in parts that are within one region each.
pub fn by_region(range: Range<u64>) -> impl Iterator<Item = (u32, Range<u64>)> {
    let mut from = range.start;
    std::iter::from_fn(move || {
        let start = from;
        let region = region_of(start);
        from = range.end.min((start / REGION_BYTES + 1).saturating_mul(REGION_BYTES));
        (start < range.end).then_some((region, start..from))
    })
}

/// Where blocks of a region are in the volume, in bytes.
pub fn bytes_of(region: u32, blocks: &Range<usize>) -> Range<u64> {
    let at = |block: usize| start_of(region) + block as u64 * BLOCK_BYTES;
    at(blocks.start)..at(blocks.end)
}

/// How many of the blocks of a region are before the end of something that is so long.
pub fn blocks_before(size: u64, region: u32) -> usize {
    let blocks = size.saturating_sub(start_of(region)).div_ceil(BLOCK_BYTES);
    usize::try_from(blocks).unwrap_or(REGION_BLOCKS).min(REGION_BLOCKS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn states() -> impl Strategy<Value = Vec<BlockState>> {
        let state = prop_oneof![Just(BlockState::Absent), Just(BlockState::Data), Just(BlockState::Zero)];
        // Runs, so that whole words are alike sometimes.
        proptest::collection::vec((state, 1_usize..200), 1..40).prop_map(|runs| {
            let states = runs.into_iter().flat_map(|(state, length)| std::iter::repeat_n(state, length));
            states.chain(std::iter::repeat(BlockState::Absent)).take(REGION_BLOCKS).collect()
        })
    }

    proptest! {
        #[test]
        fn blocks_are_what_they_were_set_to_also_from_bytes(states in states()) {
            let mut blocks = Blocks::ABSENT;
            blocks.fill(0..REGION_BLOCKS, BlockState::Zero);
            for (block, state) in states.iter().enumerate() {
                blocks.set(block, *state);
            }
            let read = Blocks::from_bytes(&blocks.to_bytes());
            prop_assert_eq!(read.as_ref(), Some(&blocks));
            for state in [BlockState::Absent, BlockState::Data, BlockState::Zero] {
                let expected = states.iter().filter(|of_block| **of_block == state).count();
                prop_assert_eq!(blocks.count(state), expected as u64);
            }
            let mut end = 0;
            let mut before = None;
            for (run, state) in blocks.runs() {
                prop_assert_eq!(run.start, end);
                prop_assert!(!run.is_empty() && before != Some(state));
                prop_assert!(states[run.clone()].iter().all(|of_block| *of_block == state));
                (end, before) = (run.end, Some(state));
            }
            prop_assert_eq!(end, REGION_BLOCKS);
        }
    }

    proptest! {
        #[test]
        fn two_maps_are_combined_block_by_block(first in states(), second in states()) {
            let map = |states: &[BlockState]| {
                let mut blocks = Blocks::ABSENT;
                states.iter().enumerate().for_each(|(block, state)| blocks.set(block, *state));
                blocks
            };
            let (one, other) = (map(&first), map(&second));
            for (block, (upper, lower)) in first.iter().zip(&second).enumerate() {
                let is_absent = *lower == BlockState::Absent;
                prop_assert_eq!(one.without(&other).get(block), if is_absent { *upper } else { BlockState::Absent });
                prop_assert_eq!(one.within(&other).get(block), if is_absent { BlockState::Absent } else { *upper });
                prop_assert_eq!(one.over(&other).get(block), if *upper == BlockState::Absent { *lower } else { *upper });
            }
        }
    }

    #[test]
    fn a_state_that_there_is_not_is_refused() {
        let mut bytes = Blocks::ABSENT.to_bytes();
        bytes[17] = 0b0011_0000;
        assert_eq!(Blocks::from_bytes(&bytes), None);
    }
}
