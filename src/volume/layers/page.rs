//! The map of one region of a view.

use std::ops::Range;
use std::sync::atomic::{AtomicU8, AtomicU16, Ordering};

use parking_lot::RwLock;

use super::entry::Entry;
use super::region_map::REGION_BLOCKS;

/// Who has the blocks of a region.
#[derive(Debug, Default)]
pub(super) enum Page {
    /// Nobody asked yet.
    #[default]
    Unloaded,
    /// All of them are alike.
    Uniform(Entry),
    /// Each its own.
    Mixed(Box<Entries>),
}

/// An entry a block. They are set under a shared lock, after the bytes are where the entry says.
#[derive(Debug)]
pub(super) struct Entries([AtomicU16; REGION_BLOCKS]);

/// A page, and whether it says something that the layers' maps do not say yet.
#[derive(Debug, Default)]
pub(super) struct Cell {
    pub(super) page: RwLock<Page>,
    state: AtomicU8,
}

/// The page says something that nobody has taken to store.
const DIRTY: u8 = 1;

/// Somebody is about to store what the page said.
const TAKEN: u8 = 2;

impl Entries {
    fn uniform(entry: Entry) -> Box<Self> {
        Box::new(Entries(std::array::from_fn(|_| AtomicU16::new(entry.to_bits()))))
    }

    /// What is said of one block.
    pub(super) fn get(&self, block: usize) -> Entry {
        Entry::from_bits(self.0[block].load(Ordering::Acquire))
    }

    /// Says it of some blocks. Returns whether that is news.
    pub(super) fn set(&self, blocks: Range<usize>, entry: Entry) -> bool {
        let bits = entry.to_bits();
        let mut is_news = false;
        for cell in &self.0[blocks] {
            if cell.load(Ordering::Relaxed) != bits {
                cell.store(bits, Ordering::Release);
                is_news = true;
            }
        }
        is_news
    }
}

impl Page {
    /// A page that says this of its blocks.
    pub(super) fn of(entries: &[Entry; REGION_BLOCKS]) -> Self {
        if entries.iter().all(|entry| *entry == entries[0]) {
            return Page::Uniform(entries[0]);
        }
        let cell = |block: usize| AtomicU16::new(entries[block].to_bits());
        Page::Mixed(Box::new(Entries(std::array::from_fn(cell))))
    }

    /// Whether it says anything.
    pub(super) fn is_loaded(&self) -> bool {
        !matches!(self, Page::Unloaded)
    }

    /// What is said of one block of a loaded page.
    pub(super) fn get(&self, block: usize) -> Entry {
        match self {
            Page::Unloaded => Entry::HOLE,
            Page::Uniform(entry) => *entry,
            Page::Mixed(blocks) => blocks.get(block),
        }
    }

    /// The entry of the first of some blocks, and the end of those after it that are alike.
    pub(super) fn run(&self, blocks: Range<usize>) -> (Entry, usize) {
        let first = self.get(blocks.start);
        let Page::Mixed(entries) = self else {
            return (first, blocks.end);
        };
        let differs = |block: &usize| entries.get(*block) != first;
        let end = (blocks.start + 1..blocks.end).find(differs);
        (first, end.unwrap_or(blocks.end))
    }

    /// Neighbours that are alike, from the first block to the last; nothing if it is not loaded.
    pub(super) fn runs(&self) -> Vec<(Range<usize>, Entry)> {
        let (mut runs, mut start) = (Vec::new(), if self.is_loaded() { 0 } else { REGION_BLOCKS });
        while start < REGION_BLOCKS {
            let (entry, end) = self.run(start..REGION_BLOCKS);
            runs.push((start..end, entry));
            start = end;
        }
        runs
    }

    /// The entries one by one, to be changed.
    pub(super) fn expand(&mut self) -> &Entries {
        match self {
            Page::Unloaded => *self = Page::Mixed(Entries::uniform(Entry::HOLE)),
            Page::Uniform(entry) => *self = Page::Mixed(Entries::uniform(*entry)),
            Page::Mixed(_) => {}
        }
        let Page::Mixed(entries) = self else { unreachable!("it was made so above") };
        entries
    }

    /// Says the same in less space, if it can.
    pub(super) fn compact(&mut self) {
        if let (Page::Mixed(_), (entry, REGION_BLOCKS)) = (&*self, self.run(0..REGION_BLOCKS)) {
            *self = Page::Uniform(entry);
        }
    }

    /// Says it of some blocks, which are all of the region or not. Returns whether that is news.
    pub(super) fn set(&mut self, blocks: Range<usize>, entry: Entry) -> bool {
        match self {
            Page::Uniform(old) if *old == entry => false,
            Page::Uniform(old) if blocks == (0..REGION_BLOCKS) => {
                *old = entry;
                true
            }
            _ => self.expand().set(blocks, entry),
        }
    }
}

impl Cell {
    /// Remembers that its page has to be stored. Returns whether that is news.
    pub(super) fn soil(&self) -> bool {
        self.state.fetch_or(DIRTY, Ordering::AcqRel) & DIRTY == 0
    }

    /// To be called before its page is read to be stored: what is said later soils it again.
    pub(super) fn take(&self) {
        self.state.fetch_or(TAKEN, Ordering::AcqRel);
        // An exchange, not a store: so every entry is seen that was set before a `soil` that was no news.
        self.state.fetch_and(!DIRTY, Ordering::AcqRel);
    }

    /// What was taken is stored now, or soils it again.
    pub(super) fn settle(&self) {
        self.state.fetch_and(!TAKEN, Ordering::AcqRel);
    }

    /// Takes over what another cell says of itself.
    pub(super) fn soil_as(&self, other: &Cell) {
        self.state.store(other.state.load(Ordering::Acquire), Ordering::Release);
    }

    /// Whether it has to be stored, and nobody has begun with that.
    #[cfg(test)]
    pub(super) fn is_dirty(&self) -> bool {
        self.state.load(Ordering::Acquire) & DIRTY != 0
    }

    /// Whether the layers' maps say the same, so that the page may be forgotten. Asked with its lock held alone.
    pub(super) fn is_stored(&self) -> bool {
        self.state.load(Ordering::Acquire) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::layers::entry::Slot;

    fn entries() -> (Entry, Entry) {
        let slot = Slot::after(3).unwrap();
        (Entry::data(slot), Entry::zero(slot))
    }

    #[test]
    fn pages_that_are_alike_take_no_space() {
        let (data, zero) = entries();
        let mut page = Page::Uniform(data);
        assert!(!page.set(3..7, data));
        assert!(page.set(3..7, zero));
        assert_eq!(page.run(0..REGION_BLOCKS), (data, 3));
        assert_eq!(page.run(3..REGION_BLOCKS), (zero, 7));
        assert_eq!(page.run(4..6), (zero, 6));
        page.compact();
        assert!(matches!(page, Page::Mixed(_)));
        assert!(page.set(3..7, data));
        page.compact();
        assert!(matches!(page, Page::Uniform(entry) if entry == data));
        assert!(page.set(0..REGION_BLOCKS, zero));
        assert!(matches!(page, Page::Uniform(entry) if entry == zero));
    }

    #[test]
    fn cell_is_soiled_once_until_it_is_taken() {
        let cell = Cell::default();
        assert!(cell.soil() && !cell.soil() && cell.is_dirty());
        cell.take();
        assert!(!cell.is_dirty() && !cell.is_stored());
        cell.settle();
        assert!(cell.is_stored() && cell.soil() && !cell.is_stored());
    }
}
