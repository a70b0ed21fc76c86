//! The layers of a view, and its map. It is what the barrier of a view guards.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;
use std::{io, mem};

use parking_lot::{RwLockReadGuard, RwLockWriteGuard};

use super::disk::BlockFile;
use super::entry::{Entry, Slot};
use super::layer::Layer;
use super::page::Page;
use super::region_map::{BlockState, Blocks, REGION_BLOCKS};
use super::resolved::Resolved;
use crate::volume::device::Wait;
use crate::volume::driver::LayerId;

/// How many layers a chain may have.
pub(super) const MAX_LAYERS: usize = 8000;

/// How many slots are in use before they are numbered anew.
pub(super) const MAX_SLOTS: usize = if cfg!(test) { 12 } else { 16_000 };

/// By how much a search goes further each time that it finds nothing.
const WINDOW_GROWTH: u32 = 16;

/// Layers, by slot and as a chain, and who of them has which block.
///
/// A slot keeps its meaning while layers come and go: a new top gets the next one, and where a layer was merged into
/// another, its slot says so from then on. So the map need not be gone through.
pub(super) struct Stack<F: BlockFile> {
    slots: Vec<Arc<Layer<F>>>,
    chain: Vec<Slot>,
    /// The place in the chain of the layer in each slot, in the order of the slots.
    depths: Vec<u32>,
    top: Slot,
    pub(super) map: Resolved,
}

impl<F: BlockFile> Stack<F> {
    /// A chain, the bottom first, of which nothing is known yet. `None`: it is empty, or too long.
    pub(super) fn new(layers: Vec<Arc<Layer<F>>>, size: u64) -> Option<Self> {
        if layers.len() > MAX_LAYERS {
            return None;
        }
        let chain: Vec<Slot> = (0..layers.len()).map_while(Slot::after).collect();
        let top = *chain.last()?;
        let map = Resolved::new(size);
        let mut stack = Stack { slots: layers, chain, depths: Vec::new(), top, map };
        stack.note_depths();
        Some(stack)
    }

    /// The layer that takes writes.
    pub(super) fn top(&self) -> &Arc<Layer<F>> {
        &self.slots[self.top.index()]
    }

    /// The slot of the layer that takes writes.
    pub(super) fn top_slot(&self) -> Slot {
        self.top
    }

    /// The layer whose bytes a block is; `None`: it reads as zeros.
    pub(super) fn owner(&self, entry: Entry) -> Option<&Layer<F>> {
        let slot = entry.slot().filter(|_| !entry.is_zeros())?;
        Some(&self.slots[slot.index()])
    }

    /// The layers, the bottom first.
    pub(super) fn layers(&self) -> impl DoubleEndedIterator<Item = &Arc<Layer<F>>> + ExactSizeIterator {
        self.chain.iter().map(|slot| &self.slots[slot.index()])
    }

    /// The place in the chain of the layer in a slot, from the bottom at 0.
    pub(super) fn depth(&self, slot: Slot) -> u32 {
        self.depths[slot.index()]
    }

    fn note_depths(&mut self) {
        let places: HashMap<LayerId, u32> = self.layers().map(|layer| layer.id()).zip(0..).collect();
        let place = |layer: &Arc<Layer<F>>| places.get(&layer.id()).copied().unwrap_or(0);
        self.depths = self.slots.iter().map(place).collect();
    }

    /// Whether the slots want to be numbered anew before there is another top.
    pub(super) fn is_crowded(&self) -> bool {
        self.slots.len() >= MAX_SLOTS
    }

    /// Whether there can be another top.
    pub(super) fn has_room(&self) -> bool {
        self.chain.len() < MAX_LAYERS && Slot::after(self.slots.len()).is_some()
    }

    /// Puts a new top on it, if it has room.
    pub(super) fn push(&mut self, layer: Arc<Layer<F>>) {
        let Some(slot) = Slot::after(self.slots.len()).filter(|_| self.has_room()) else {
            return;
        };
        self.map.grow(layer.size());
        self.slots.push(layer);
        self.depths.push(u32::try_from(self.chain.len()).unwrap_or(u32::MAX));
        self.chain.push(slot);
        self.top = slot;
    }

    /// Where in the chain `from` is, directly under a certain layer if that matters.
    pub(super) fn find(&self, from: &[LayerId], under: Option<LayerId>) -> Option<usize> {
        let ids: Vec<LayerId> = self.layers().map(|layer| layer.id()).collect();
        let is_it = |start: usize| ids[start..].starts_with(from);
        let is_under = |start: usize| under.is_none_or(|under| ids.get(start + from.len()) == Some(&under));
        (0..ids.len()).find(|start| !from.is_empty() && is_it(*start) && is_under(*start))
    }

    /// Puts `to` in the place of `count` layers from `start` on, and nowhere else. Returns the layers that are not needed
    /// any more, to be dropped when nobody waits.
    pub(super) fn replace(&mut self, start: usize, count: usize, to: &Arc<Layer<F>>) -> Vec<Arc<Layer<F>>> {
        let gone = &self.chain[start..start + count];
        let ids: Vec<LayerId> = gone.iter().map(|slot| self.slots[slot.index()].id()).collect();
        let Some(last) = gone.last().copied() else {
            return Vec::new();
        };
        let concerned = self.slots.iter_mut().filter(|layer| ids.contains(&layer.id()));
        let old = concerned.map(|layer| mem::replace(layer, Arc::clone(to))).collect();
        self.chain.splice(start..start + count, [last]);
        // A chain that has a layer twice is not found any more by those who know that it has it once.
        let slots = &self.slots;
        self.chain.retain(|slot| *slot == last || slots[slot.index()].id() != to.id());
        self.note_depths();
        old
    }

    /// The same chain with slots without gaps. What is not stored yet is kept; all else is forgotten.
    pub(super) fn renumbered(&self, size: u64) -> Option<Self> {
        let new = Self::new(self.layers().map(Arc::clone).collect(), size)?;
        let translate = |entry: Entry| {
            let Some(slot) = entry.slot() else {
                return Entry::HOLE;
            };
            let moved = new.chain[self.depth(slot) as usize];
            if entry.is_zeros() { Entry::zero(moved) } else { Entry::data(moved) }
        };
        for (region, cell) in self.map.cells().filter(|(_, cell)| !cell.is_stored()) {
            let page = cell.page.read();
            let entries: [Entry; REGION_BLOCKS] = std::array::from_fn(|block| translate(page.get(block)));
            let copy = new.map.cell(region);
            *copy.page.write() = Page::of(&entries);
            copy.soil_as(cell);
        }
        Some(new)
    }

    /// The page of a region, loaded. With [`Wait::Never`] only what is there without a disk.
    pub(super) fn page(&self, region: u32, wait: Wait) -> io::Result<RwLockReadGuard<'_, Page>> {
        let cell = self.map.cell(region);
        loop {
            let page = match wait {
                Wait::Allowed => cell.page.read(),
                Wait::Never => cell.page.try_read().ok_or(io::ErrorKind::WouldBlock)?,
            };
            if page.is_loaded() {
                return Ok(page);
            }
            drop(page);
            if wait == Wait::Never {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            drop(self.page_alone(region)?);
        }
    }

    /// The page of a region, loaded and with nobody else at it.
    pub(super) fn page_alone(&self, region: u32) -> io::Result<RwLockWriteGuard<'_, Page>> {
        let mut page = self.map.cell(region).page.write();
        if !page.is_loaded() {
            *page = self.resolve(region)?;
            self.map.count_page();
        }
        Ok(page)
    }

    /// Asks the layers, from the top down, who has which block.
    fn resolve(&self, region: u32) -> io::Result<Page> {
        let mut entries = [Entry::HOLE; REGION_BLOCKS];
        let mut undecided = REGION_BLOCKS;
        for slot in self.chain.iter().rev() {
            let layer = &self.slots[slot.index()];
            if region < layer.regions() {
                let map = layer.load(region, Wait::Allowed)?;
                undecided -= fill(&mut entries, &map.blocks, *slot);
            }
            if undecided == 0 {
                break;
            }
        }
        Ok(Page::of(&entries))
    }

    /// Makes the pages of some regions that are loaded say of blocks of the layers `below` that they are of `upper`, where
    /// the stored map of that one has them too.
    pub(super) fn learn_of(&self, regions: Range<u32>, upper: LayerId, below: &HashSet<LayerId>) -> io::Result<()> {
        let Some(slot) = self.chain.iter().copied().find(|slot| self.slots[slot.index()].id() == upper) else {
            return Ok(());
        };
        let is_below = |entry: Entry| entry.slot().is_some_and(|slot| below.contains(&self.slots[slot.index()].id()));
        let mut next = regions.start;
        while let Some(region) = self.map.next_loaded(next..regions.end) {
            let mut page = self.map.cell(region).page.write();
            let concerned: Vec<usize> =
                page.runs().into_iter().filter(|(_, entry)| is_below(*entry)).flat_map(|(run, _)| run).collect();
            if !concerned.is_empty() {
                let has = self.slots[slot.index()].load(region, Wait::Allowed)?.blocks;
                for block in concerned.into_iter().filter(|block| has.get(*block) != BlockState::Absent) {
                    page.set(block..block + 1, entry_of(has.get(block), slot));
                }
            }
            next = region + 1;
        }
        Ok(())
    }

    /// The first of these regions that may be anything else than a hole; their end if there is none.
    pub(super) fn next_known(&self, regions: Range<u32>) -> io::Result<u32> {
        // Without a look at any layer, if that is known.
        if self.map.next_loaded(regions.start..regions.start.saturating_add(1).min(regions.end)).is_some() {
            return Ok(regions.start);
        }
        let stored = self.next_stored(&regions)?.unwrap_or(regions.end);
        Ok(self.map.next_loaded(regions.start..stored).unwrap_or(stored))
    }

    /// The first of these regions of which any layer has something stored.
    fn next_stored(&self, regions: &Range<u32>) -> io::Result<Option<u32>> {
        // Near first: there may be very many far away.
        let mut window = regions.start..regions.start.saturating_add(1).min(regions.end);
        while !window.is_empty() {
            let mut next = None;
            for layer in self.layers() {
                let found = layer.stored(window.clone())?;
                let first = found.first().map(|stored| stored.start.max(window.start));
                next = next.into_iter().chain(first).min();
                if next == Some(window.start) {
                    break;
                }
            }
            if next.is_some() {
                return Ok(next);
            }
            let length = (window.end - regions.start).saturating_mul(WINDOW_GROWTH);
            window = window.end..window.end.saturating_add(length).min(regions.end);
        }
        Ok(None)
    }
}

/// Gives blocks that nobody has to a layer that has them. Returns how many.
fn fill(entries: &mut [Entry; REGION_BLOCKS], blocks: &Blocks, slot: Slot) -> usize {
    let mut filled = 0;
    for (run, state) in blocks.runs().filter(|(_, state)| *state != BlockState::Absent) {
        let entry = entry_of(state, slot);
        let open = entries[run].iter_mut().filter(|open| **open == Entry::HOLE);
        filled += open.map(|open| *open = entry).count();
    }
    filled
}

/// What a map says of a block that the layer in a slot has so.
fn entry_of(state: BlockState, slot: Slot) -> Entry {
    match state {
        BlockState::Absent => Entry::HOLE,
        BlockState::Data => Entry::data(slot),
        BlockState::Zero => Entry::zero(slot),
    }
}
