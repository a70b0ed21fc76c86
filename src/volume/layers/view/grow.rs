//! A device becomes longer.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::io::Errno;

use super::View;
use crate::volume::device::BLOCK_BYTES;
use crate::volume::layers::disk::BlockFile;

impl<F: BlockFile> View<F> {
    pub(super) fn grow_to(&self, size: u64) -> io::Result<()> {
        self.check_writable()?;
        // The top must not change while its files grow.
        let _turn = self.turns.take();
        if !size.is_multiple_of(BLOCK_BYTES) || size < self.size.load(Ordering::Acquire) {
            return Err(Errno::INVAL.into());
        }
        let top = Arc::clone(self.stack.read().top());
        // Writes to a device that had grown, before a power loss made it short again.
        top.clear_all_beyond_end()?;
        top.extend_file(size)?;
        top.grow(size);
        let mut stack = self.stack.write();
        stack.map.grow(size);
        self.size.store(size, Ordering::Release);
        Ok(())
    }
}
