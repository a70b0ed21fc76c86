//! The checksums of the blocks of a layer, and which of its regions are being written.
//!
//! Data is written over in place, so a crash may leave new data beside an old checksum. Before the first write into a
//! region that has data on disk, its stored map is marked: its checksums may be **stale**. The mark goes when data and
//! checksums are on disk and nobody has written there for a while. A region that is found marked has its checksums made
//! anew from its data; in all others they are held against it.

use std::collections::{HashMap, HashSet};
use std::io;
use std::ops::Range;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};

use super::disk::{BlockFile, LazyFile};
use crate::volume::device::{BLOCK_BYTES, Wait};
use crate::volume::driver::LayerId;

/// How long the checksum of a block is.
const SUM_BYTES: usize = 4;
/// How many locks the regions share.
const SHARDS: usize = 64;
/// How many damaged blocks of a layer are remembered, so that each is logged once.
const MAX_REPORTED: usize = 1000;
/// A block in memory.
pub(super) const BLOCK: usize = 4096;
const _: () = assert!(BLOCK as u64 == BLOCK_BYTES);

/// The checksums of a layer: of block `n` a CRC32C, four bytes at `n * 4`, little endian.
#[derive(Debug)]
pub(super) struct Sums<F> {
    file: LazyFile<F>,
    shards: Vec<RwLock<Shard>>,
    /// Counts the syncs that were begun.
    epoch: AtomicU64,
    /// The last sync that succeeded.
    synced: AtomicU64,
    reported: Mutex<HashSet<u64>>,
}

/// What is known of every 64th region. Held shared to read data with its checksums, alone to change both.
#[derive(Debug, Default)]
pub(super) struct Shard {
    /// A bit for each region whose stored map was looked at.
    looked_at: Vec<u64>,
    dirty: HashMap<u32, Touched>,
    /// Of regions in which a change failed: the bytes of the blocks whose checksums may be those of another content.
    doubtful: HashMap<u32, Range<u64>>,
}

/// When a region was written last.
#[derive(Clone, Copy, Debug)]
struct Touched {
    at: Instant,
    /// Before the sync of that number.
    epoch: u64,
}

impl<F: BlockFile> Sums<F> {
    pub(super) fn new(file: LazyFile<F>) -> Self {
        Sums {
            file,
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            epoch: AtomicU64::new(1),
            synced: AtomicU64::new(0),
            reported: Mutex::default(),
        }
    }

    /// What is known of a region, and of others.
    pub(super) fn shard(&self, region: u32) -> &RwLock<Shard> {
        &self.shards[region as usize % SHARDS]
    }

    /// The stored checksums of `count` blocks, the first of which is at `offset` in the volume.
    pub(super) fn load(&self, offset: u64, count: usize, wait: Wait) -> io::Result<Vec<u32>> {
        let mut bytes = vec![0; count * SUM_BYTES];
        self.file.get()?.read_at(&mut bytes, position(offset), wait)?;
        let sums = bytes.chunks_exact(SUM_BYTES);
        Ok(sums.map(|sum| u32::from_le_bytes(sum.try_into().expect("four bytes"))).collect())
    }

    /// Stores the checksums of blocks, the first of which is at `offset` in the volume.
    pub(super) fn store(&self, sums: &[u32], offset: u64) -> io::Result<()> {
        let bytes: Vec<u8> = sums.iter().flat_map(|sum| sum.to_le_bytes()).collect();
        self.file.get()?.write_at(&bytes, position(offset))
    }

    /// Syncs data by what is given, then the checksums.
    pub(super) fn sync_after(&self, sync_data: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let epoch = self.epoch.fetch_add(1, Ordering::AcqRel);
        sync_data()?;
        self.file.get()?.sync_data()?;
        self.synced.fetch_max(epoch, Ordering::AcqRel);
        Ok(())
    }

    /// Notes that all that is written by now was synced before.
    pub(super) fn note_synced(&self) {
        self.synced.fetch_max(self.epoch.fetch_add(1, Ordering::AcqRel), Ordering::AcqRel);
    }

    /// Notes that a region was written. To be called behind the write, with its shard held alone all the while.
    pub(super) fn touch(&self, shard: &mut Shard, region: u32) {
        shard.dirty.insert(region, Touched { at: Instant::now(), epoch: self.epoch.load(Ordering::Acquire) });
    }

    /// Regions that are on disk as they are, and were not written for so long.
    pub(super) fn resting(&self, idle: Duration) -> Vec<u32> {
        let is_resting = |shard: &Shard| {
            let resting = shard.dirty.keys().copied().filter(|region| self.is_resting(shard, *region, idle));
            resting.collect::<Vec<u32>>()
        };
        self.shards.iter().flat_map(|shard| is_resting(&shard.read())).collect()
    }

    /// Whether a region is on disk as it is, and was not written for so long.
    pub(super) fn is_resting(&self, shard: &Shard, region: u32, idle: Duration) -> bool {
        let synced = self.synced.load(Ordering::Acquire);
        // What is in doubt stays marked: whoever opens the layer next makes its checksums anew.
        shard.is_known(region)
            && shard.dirty.get(&region).is_some_and(|touched| touched.epoch <= synced && touched.at.elapsed() >= idle)
    }

    /// Counts a block that is not what its checksum says, and logs it the first time.
    pub(super) fn report(&self, layer: LayerId, offset: u64) {
        metrics::counter!("steward_volume_checksum_mismatches_total").increment(1);
        let mut reported = self.reported.lock();
        if reported.len() < MAX_REPORTED && reported.insert(offset) {
            tracing::error!(%layer, offset, "a block is not what its checksum says");
        }
    }

    /// Whether there is no such file.
    pub(super) fn is_missing(&self) -> io::Result<bool> {
        self.file.is_missing()
    }

    pub(super) fn used_bytes(&self) -> io::Result<u64> {
        self.file.get()?.used_bytes()
    }
}

impl Shard {
    /// Whether the checksums of a region can be held against its data.
    pub(super) fn is_known(&self, region: u32) -> bool {
        self.was_looked_at(region) && !self.doubtful.contains_key(&region)
    }

    /// Whether the stored map of a region was looked at since the layer was opened.
    pub(super) fn was_looked_at(&self, region: u32) -> bool {
        let (word, bit) = place(region);
        self.looked_at.get(word).is_some_and(|bits| bits & bit != 0)
    }

    pub(super) fn set_looked_at(&mut self, region: u32) {
        let (word, bit) = place(region);
        if self.looked_at.len() <= word {
            self.looked_at.resize(word + 1, 0);
        }
        self.looked_at[word] |= bit;
    }

    /// Notes that the checksums of some blocks may be those of another content. Nothing else of the region may be in doubt:
    /// that is ended before anything is changed.
    pub(super) fn doubt(&mut self, region: u32, blocks: Range<u64>) {
        self.doubtful.insert(region, blocks);
    }

    pub(super) fn doubtful(&self, region: u32) -> Option<Range<u64>> {
        self.doubtful.get(&region).cloned()
    }

    pub(super) fn end_doubt(&mut self, region: u32) {
        self.doubtful.remove(&region);
    }

    /// Whether a region was written since its checksums were last sure to be on disk.
    pub(super) fn is_dirty(&self, region: u32) -> bool {
        self.dirty.contains_key(&region)
    }

    pub(super) fn set_clean(&mut self, region: u32) {
        self.dirty.remove(&region);
    }
}

/// The checksums of whole blocks.
pub(super) fn of(data: &[u8]) -> Vec<u32> {
    data.chunks(BLOCK).map(crc32c::crc32c).collect()
}

/// The checksum of a block of zeros.
pub(super) fn of_zeros() -> u32 {
    static OF_ZEROS: LazyLock<u32> = LazyLock::new(|| crc32c::crc32c(&[0; BLOCK]));
    *OF_ZEROS
}

fn position(offset: u64) -> u64 {
    offset / BLOCK_BYTES * SUM_BYTES as u64
}

/// The word and the bit of a region among those of its shard.
fn place(region: u32) -> (usize, u64) {
    let index = region as usize / SHARDS;
    (index / 64, 1 << (index % 64))
}
