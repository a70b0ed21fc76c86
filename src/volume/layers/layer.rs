//! A layer: its bytes, and what it has of which block.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::disk::{BlockFile, Disk, LazyFile};
use super::map_file::MapFile;
use super::region_map::{BlockState, Blocks, REGION_BLOCKS, RegionMap, SumsState, blocks_before, region_of};
use super::sums::Sums;
use crate::volume::device::Wait;
use crate::volume::driver::{LayerId, LayerSpec};

mod checked;
mod files;
mod inspect;
#[cfg(test)]
mod tests;

pub use files::{create, ids, remove};

use files::{DATA, MAP, SUMS, name};

/// The files of a layer. There is one of these for a layer at a time. Nothing is opened before it is used.
///
/// It does not know which of its blocks are current: who writes keeps its own account of that, and stores it with
/// [`Layer::store`] once the data is on disk. Offsets are those in the volume.
#[derive(Debug)]
pub struct Layer<F> {
    id: LayerId,
    size: AtomicU64,
    data: LazyFile<F>,
    map: MapFile<F>,
    /// Only of layers with checksums.
    sums: Option<Sums<F>>,
    /// Whether data was written that is not synced.
    is_unsynced: AtomicBool,
    syncing: Mutex<()>,
    /// Whether writes may have come whose blocks are not in the stored map.
    is_live: AtomicBool,
    /// Held by what works on this layer in the background.
    work: Mutex<()>,
}

impl<F: BlockFile> Layer<F> {
    /// The layer, which was made by [`create`].
    pub fn open<D: Disk<File = F>>(disk: &Arc<D>, spec: LayerSpec) -> Self {
        let file = |extension| LazyFile::new(disk, name(spec.id, extension));
        Layer {
            id: spec.id,
            size: AtomicU64::new(spec.size),
            data: file(DATA),
            map: MapFile::new(spec.id, file(MAP)),
            sums: spec.checksums.then(|| Sums::new(file(SUMS))),
            is_unsynced: AtomicBool::new(false),
            syncing: Mutex::new(()),
            is_live: AtomicBool::new(false),
            work: Mutex::new(()),
        }
    }

    /// Its number.
    pub fn id(&self) -> LayerId {
        self.id
    }

    /// How long it is now.
    pub fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// What opens it again.
    pub fn spec(&self) -> LayerSpec {
        LayerSpec { id: self.id, size: self.size(), checksums: self.sums.is_some() }
    }

    /// Makes it longer; it never becomes shorter. Its files need no change: what they lack reads as nothing.
    pub fn grow(&self, size: u64) {
        self.size.fetch_max(size, Ordering::AcqRel);
    }

    /// Fills `into` with bytes of blocks that are data in this layer. What does not have its checksum fails with `EIO`.
    pub fn read(&self, into: &mut [u8], offset: u64, wait: Wait) -> io::Result<()> {
        match &self.sums {
            Some(sums) => self.read_checked(sums, into, offset, wait),
            None => self.data.get()?.read_at(into, offset, wait),
        }
    }

    /// Writes whole blocks.
    pub fn write(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.go_live();
        self.put(data, offset)
    }

    /// Fails with `ENOSPC` unless so many bytes of new blocks can be written.
    pub fn make_room(&self, bytes: u64) -> io::Result<()> {
        self.data.get()?.make_room(bytes)
    }

    /// Writes over a part of one block, which is data in this layer already.
    pub fn write_partial(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.go_live();
        match &self.sums {
            Some(sums) => self.write_part_checked(sums, data, offset),
            None => self.change(|file| file.write_at(data, offset)),
        }
    }

    /// Gives the space of whole blocks back, which are not data any more.
    pub fn punch(&self, offset: u64, length: u64) -> io::Result<()> {
        self.go_live();
        match &self.sums {
            Some(sums) => self.punch_checked(sums, offset, length),
            None => self.drop_bytes(offset, length),
        }
    }

    /// Asks for a range to be brought into memory.
    pub fn prefetch(&self, offset: u64, length: u64) -> io::Result<()> {
        self.data.get()?.prefetch(offset, length)
    }

    /// Returns once data that was written before the call survives a power loss. It costs nothing if nothing was. What
    /// fails may be lost: what is on disk is not known from then on.
    pub fn sync_data(&self) -> io::Result<()> {
        // Who comes while another one syncs must not return before it.
        let _syncing = self.syncing.lock();
        if !self.is_unsynced.swap(false, Ordering::AcqRel) {
            self.sums.iter().for_each(Sums::note_synced);
            return Ok(());
        }
        let synced = match &self.sums {
            Some(sums) => self.sync_checked(sums),
            None => self.data.get().and_then(BlockFile::sync_data),
        };
        if synced.is_err() {
            self.is_unsynced.store(true, Ordering::Release);
        }
        synced
    }

    /// The stored map of a region, up to the end of the layer. `EIO` if it is lost.
    pub fn load(&self, region: u32, wait: Wait) -> io::Result<RegionMap> {
        let mut map = self.map.load(region, wait)?;
        // It may name blocks behind the end: those of a device that grew, and lost power before that was noted.
        map.blocks.fill(blocks_before(self.size(), region)..REGION_BLOCKS, BlockState::Absent);
        Ok(map)
    }

    /// Stores what there is of each block of a region. All that it names as data must be on disk. It is durable after
    /// [`Layer::sync_map`].
    pub fn store(&self, region: u32, blocks: &Blocks) -> io::Result<()> {
        let Some(sums) = &self.sums else {
            return self.map.update(region, |map| map.blocks.clone_from(blocks));
        };
        let shard = sums.shard(region).read();
        self.map.update(region, |map| {
            map.blocks.clone_from(blocks);
            if shard.is_dirty(region) {
                map.sums = SumsState::Stale;
            }
        })
    }

    /// Returns once the maps that were stored before the call survive a power loss. It costs nothing if none were.
    pub fn sync_map(&self) -> io::Result<()> {
        self.map.sync()
    }

    /// Those of the regions that may have something, in order.
    pub fn stored(&self, regions: Range<u32>) -> io::Result<Vec<Range<u32>>> {
        self.map.stored(regions)
    }

    /// Behind its last region.
    pub fn regions(&self) -> u32 {
        region_of(self.size().saturating_sub(1)) + u32::from(self.size() > 0)
    }

    /// To be called at the end of a flush: what was not written to for so long is checked against its checksums even if
    /// there is a crash next.
    pub fn rest(&self, idle: Duration) -> io::Result<()> {
        self.sums.as_ref().map_or(Ok(()), |sums| self.rest_checked(sums, idle))
    }

    /// To be called once no more writes come and all that was written is in the stored map. Returns once all of it
    /// survives a power loss.
    pub fn seal(&self) -> io::Result<()> {
        self.sync_data()?;
        self.rest(Duration::ZERO)?;
        self.map.sync()?;
        self.is_live.store(false, Ordering::Release);
        Ok(())
    }

    /// Bytes of disk that it takes.
    pub fn used_bytes(&self) -> io::Result<u64> {
        let sums = self.sums.as_ref().map_or(Ok(0), Sums::used_bytes)?;
        Ok(self.data.get()?.used_bytes()? + self.map.used_bytes()? + sums)
    }

    /// Notes that blocks may be written that the stored map does not know. A scrub leaves them alone then.
    fn go_live(&self) {
        if !self.is_live.load(Ordering::Relaxed) {
            // A scrub that looks at a region at this moment comes to its end first.
            let _work = self.work.lock();
            self.is_live.store(true, Ordering::Relaxed);
        }
    }

    /// Whether nobody else works on it in the background and every block of it is in its stored map, as long as the
    /// answer is held.
    pub(super) fn at_rest(&self) -> Option<MutexGuard<'_, ()>> {
        self.work.try_lock().filter(|_| !self.is_live.load(Ordering::Relaxed))
    }

    /// Waits until nobody else works on it in the background.
    pub(super) fn work(&self) -> MutexGuard<'_, ()> {
        self.work.lock()
    }

    /// Writes whole blocks of which the stored map will know.
    pub(super) fn put(&self, data: &[u8], offset: u64) -> io::Result<()> {
        match &self.sums {
            Some(sums) => self.write_checked(sums, data, offset),
            None => self.change(|file| file.write_at(data, offset)),
        }
    }

    /// Brings in whole blocks of another layer, which has them as data.
    pub(super) fn copy_from(&self, source: &Self, offset: u64, length: u64) -> io::Result<()> {
        if self.sums.is_some() || source.sums.is_some() {
            return self.copy_checked(source, offset, length);
        }
        let source = source.data.get()?;
        self.change(|file| file.copy_from(source, offset, length))
    }

    /// Gives space back that the stored map does not know as data.
    pub(super) fn drop_bytes(&self, offset: u64, length: u64) -> io::Result<()> {
        self.change(|file| file.punch(offset, length))
    }

    fn change(&self, change: impl FnOnce(&F) -> io::Result<()>) -> io::Result<()> {
        let changed = change(self.data.get()?);
        // Behind the change: a sync between the two would take the note for another's. A part may be there of what failed.
        self.is_unsynced.store(true, Ordering::Release);
        changed
    }
}
