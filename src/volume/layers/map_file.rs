//! The file that says what a layer has of each block.
//!
//! Region `r` has two slots of a sector each, at `r * 1024` and 512 bytes behind it. A map is stored in the slot that does
//! not hold the newest one, so that a write that is torn hurts one copy only. There is no header; a file that is shorter
//! reads as zeros, which says that the layer has nothing.

use std::collections::HashMap;
use std::io;
use std::ops::Range;

use parking_lot::{Mutex, RwLock};
use rustix::io::Errno;

use super::disk::{BlockFile, LazyFile};
use super::region_map::RegionMap;
use crate::volume::device::Wait;
use crate::volume::driver::LayerId;

mod slot;
#[cfg(test)]
mod tests;

use slot::{SLOT_BYTES, Slot};

/// What both slots of a region take in the file.
const REGION_SLOTS_BYTES: u64 = 2 * SLOT_BYTES as u64;

/// The maps of the regions of one layer.
#[derive(Debug)]
pub struct MapFile<F> {
    layer: LayerId,
    file: LazyFile<F>,
    /// Held alone to store: who reads must not meet half of a slot.
    storing: RwLock<()>,
    /// Of regions that were stored since the last sync: in which slot, and which generation. They are stored there again
    /// until then, since the other slot may be the only one that is on disk.
    unsynced: Mutex<HashMap<u32, (usize, u64)>>,
    syncing: Mutex<()>,
}

/// The two slots of a region, as they were read.
struct Pair([Slot; 2]);

impl<F: BlockFile> MapFile<F> {
    /// The map of a layer in that file.
    pub fn new(layer: LayerId, file: LazyFile<F>) -> Self {
        MapFile { layer, file, storing: RwLock::new(()), unsynced: Mutex::default(), syncing: Mutex::new(()) }
    }

    /// What is stored for a region. It fails with `EIO` if neither of the two copies can be read.
    pub fn load(&self, region: u32, wait: Wait) -> io::Result<RegionMap> {
        let _reading = self.storing.read();
        self.pair(region, wait)?.newest(region, self.layer).map(|(_, map)| map)
    }

    /// Changes what is stored for a region; a change to what it is already costs nothing. It is durable after
    /// [`MapFile::sync`]. The generation is counted here.
    pub fn update(&self, region: u32, change: impl FnOnce(&mut RegionMap)) -> io::Result<()> {
        let _storing = self.storing.write();
        let (newest, before) = self.pair(region, Wait::Allowed)?.newest(region, self.layer)?;
        let mut map = before.clone();
        change(&mut map);
        if (&map.blocks, map.sums) == (&before.blocks, before.sums) {
            return Ok(());
        }
        map.generation = before.generation + 1;
        self.put(region, newest, &map)
    }

    /// Writes the map of a region anew over the copy that cannot be read.
    pub fn mend_copy(&self, region: u32) -> io::Result<()> {
        // The copy that can be read is to be on disk before the other one is touched.
        self.sync()?;
        let _storing = self.storing.write();
        let (newest, mut map) = self.pair(region, Wait::Allowed)?.newest(region, self.layer)?;
        if !map.is_copy_damaged {
            return Ok(());
        }
        map.generation += 1;
        self.put(region, newest, &map)
    }

    fn put(&self, region: u32, newest: usize, map: &RegionMap) -> io::Result<()> {
        let mut unsynced = self.unsynced.lock();
        let slot = unsynced.get(&region).map_or(1 - newest, |(slot, _)| *slot);
        // Noted before it is tried: what failed may be there in part.
        unsynced.insert(region, (slot, map.generation));
        self.file.get()?.write_at(&slot::encode(self.layer, region, map), position(region) + (slot * SLOT_BYTES) as u64)
    }

    /// Returns once what was stored before the call survives a power loss. It costs nothing if nothing was.
    pub fn sync(&self) -> io::Result<()> {
        // Who comes while another one syncs must not return before it.
        let _syncing = self.syncing.lock();
        let stored = self.unsynced.lock().clone();
        if stored.is_empty() {
            return Ok(());
        }
        self.file.get()?.sync_data()?;
        self.unsynced.lock().retain(|region, now| stored.get(region) != Some(now));
        Ok(())
    }

    /// Those of the regions that may have something, in order: the file takes space for them.
    pub fn stored(&self, regions: Range<u32>) -> io::Result<Vec<Range<u32>>> {
        let (start, end) = (position(regions.start), position(regions.end));
        let mut stored: Vec<Range<u32>> = Vec::new();
        for extent in self.file.get()?.data_extents(start, end.saturating_sub(start))? {
            let first = region_at(extent.start / REGION_SLOTS_BYTES);
            let behind = region_at(extent.end.div_ceil(REGION_SLOTS_BYTES));
            match stored.last_mut().filter(|last| last.end >= first) {
                Some(last) => last.end = behind,
                None => stored.push(first..behind),
            }
        }
        Ok(stored)
    }

    /// Behind the last region that may have something.
    pub fn end(&self) -> io::Result<u32> {
        Ok(region_at(self.file.get()?.length()?.div_ceil(REGION_SLOTS_BYTES)))
    }

    /// Whether there is no such file.
    pub fn is_missing(&self) -> io::Result<bool> {
        self.file.is_missing()
    }

    /// Bytes of disk that it takes.
    pub fn used_bytes(&self) -> io::Result<u64> {
        self.file.get()?.used_bytes()
    }

    fn pair(&self, region: u32, wait: Wait) -> io::Result<Pair> {
        let mut bytes = [[0; SLOT_BYTES]; 2];
        self.file.get()?.read_at(bytes.as_flattened_mut(), position(region), wait)?;
        Ok(Pair(bytes.map(|bytes| slot::decode(&bytes, self.layer, region))))
    }
}

impl Pair {
    /// The newest map, and the slot that it is in.
    fn newest(self, region: u32, layer: LayerId) -> io::Result<(usize, RegionMap)> {
        let Pair([first, second]) = self;
        match (first, second) {
            (Slot::Empty, Slot::Empty) => Ok((1, RegionMap::ABSENT)),
            (Slot::Map(first), Slot::Map(second)) if second.generation > first.generation => Ok((1, second)),
            (Slot::Map(map), Slot::Map(_) | Slot::Empty) => Ok((0, map)),
            (Slot::Empty, Slot::Map(map)) => Ok((1, map)),
            (Slot::Map(map), Slot::Damaged) => Ok((0, RegionMap { is_copy_damaged: true, ..map })),
            (Slot::Damaged, Slot::Map(map)) => Ok((1, RegionMap { is_copy_damaged: true, ..map })),
            // Beside an empty one too: only the first map of a region has an empty one beside it, and whether that one
            // was ever promised to be there cannot be told.
            (Slot::Damaged, Slot::Damaged | Slot::Empty) | (Slot::Empty, Slot::Damaged) => {
                tracing::error!(%layer, region, "the map of a region cannot be read: its blocks are lost");
                Err(Errno::IO.into())
            }
        }
    }
}

fn position(region: u32) -> u64 {
    u64::from(region) * REGION_SLOTS_BYTES
}

fn region_at(region: u64) -> u32 {
    u32::try_from(region).unwrap_or(u32::MAX)
}
