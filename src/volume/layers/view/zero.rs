//! Zeros and trims: the map says so, and what the top had is given back.

use std::io;
use std::ops::Range;

use super::View;
use super::pieces::{Piece, by_region, regions_of, start_of};
use crate::volume::device::{BLOCK_BYTES, Wait, Zero};
use crate::volume::layers::disk::BlockFile;
use crate::volume::layers::entry::Entry;
use crate::volume::layers::page::Page;
use crate::volume::layers::region_map::{self, REGION_BLOCKS};
use crate::volume::layers::stack::Stack;
use crate::volume::layers::sums::BLOCK;

/// How many regions are handled before others get a chance to pass the barrier.
const BATCH: u32 = 64;

/// For the parts of blocks at the ends of a range.
static ZEROS: [u8; BLOCK] = [0; BLOCK];

impl<F: BlockFile> View<F> {
    pub(super) fn write_zeros(&self, offset: u64, length: u64, zero: Zero) -> io::Result<()> {
        self.check_writable()?;
        self.check(offset, length)?;
        let end = offset + length;
        let whole = whole_blocks(offset..end);
        if whole.is_empty() {
            let middle = end.min(offset.next_multiple_of(BLOCK_BYTES));
            self.zero_part(offset..middle)?;
            return self.zero_part(middle..end);
        }
        self.zero_part(offset..whole.start)?;
        self.zero_blocks(whole.clone(), zero)?;
        self.zero_part(whole.end..end)
    }

    pub(super) fn give_back(&self, offset: u64, length: u64) -> io::Result<()> {
        self.check_writable()?;
        self.check(offset, length)?;
        self.zero_blocks(whole_blocks(offset..offset + length), Zero::Deallocate)
    }

    /// Zeros within one block.
    fn zero_part(&self, range: Range<u64>) -> io::Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        let piece = Piece { offset: range.start, length: range.end - range.start };
        let stack = self.stack.read();
        let entry = stack.page(piece.region(), Wait::Allowed)?.get(piece.blocks().start);
        if entry.is_zeros() {
            return Ok(());
        }
        self.write_part(&stack, piece, &ZEROS[..super::pieces::bytes(piece.length)])?;
        drop(stack);
        self.relieve()
    }

    fn zero_blocks(&self, range: Range<u64>, zero: Zero) -> io::Result<()> {
        let mut at = range.start;
        while at < range.end {
            let stack = self.stack.read();
            // What was never written is passed over, however much it is.
            let known = stack.next_known(regions_of(at..range.end))?;
            at = at.max(region_map::start_of(known));
            let end = range.end.min(region_map::start_of(known.saturating_add(BATCH)));
            if at >= end {
                break;
            }
            for piece in by_region(at, end - at) {
                self.zero_piece(&stack, piece, zero)?;
            }
            drop(stack);
            self.relieve()?;
            at = end;
        }
        Ok(())
    }

    /// Zeros for whole blocks of one region.
    fn zero_piece(&self, stack: &Stack<F>, piece: Piece, zero: Zero) -> io::Result<()> {
        let region = piece.region();
        let mut blocks = piece.blocks();
        let mut page = stack.page_alone(region)?;
        let mut freed = Ok(());
        while !blocks.is_empty() {
            let (entry, end) = page.run(blocks.clone());
            let run = blocks.start..end;
            blocks.start = end;
            if entry.is_zeros() {
                continue;
            }
            if page.set(run.clone(), Entry::zero(stack.top_slot())) {
                self.soil(stack, region);
            }
            // Whoever writes to a block from here on has to wait for the page, so that nothing new is punched.
            if entry == Entry::data(stack.top_slot()) && zero == Zero::Deallocate {
                let start = start_of(region, run.start);
                freed = freed.and(stack.top().punch(start, start_of(region, run.end) - start));
            }
        }
        if matches!(&*page, Page::Mixed(_)) && piece.blocks() == (0..REGION_BLOCKS) {
            page.compact();
        }
        freed
    }
}

/// The blocks that are in a range with all of their bytes; empty if there are none.
fn whole_blocks(range: Range<u64>) -> Range<u64> {
    let end = range.end - range.end % BLOCK_BYTES;
    // A range that starts in the last block of all has no next one to start at.
    let start = range.start.checked_next_multiple_of(BLOCK_BYTES).unwrap_or(end);
    start..end
}
