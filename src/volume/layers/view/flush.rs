//! Flush: the bytes first, then the map that names them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::io::Errno;
use tracing::error;

use super::View;
use crate::volume::driver::Access;
use crate::volume::layers::claims::Claim;
use crate::volume::layers::disk::BlockFile;
use crate::volume::layers::entry::{Entry, Slot};
use crate::volume::layers::layer::Layer;
use crate::volume::layers::page::Page;
use crate::volume::layers::region_map::{BlockState, Blocks};
use crate::volume::layers::stack::Stack;

/// How long nothing is written to a region before its checksums count again after a crash.
const IDLE: Duration = Duration::from_secs(30);

/// What the map of a layer is to say of some regions.
pub(super) type Regions = Vec<(u32, Blocks)>;

/// A layer that was the top, and what its map does not say yet.
pub(super) struct Unsettled<F: BlockFile> {
    layer: Arc<Layer<F>>,
    regions: Regions,
    /// Nobody else may write to it or rely on its map until it is settled.
    _claim: Option<Claim>,
}

impl<F: BlockFile> Unsettled<F> {
    pub(super) fn new(layer: Arc<Layer<F>>, regions: Regions, claim: Option<Claim>) -> Self {
        Unsettled { layer, regions, _claim: claim }
    }

    pub(super) fn layer(&self) -> &Layer<F> {
        &self.layer
    }
}

impl<F: BlockFile> View<F> {
    /// Flushes, together with all who ask for it meanwhile.
    pub(super) fn flush_together(&self) -> io::Result<()> {
        if self.access == Access::ReadOnly {
            return Ok(());
        }
        self.turns.share(|| self.flush())
    }

    /// Flushes. The caller has the turn.
    pub(super) fn flush(&self) -> io::Result<()> {
        self.check_writable()?;
        self.settle()?;
        let stack = self.stack.read();
        let top = Arc::clone(stack.top());
        let regions = self.take_dirty(&stack);
        drop(stack);
        // What became data before the map was copied is in the map, so its bytes have to be there first.
        let result =
            self.persist(&top, &regions).and_then(|()| top.rest(IDLE).map_err(|error| self.judge(&top, error)));
        let stack = self.stack.read();
        for (region, _) in &regions {
            // Before it is settled, so that the page is not forgotten in between.
            if result.is_err() {
                self.soil(&stack, *region);
            }
            stack.map.cell(*region).settle();
        }
        result
    }

    /// Makes what is below new tops last. The caller has the turn.
    pub(super) fn settle(&self) -> io::Result<()> {
        let mut unsettled = self.unsettled.lock();
        while let Some(oldest) = unsettled.first() {
            self.persist(&oldest.layer, &oldest.regions)?;
            oldest.layer.seal().map_err(|error| self.judge(&oldest.layer, error))?;
            let stack = self.stack.read();
            for (region, _) in &oldest.regions {
                stack.map.cell(*region).settle();
            }
            drop(stack);
            unsettled.remove(0);
        }
        Ok(())
    }

    /// What the top's map is to say of the regions that are dirty; they are not any more.
    pub(super) fn take_dirty(&self, stack: &Stack<F>) -> Regions {
        let regions = {
            let mut dirty = self.dirty.lock();
            self.is_overfull.store(false, Ordering::Relaxed);
            std::mem::take(&mut *dirty)
        };
        let take = |region: u32| {
            let cell = stack.map.cell(region);
            cell.take();
            if let Some(mut page) = cell.page.try_write() {
                page.compact();
            }
            (region, own_map(&cell.page.read(), stack.top_slot()))
        };
        regions.into_iter().map(take).collect()
    }

    fn persist(&self, layer: &Layer<F>, regions: &Regions) -> io::Result<()> {
        let store = || {
            for (region, blocks) in regions {
                layer.store(*region, blocks)?;
            }
            if regions.is_empty() { Ok(()) } else { layer.sync_map() }
        };
        layer.sync_data().map_err(|error| self.give_up(layer, error))?;
        store().map_err(|error| self.judge(layer, error))
    }

    /// A full disk can be helped, and nothing was promised yet; anything else cannot.
    pub(super) fn judge(&self, layer: &Layer<F>, error: io::Error) -> io::Error {
        if error.raw_os_error() == Some(Errno::NOSPC.raw_os_error()) {
            return error;
        }
        self.give_up(layer, error)
    }

    /// After a sync has failed, the operating system may have forgotten what it could not write: a later one that
    /// succeeds would mean nothing.
    fn give_up(&self, layer: &Layer<F>, error: io::Error) -> io::Error {
        if !self.is_broken.swap(true, Ordering::Relaxed) {
            error!(layer = %layer.id(), %error, "sync failed; the volume refuses writes until the server is started again");
        }
        if let Some(claim) = &*self.claim.lock() {
            claim.note_broken(layer.id());
        }
        error
    }
}

/// What the layer in a slot itself has of a region.
fn own_map(page: &Page, slot: Slot) -> Blocks {
    let (data, zero) = (Entry::data(slot), Entry::zero(slot));
    let mut blocks = Blocks::ABSENT;
    for (run, entry) in page.runs() {
        if entry == data {
            blocks.fill(run, BlockState::Data);
        } else if entry == zero {
            blocks.fill(run, BlockState::Zero);
        }
    }
    blocks
}
