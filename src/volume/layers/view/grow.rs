//! A device becomes longer.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::io::Errno;

use super::View;
use crate::volume::device::{BLOCK_BYTES, Wait};
use crate::volume::layers::disk::BlockFile;
use crate::volume::layers::layer::Layer;
use crate::volume::layers::region_map::{BlockState, REGION_BLOCKS, region_of};
use crate::volume::layers::stack::blocks_before;

impl<F: BlockFile> View<F> {
    pub(super) fn grow_to(&self, size: u64) -> io::Result<()> {
        self.check_writable()?;
        // The top must not change while its files grow.
        let _turn = self.turns.take();
        if !size.is_multiple_of(BLOCK_BYTES) || size < self.size.load(Ordering::Acquire) {
            return Err(Errno::INVAL.into());
        }
        let top = Arc::clone(self.stack.read().top());
        forget_beyond(&top)?;
        top.grow(size);
        let mut stack = self.stack.write();
        stack.map.grow(size);
        self.size.store(size, Ordering::Release);
        Ok(())
    }
}

/// Clears what the map of the top names beyond its end: writes to a device that had grown, before a power loss made it
/// short again.
fn forget_beyond<F: BlockFile>(top: &Layer<F>) -> io::Result<()> {
    let end = top.size();
    for region in top.stored(region_of(end)..u32::MAX)?.into_iter().flatten() {
        let mut blocks = top.load(region, Wait::Allowed)?.blocks;
        blocks.fill(blocks_before(end, region)..REGION_BLOCKS, BlockState::Absent);
        top.store(region, &blocks)?;
    }
    top.sync_map()
}
