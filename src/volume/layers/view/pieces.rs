//! Cuts a range of a device where the ways to handle it differ.

use std::ops::Range;

use crate::volume::device::BLOCK_BYTES;
use crate::volume::layers::region_map::{self, REGION_BLOCKS, REGION_BYTES};

/// A part of a range that is within one region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) offset: u64,
    pub(super) length: u64,
}

impl Piece {
    pub(super) fn region(&self) -> u32 {
        region_map::region_of(self.offset)
    }

    /// The blocks of the region that it touches.
    pub(super) fn blocks(&self) -> Range<usize> {
        let first = within(self.offset);
        let last = within(self.offset + self.length - 1);
        first..last + 1
    }

    /// Whether it is whole blocks.
    pub(super) fn is_whole(&self) -> bool {
        self.offset.is_multiple_of(BLOCK_BYTES) && self.length.is_multiple_of(BLOCK_BYTES)
    }

    /// Its bytes in a buffer that holds the range from `start` on.
    pub(super) fn place(&self, start: u64) -> Range<usize> {
        let first = bytes(self.offset - start);
        first..first + bytes(self.length)
    }
}

/// The block of its region that a byte is in.
fn within(offset: u64) -> usize {
    bytes(offset / BLOCK_BYTES) % REGION_BLOCKS
}

/// A number of bytes of a buffer, as an index.
pub(super) fn bytes(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Where a block of a region starts in the device.
pub(super) fn start_of(region: u32, block: usize) -> u64 {
    region_map::start_of(region) + block as u64 * BLOCK_BYTES
}

/// The regions that a range of a device touches; it is not empty.
pub(super) fn regions_of(range: Range<u64>) -> Range<u32> {
    region_map::region_of(range.start)..region_map::region_of(range.end - 1).saturating_add(1)
}

/// The range, a piece a region.
pub(super) fn by_region(offset: u64, length: u64) -> impl Iterator<Item = Piece> {
    cut(offset, length, |at, _| REGION_BYTES - at % REGION_BYTES)
}

/// The range, in pieces that are whole blocks of one region, or parts of one block.
pub(super) fn by_block(offset: u64, length: u64) -> impl Iterator<Item = Piece> {
    cut(offset, length, |at, left| {
        if !at.is_multiple_of(BLOCK_BYTES) || left < BLOCK_BYTES {
            return BLOCK_BYTES - at % BLOCK_BYTES;
        }
        (left - left % BLOCK_BYTES).min(REGION_BYTES - at % REGION_BYTES)
    })
}

fn cut(offset: u64, length: u64, most: impl Fn(u64, u64) -> u64) -> impl Iterator<Item = Piece> {
    let (mut at, mut left) = (offset, length);
    std::iter::from_fn(move || {
        if left == 0 {
            return None;
        }
        let length = most(at, left).min(left);
        let piece = Piece { offset: at, length };
        at += length;
        left -= length;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cuts(pieces: impl Iterator<Item = Piece>) -> Vec<(u64, u64)> {
        pieces.map(|piece| (piece.offset, piece.length)).collect()
    }

    #[test]
    fn range_is_cut_at_regions_and_where_blocks_are_not_whole() {
        let edge = REGION_BYTES;
        assert_eq!(cuts(by_region(edge - 10, 30)), [(edge - 10, 10), (edge, 20)]);
        assert_eq!(cuts(by_block(100, 200)), [(100, 200)]);
        assert_eq!(cuts(by_block(4096, 8192)), [(4096, 8192)]);
        assert_eq!(cuts(by_block(4000, 9000)), [(4000, 96), (4096, 8192), (12288, 712)]);
        assert_eq!(cuts(by_block(edge - 4096, 8192)), [(edge - 4096, 4096), (edge, 4096)]);
        assert_eq!(cuts(by_block(7, 0)), []);
    }

    #[test]
    fn piece_tells_the_blocks_that_it_touches() {
        let piece = Piece { offset: REGION_BYTES + 4000, length: 200 };
        assert_eq!((piece.region(), piece.blocks(), piece.is_whole()), (1, 0..2, false));
        assert_eq!(piece.place(REGION_BYTES), 4000..4200);
        assert_eq!(start_of(1, 2), REGION_BYTES + 8192);
    }
}
