//! What a check of a layer wants to know, and mends.

use std::io;
use std::ops::Range;

use super::Layer;
use crate::volume::device::Wait;
use crate::volume::layers::disk::BlockFile;
use crate::volume::layers::region_map::{
    BlockState, REGION_BLOCKS, REGION_BYTES, RegionMap, blocks_before, region_of, start_of,
};
use crate::volume::layers::sums::Sums;

impl<F: BlockFile> Layer<F> {
    /// How many of its files are missing.
    pub(in crate::volume::layers) fn missing_files(&self) -> io::Result<usize> {
        let sums = self.sums.as_ref().map_or(Ok(false), Sums::is_missing)?;
        let missing = [self.data.is_missing()?, self.map.is_missing()?, sums];
        Ok(missing.into_iter().filter(|is_missing| *is_missing).count())
    }

    pub(in crate::volume::layers) fn has_checksums(&self) -> bool {
        self.sums.is_some()
    }

    /// Bytes of disk that its data takes.
    pub(in crate::volume::layers) fn data_bytes(&self) -> io::Result<u64> {
        self.data.get()?.used_bytes()
    }

    /// Makes sure that the file system can hold all of a layer of that size.
    pub(in crate::volume::layers) fn extend_file(&self, size: u64) -> io::Result<()> {
        self.data.get()?.extend(size).map_err(|error| match error.kind() {
            io::ErrorKind::FileTooLarge => {
                io::Error::new(error.kind(), format!("the file system of volumes cannot hold {size} bytes in one file"))
            }
            _ => error,
        })
    }

    /// Behind the last region that its map may name.
    pub(in crate::volume::layers) fn map_end(&self) -> io::Result<u32> {
        self.map.end()
    }

    /// Behind the last region that has bytes.
    pub(in crate::volume::layers) fn data_end(&self) -> io::Result<u32> {
        Ok(region_of(self.data.get()?.length()?.div_ceil(REGION_BYTES) * REGION_BYTES))
    }

    /// Those of the regions that have bytes, in order.
    pub(in crate::volume::layers) fn with_bytes(&self, regions: Range<u32>) -> io::Result<Vec<Range<u32>>> {
        let extents = self.data_extents(start_of(regions.start)..start_of(regions.end))?;
        let touched =
            |bytes: &Range<u64>| region_of(bytes.start)..region_of(bytes.end.div_ceil(REGION_BYTES) * REGION_BYTES);
        Ok(extents.iter().map(touched).collect())
    }

    /// The parts of a range that take space.
    pub(in crate::volume::layers) fn data_extents(&self, bytes: Range<u64>) -> io::Result<Vec<Range<u64>>> {
        self.data.get()?.data_extents(bytes.start, bytes.end - bytes.start)
    }

    /// Reads bytes that the map does not know.
    pub(in crate::volume::layers) fn read_unmapped(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        self.data.get()?.read_at(into, offset, Wait::Allowed)
    }

    /// Writes the map of a region anew over the copy that cannot be read.
    pub(in crate::volume::layers) fn mend_map(&self, region: u32) -> io::Result<()> {
        self.map.mend_copy(region)
    }

    /// The stored map of a region, also what it names behind the end.
    pub(in crate::volume::layers) fn load_all(&self, region: u32) -> io::Result<RegionMap> {
        self.map.load(region, Wait::Allowed)
    }

    /// Takes out of the stored map of a region what it names behind the end.
    pub(in crate::volume::layers) fn clear_beyond_end(&self, region: u32) -> io::Result<()> {
        let end = || blocks_before(self.size(), region);
        self.map.update(region, |map| map.blocks.fill(end()..REGION_BLOCKS, BlockState::Absent))
    }

    /// Takes out of the stored map all that it names behind the end, so that none of it comes back when the layer becomes
    /// longer. When it returns, that survives a power loss.
    pub(in crate::volume::layers) fn clear_all_beyond_end(&self) -> io::Result<()> {
        for region in self.stored(region_of(self.size())..u32::MAX)?.into_iter().flatten() {
            self.clear_beyond_end(region)?;
        }
        self.sync_map()
    }
}
