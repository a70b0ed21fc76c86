//! Other layers in the place of some, which show the same.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::io::Errno;

use super::{View, ids};
use crate::volume::driver::{Access, LayerId};
use crate::volume::layers::disk::BlockFile;
use crate::volume::layers::layer::Layer;
use crate::volume::layers::region_map::{REGION_BYTES, region_of};

/// How many regions are looked at before others get a chance to pass the barrier.
const BATCH: u32 = 64;

impl<F: BlockFile> View<F> {
    /// Puts `to` in the place of `from`, if it has that; see [`crate::volume::driver::Driver::replace`].
    pub(in crate::volume::layers) fn replace(
        &self,
        from: &[LayerId],
        to: &Arc<Layer<F>>,
        under: Option<LayerId>,
    ) -> io::Result<()> {
        if let Some(under) = under {
            // `to` may lack what that has.
            self.learn_of(under, from)?;
        }
        let mut stack = self.stack.write();
        let Some(start) = stack.find(from, under) else {
            return Ok(());
        };
        let is_top = start + from.len() == stack.layers().len() || stack.top().id() == to.id();
        if self.access == Access::ReadWrite && is_top {
            return Err(Errno::BUSY.into());
        }
        let gone = stack.replace(start, from.len(), to);
        *self.members.lock() = ids(&stack);
        drop(stack);
        // Files are closed when nobody waits for the barrier any more.
        drop(gone);
        Ok(())
    }

    /// Takes no block from the layers `below` any more that the stored map of `upper`, somewhere above these, has too. A
    /// merge that was stopped, or not followed by [`View::replace`], has brought such blocks into `upper`, which shows the
    /// same; what is in memory may be from before.
    pub(in crate::volume::layers) fn learn_of(&self, upper: LayerId, below: &[LayerId]) -> io::Result<()> {
        let below = below.iter().copied().collect();
        let regions = region_of(self.size.load(Ordering::Acquire).next_multiple_of(REGION_BYTES));
        let mut next = 0;
        loop {
            let stack = self.stack.read();
            let Some(first) = stack.map.next_loaded(next..regions) else { return Ok(()) };
            next = first.saturating_add(BATCH).min(regions);
            stack.learn_of(first..next, upper, &below)?;
        }
    }
}
