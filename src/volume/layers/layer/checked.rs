//! Reading and writing a layer that has checksums.

use std::io;
use std::ops::Range;
use std::time::Duration;

use parking_lot::RwLockReadGuard;
use rustix::io::Errno;

use super::Layer;
use crate::volume::device::{BLOCK_BYTES, Wait};
use crate::volume::layers::disk::BlockFile;
use crate::volume::layers::region_map::{BlockState, SumsState, by_region, bytes_of, region_of};
use crate::volume::layers::sums::{self, BLOCK, Shard, Sums};

impl<F: BlockFile> Layer<F> {
    pub(super) fn read_checked(&self, sums: &Sums<F>, into: &mut [u8], offset: u64, wait: Wait) -> io::Result<()> {
        for (region, range) in by_region(offset..offset + into.len() as u64) {
            let part = &mut into[within(&range, offset)];
            let _shard = self.known(sums, region, wait)?;
            let whole = whole_blocks(&range);
            if whole == range {
                self.read_blocks(sums, part, range.start, wait)?;
            } else {
                let mut blocks = buffer(&whole);
                self.read_blocks(sums, &mut blocks, whole.start, wait)?;
                part.copy_from_slice(&blocks[within(&range, whole.start)]);
            }
        }
        Ok(())
    }

    pub(super) fn write_checked(&self, sums: &Sums<F>, data: &[u8], offset: u64) -> io::Result<()> {
        self.put_with_sums(sums, data, &sums::of(data), offset)
    }

    pub(super) fn write_part_checked(&self, sums: &Sums<F>, data: &[u8], offset: u64) -> io::Result<()> {
        let range = offset..offset + data.len() as u64;
        let whole = whole_blocks(&range);
        self.change_region(sums, region_of(offset), |shard| {
            let mut blocks = buffer(&whole);
            self.read_blocks(sums, &mut blocks, whole.start, Wait::Allowed)?;
            blocks[within(&range, whole.start)].copy_from_slice(data);
            let write = || self.change(|file| file.write_at(data, offset));
            self.change_blocks(sums, shard, &sums::of(&blocks), whole.clone(), write)
        })
    }

    pub(super) fn punch_checked(&self, sums: &Sums<F>, offset: u64, length: u64) -> io::Result<()> {
        for (region, range) in by_region(offset..offset + length) {
            self.change_region(sums, region, |shard| {
                // Until the next flush the stored map says that they are data, and a scrub asks for their checksums.
                let of_zeros = vec![sums::of_zeros(); within(&range, range.start).end / BLOCK];
                let drop = || self.drop_bytes(range.start, range.end - range.start);
                self.change_blocks(sums, shard, &of_zeros, range.clone(), drop)
            })?;
        }
        Ok(())
    }

    /// Brings in blocks of another layer. Between two layers with checksums a block that is damaged is so afterwards too,
    /// and found to be.
    pub(super) fn copy_checked(&self, source: &Self, offset: u64, length: u64) -> io::Result<()> {
        for (region, range) in by_region(offset..offset + length) {
            let mut data = buffer(&range);
            let (Some(own), Some(theirs)) = (&self.sums, &source.sums) else {
                source.read(&mut data, range.start, Wait::Allowed)?;
                self.put(&data, range.start)?;
                continue;
            };
            let of_data = {
                let _shard = source.known(theirs, region, Wait::Allowed)?;
                source.data.get()?.read_at(&mut data, range.start, Wait::Allowed)?;
                theirs.load(range.start, data.len() / BLOCK, Wait::Allowed)?
            };
            self.put_with_sums(own, &data, &of_data, range.start)?;
        }
        Ok(())
    }

    pub(super) fn sync_checked(&self, sums: &Sums<F>) -> io::Result<()> {
        sums.sync_after(|| self.data.get()?.sync_data())
    }

    pub(super) fn rest_checked(&self, sums: &Sums<F>, idle: Duration) -> io::Result<()> {
        for region in sums.resting(idle) {
            let mut shard = sums.shard(region).write();
            // Somebody may have written there meanwhile.
            if sums.is_resting(&shard, region, idle) {
                self.map.update(region, |map| map.sums = SumsState::Valid)?;
                shard.set_clean(region);
            }
        }
        Ok(())
    }

    /// Which of the blocks of a region that are data are not what their checksums say; nothing for a layer without.
    pub(in crate::volume::layers) fn mismatches(&self, region: u32, blocks: Range<usize>) -> io::Result<Vec<usize>> {
        let Some(sums) = &self.sums else { return Ok(Vec::new()) };
        let range = bytes_of(region, &blocks);
        let mut data = buffer(&range);
        let (data_sums, stored) = {
            let _shard = self.known(sums, region, Wait::Allowed)?;
            self.data.get()?.read_at(&mut data, range.start, Wait::Allowed)?;
            (sums::of(&data), sums.load(range.start, blocks.len(), Wait::Allowed)?)
        };
        let pairs = data_sums.iter().zip(&stored).zip(blocks);
        Ok(pairs.filter(|((is, should), _)| is != should).map(|(_, block)| block).collect())
    }

    fn put_with_sums(&self, sums: &Sums<F>, data: &[u8], of_data: &[u32], offset: u64) -> io::Result<()> {
        for (region, range) in by_region(offset..offset + data.len() as u64) {
            let bytes = within(&range, offset);
            self.change_region(sums, region, |shard| {
                let of_range = &of_data[bytes.start / BLOCK..bytes.end / BLOCK];
                let write = || self.change(|file| file.write_at(&data[bytes.clone()], range.start));
                self.change_blocks(sums, shard, of_range, range.clone(), write)
            })?;
        }
        Ok(())
    }

    /// Changes blocks of a region and their checksums. If that fails, the checksums become those of what is there: at
    /// once, or before anybody asks for them.
    fn change_blocks(
        &self,
        sums: &Sums<F>,
        shard: &mut Shard,
        of_data: &[u32],
        blocks: Range<u64>,
        change: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let offset = blocks.start;
        // First, because they may need space: if there is none, data must not be newer than its checksums.
        let changed = sums.store(of_data, offset).and_then(|()| change());
        if changed.is_err() {
            let region = region_of(offset);
            shard.doubt(region, blocks);
            if let Err(error) = self.learn(sums, shard, region) {
                tracing::error!(layer = %self.id, offset, %error, "no checksums could be made yet after a failed write");
            }
        }
        changed
    }

    /// Makes a change to a region, of which a crash may leave any part.
    fn change_region(
        &self,
        sums: &Sums<F>,
        region: u32,
        change: impl FnOnce(&mut Shard) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut shard = sums.shard(region).write();
        self.learn(sums, &mut shard, region)?;
        // Where no data is on disk yet, there is none that could be newer than its checksums.
        if !shard.is_dirty(region) && self.map.load(region, Wait::Allowed)?.blocks.count(BlockState::Data) > 0 {
            self.map.update(region, |map| map.sums = SumsState::Stale)?;
            self.map.sync()?;
        }
        let changed = change(&mut shard);
        sums.touch(&mut shard, region);
        changed
    }

    /// What is known of a region once its checksums can be held against its data.
    fn known<'a>(&self, sums: &'a Sums<F>, region: u32, wait: Wait) -> io::Result<RwLockReadGuard<'a, Shard>> {
        if wait == Wait::Never {
            let shard = sums.shard(region).try_read().filter(|shard| shard.is_known(region));
            return shard.ok_or_else(|| io::ErrorKind::WouldBlock.into());
        }
        loop {
            let shard = sums.shard(region).read();
            if shard.is_known(region) {
                return Ok(shard);
            }
            drop(shard);
            self.learn(sums, &mut sums.shard(region).write(), region)?;
        }
    }

    /// Makes checksums anew that a crash or a failed change left older or newer than the data.
    fn learn(&self, sums: &Sums<F>, shard: &mut Shard, region: u32) -> io::Result<()> {
        if shard.is_known(region) {
            return Ok(());
        }
        if !shard.was_looked_at(region) {
            let map = self.map.load(region, Wait::Allowed)?;
            if map.sums == SumsState::Stale {
                for blocks in map.blocks.runs_of(BlockState::Data) {
                    self.renew(sums, bytes_of(region, &blocks))?;
                }
                sums.touch(shard, region);
            }
            shard.set_looked_at(region);
        }
        if let Some(blocks) = shard.doubtful(region) {
            self.renew(sums, blocks)?;
            sums.touch(shard, region);
            shard.end_doubt(region);
        }
        Ok(())
    }

    /// Makes the checksums of blocks anew from what is there.
    fn renew(&self, sums: &Sums<F>, range: Range<u64>) -> io::Result<()> {
        let mut data = buffer(&range);
        self.data.get()?.read_at(&mut data, range.start, Wait::Allowed)?;
        sums.store(&sums::of(&data), range.start)?;
        self.change(|_| Ok(()))
    }

    fn read_blocks(&self, sums: &Sums<F>, into: &mut [u8], offset: u64, wait: Wait) -> io::Result<()> {
        self.data.get()?.read_at(into, offset, wait)?;
        let stored = sums.load(offset, into.len() / BLOCK, wait)?;
        let mut at = offset;
        for (is, should) in sums::of(into).into_iter().zip(stored) {
            if is != should {
                sums.report(self.id, at);
                return Err(Errno::IO.into());
            }
            at += BLOCK_BYTES;
        }
        Ok(())
    }
}

/// The blocks that a range touches.
fn whole_blocks(range: &Range<u64>) -> Range<u64> {
    range.start / BLOCK_BYTES * BLOCK_BYTES..range.end.div_ceil(BLOCK_BYTES) * BLOCK_BYTES
}

/// Where a range is in a buffer that starts at `offset`.
fn within(range: &Range<u64>, offset: u64) -> Range<usize> {
    let at = |place: u64| usize::try_from(place - offset).expect("within a buffer in memory");
    at(range.start)..at(range.end)
}

/// Room for a range, which is within one region.
fn buffer(range: &Range<u64>) -> Vec<u8> {
    vec![0; within(range, range.start).end]
}
