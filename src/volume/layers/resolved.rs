//! The map of a view: a page a region, made when a region is first asked for.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::page::{Cell, Page};
use super::region_map::REGION_BYTES;

/// How many regions a segment has: 4 GiB of the volume, in 32 KiB of memory.
pub(super) const SEGMENT_REGIONS: u32 = 1024;

/// How many pages a view keeps: those of 256 GiB, in at most 128 MiB of memory. Beyond that it forgets some for each new
/// one.
const MAX_PAGES: usize = if cfg!(test) { 2 } else { 65_536 };

/// How many cells are looked at for one that can be forgotten.
const LOOKS: usize = 16;

/// Who has which block, as far as that was asked.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    segments: Vec<OnceLock<Box<[Cell]>>>,
    /// About how many pages are loaded.
    pages: AtomicUsize,
    /// Where to look next for one to forget.
    hand: AtomicU32,
}

impl Resolved {
    /// A map of which nothing is known yet.
    pub(super) fn new(size: u64) -> Self {
        let mut map = Resolved::default();
        map.grow(size);
        map
    }

    /// Makes room for a device of that size.
    pub(super) fn grow(&mut self, size: u64) {
        let segments = usize::try_from(size.div_ceil(REGION_BYTES * u64::from(SEGMENT_REGIONS))).unwrap_or(usize::MAX);
        self.segments.resize_with(segments.max(self.segments.len()), OnceLock::new);
    }

    /// The cell of a region within the size.
    pub(super) fn cell(&self, region: u32) -> &Cell {
        let (segment, place) = split(region);
        let make = || (0..SEGMENT_REGIONS).map(|_| Cell::default()).collect();
        &self.segments[segment].get_or_init(make)[place]
    }

    /// The cell of a region, if its segment was ever touched.
    pub(super) fn touched(&self, region: u32) -> Option<&Cell> {
        let (segment, place) = split(region);
        self.segments.get(segment)?.get().map(|cells| &cells[place])
    }

    /// The first region of these whose page is loaded.
    pub(super) fn next_loaded(&self, regions: Range<u32>) -> Option<u32> {
        let mut region = regions.start;
        while region < regions.end {
            match self.touched(region) {
                Some(cell) if cell.page.read().is_loaded() => return Some(region),
                Some(_) => region += 1,
                None => region = (region / SEGMENT_REGIONS + 1).saturating_mul(SEGMENT_REGIONS),
            }
        }
        None
    }

    /// Counts a page that is loaded now, and forgets others when there are too many.
    pub(super) fn count_page(&self) {
        if self.pages.fetch_add(1, Ordering::Relaxed) < MAX_PAGES {
            return;
        }
        for _ in 0..LOOKS {
            self.forget_one();
        }
    }

    fn forget_one(&self) {
        let regions = u32::try_from(self.segments.len()).unwrap_or(u32::MAX).saturating_mul(SEGMENT_REGIONS);
        let region = self.hand.fetch_add(1, Ordering::Relaxed) % regions.max(1);
        let Some(cell) = self.touched(region) else {
            // Nothing in all of its segment.
            self.hand.fetch_add(SEGMENT_REGIONS - 1, Ordering::Relaxed);
            return;
        };
        // Who is at it needs it.
        let Some(mut page) = cell.page.try_write() else {
            return;
        };
        if page.is_loaded() && cell.is_stored() {
            *page = Page::Unloaded;
            self.pages.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The cells that there are, with their regions.
    pub(super) fn cells(&self) -> impl Iterator<Item = (u32, &Cell)> {
        let segments = (0..).step_by(SEGMENT_REGIONS as usize).zip(&self.segments);
        let made = segments.filter_map(|(first, segment)| Some((first, segment.get()?)));
        made.flat_map(|(first, cells)| (first..).zip(cells.iter()))
    }
}

fn split(region: u32) -> (usize, usize) {
    ((region / SEGMENT_REGIONS) as usize, (region % SEGMENT_REGIONS) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::layers::entry::Entry;

    #[test]
    fn only_what_is_touched_takes_memory() {
        let map = Resolved::new(20 << 40);
        assert_eq!(map.segments.len(), 5120);
        assert_eq!(map.cells().count(), 0);
        assert!(map.touched(1024).is_none());
        map.cell(1025).soil();
        assert!(map.touched(1024).is_some());
        let dirty: Vec<u32> = map.cells().filter(|(_, cell)| cell.is_dirty()).map(|(region, _)| region).collect();
        assert_eq!(dirty, [1025]);
    }

    #[test]
    fn pages_beyond_the_most_are_forgotten_unless_they_must_be_stored() {
        let map = Resolved::new(1 << 40);
        let load = |region| {
            *map.cell(region).page.write() = Page::Uniform(Entry::HOLE);
            map.count_page();
        };
        load(0);
        map.cell(0).soil();
        (1..3000).for_each(load);
        let loaded = map.cells().filter(|(_, cell)| cell.page.read().is_loaded()).count();
        // The hand needs a while for its way round.
        assert!(loaded < 1000, "{loaded}");
        assert_eq!(map.next_loaded(0..3000), Some(0), "what must be stored stays");
    }

    #[test]
    fn map_grows_and_keeps_what_it_knows() {
        let mut map = Resolved::new(REGION_BYTES);
        map.cell(0).soil();
        map.grow(5 << 30);
        assert!(map.cell(0).is_dirty());
        assert!(!map.cell(1279).is_dirty());
    }
}
