//! What a range consists of.

use std::io;

use super::View;
use super::pieces::{Piece, by_region, regions_of, start_of};
use crate::volume::device::{Extent, ExtentKind, Wait};
use crate::volume::layers::disk::BlockFile;
use crate::volume::layers::entry::Entry;
use crate::volume::layers::region_map;
use crate::volume::layers::stack::Stack;

/// How many regions are looked at before others get a chance to pass the barrier.
const BATCH: u32 = 64;

/// Extents in order, as far as there is room.
struct Found {
    extents: Vec<Extent>,
    limit: usize,
}

impl Found {
    /// Adds one to the end. Says whether there was room.
    fn add(&mut self, length: u64, kind: ExtentKind, depth: Option<u32>) -> bool {
        if let Some(last) = self.extents.last_mut().filter(|last| (last.kind, last.depth) == (kind, depth)) {
            last.length += length;
            return true;
        }
        if self.extents.len() >= self.limit {
            return false;
        }
        self.extents.push(Extent { length, kind, depth });
        true
    }
}

impl<F: BlockFile> View<F> {
    pub(super) fn list_extents(&self, offset: u64, length: u64, limit: usize) -> io::Result<Vec<Extent>> {
        self.check(offset, length)?;
        let mut found = Found { extents: Vec::new(), limit };
        let (mut at, end) = (offset, offset + length);
        while at < end {
            let stack = self.stack.read();
            let regions = regions_of(at..end);
            let batch_end = end.min(region_map::start_of(regions.start.saturating_add(BATCH)));
            let known_at = region_map::start_of(stack.next_known(regions)?).clamp(at, end);
            if known_at > at {
                if !found.add(known_at - at, ExtentKind::Hole, None) {
                    break;
                }
                at = known_at;
                continue;
            }
            for piece in by_region(at, batch_end - at) {
                if !add_piece(&stack, piece, &mut found)? {
                    return Ok(found.extents);
                }
            }
            at = batch_end;
        }
        Ok(found.extents)
    }
}

fn add_piece<F: BlockFile>(stack: &Stack<F>, piece: Piece, found: &mut Found) -> io::Result<bool> {
    let region = piece.region();
    let page = stack.page(region, Wait::Allowed)?;
    let mut blocks = piece.blocks();
    while !blocks.is_empty() {
        let (entry, end) = page.run(blocks.clone());
        let first = start_of(region, blocks.start).max(piece.offset);
        let last = start_of(region, end).min(piece.offset + piece.length);
        let kind = match entry {
            Entry::HOLE => ExtentKind::Hole,
            entry if entry.is_zeros() => ExtentKind::Zero,
            _ => ExtentKind::Data,
        };
        if !found.add(last - first, kind, entry.slot().map(|slot| stack.depth(slot))) {
            return Ok(false);
        }
        blocks.start = end;
    }
    Ok(true)
}
