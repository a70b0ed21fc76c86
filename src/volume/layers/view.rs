//! A chain of layers that is open: a device.
//!
//! Who has which block is kept in memory (`resolved`), so that a read asks one layer, however long the chain is. Every
//! operation holds the barrier shared while it lasts, the reads from the disk included; whoever changes the chain holds
//! it alone, for a moment. Below it each region has a lock of its own: reads and writes of whole blocks share it, and
//! what has to look before it writes has it alone.

mod extents;
mod flush;
mod freeze;
mod grow;
mod pieces;
mod read;
mod replace;
#[cfg(test)]
mod tests;
mod turns;
mod write;
mod zero;

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use rustix::io::Errno;
use tracing::error;

pub(super) use self::freeze::{NewTop, freeze};

use self::flush::Unsettled;
use self::turns::Turns;
use super::claims::Claim;
use super::disk::BlockFile;
use super::layer::Layer;
use super::stack::Stack;
use crate::volume::device::{Device, Extent, Wait, Zero};
use crate::volume::driver::{self, Access, LayerId, LayerSpec};

/// Which layers a view has: for those who look for views by a layer.
pub(super) type Members = Mutex<HashSet<LayerId>>;

/// How many regions may wait for a flush. What is not stored cannot be forgotten: these take up to 32 MiB of memory.
const MAX_DIRTY: usize = if cfg!(test) { 64 } else { 16_384 };

/// An open chain.
pub(super) struct View<F: BlockFile> {
    /// The barrier, and what it guards.
    stack: RwLock<Stack<F>>,
    members: Arc<Members>,
    size: AtomicU64,
    access: Access,
    /// Tells views apart; barriers of several are taken in this order.
    number: u64,
    /// Regions that say something that the top's map does not say yet, each once.
    dirty: Mutex<Vec<u32>>,
    /// Whether there are so many of them that whoever writes has to flush.
    is_overfull: AtomicBool,
    /// What is below a new top and not stored yet.
    unsettled: Mutex<Vec<Unsettled<F>>>,
    turns: Arc<Turns>,
    /// A sync failed: nobody knows what is on the disk.
    is_broken: AtomicBool,
    /// Keeps others from writing to the top. Free again only after the last flush.
    claim: Mutex<Option<Claim>>,
}

static NUMBERS: AtomicU64 = AtomicU64::new(0);

impl<F: BlockFile> View<F> {
    /// Opens a chain, the bottom first. With a claim on the top it takes writes.
    pub(super) fn open(layers: Vec<Arc<Layer<F>>>, claim: Option<Claim>) -> io::Result<Arc<Self>> {
        let size = layers.last().map_or(0, |top| top.size());
        let stack = Stack::new(layers, size).ok_or(Errno::INVAL)?;
        let members = Arc::new(Mutex::new(ids(&stack)));
        Ok(Arc::new(View {
            stack: RwLock::new(stack),
            members,
            size: AtomicU64::new(size),
            access: if claim.is_some() { Access::ReadWrite } else { Access::ReadOnly },
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            dirty: Mutex::default(),
            is_overfull: AtomicBool::new(false),
            unsettled: Mutex::default(),
            turns: Arc::default(),
            is_broken: AtomicBool::new(false),
            claim: Mutex::new(claim),
        }))
    }

    /// The layers that it has, kept up to date.
    pub(super) fn members(&self) -> &Arc<Members> {
        &self.members
    }

    /// Whether it writes to this layer, or has not settled it yet.
    pub(super) fn writes_to(&self, id: LayerId) -> bool {
        if self.access == Access::ReadOnly {
            return false;
        }
        // One lock after the other: who settles holds the second one and asks for the first.
        let is_top = self.stack.read().top().id() == id;
        is_top || self.unsettled.lock().iter().any(|below| below.layer().id() == id)
    }

    /// Returns when every operation that had begun before has ended.
    pub(super) fn pass_barrier(&self) {
        drop(self.stack.write());
    }

    /// Fails unless the range is within the device.
    fn check(&self, offset: u64, length: u64) -> io::Result<()> {
        match offset.checked_add(length) {
            Some(end) if end <= self.size.load(Ordering::Acquire) => Ok(()),
            _ => Err(Errno::INVAL.into()),
        }
    }

    /// Fails unless it may be written.
    fn check_writable(&self) -> io::Result<()> {
        if self.access == Access::ReadOnly {
            return Err(Errno::PERM.into());
        }
        if self.is_broken.load(Ordering::Relaxed) {
            return Err(Errno::IO.into());
        }
        Ok(())
    }

    /// Remembers that the page of a region has to be stored.
    fn soil(&self, stack: &Stack<F>, region: u32) {
        self.say(stack, region, || true);
    }

    /// Says something in a page, which others may read meanwhile. If that is news, the page has to be stored.
    fn say(&self, stack: &Stack<F>, region: u32, say: impl FnOnce() -> bool) {
        // Both under the lock that a flush takes: whoever meets what is said here, and has nothing to add, relies on the
        // next flush to know of it.
        let mut dirty = self.dirty.lock();
        if say() && stack.map.cell(region).soil() {
            dirty.push(region);
            if dirty.len() >= MAX_DIRTY {
                self.is_overfull.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Flushes if too much was written since somebody did. To be called behind a change, when the barrier is not held.
    fn relieve(&self) -> io::Result<()> {
        if self.is_overfull.load(Ordering::Relaxed) { self.flush_together() } else { Ok(()) }
    }
}

fn ids<F: BlockFile>(stack: &Stack<F>) -> HashSet<LayerId> {
    stack.layers().map(|layer| layer.id()).collect()
}

impl<F: BlockFile> Device for View<F> {
    fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    fn is_read_only(&self) -> bool {
        self.access == Access::ReadOnly
    }

    fn read_at(&self, into: &mut [u8], offset: u64, wait: Wait) -> io::Result<()> {
        self.read(into, offset, wait)
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.write(data, offset)
    }

    fn zero(&self, offset: u64, length: u64, zero: Zero) -> io::Result<()> {
        self.write_zeros(offset, length, zero)
    }

    fn trim(&self, offset: u64, length: u64) -> io::Result<()> {
        self.give_back(offset, length)
    }

    fn flush(&self) -> io::Result<()> {
        self.flush_together()
    }

    fn prefetch(&self, offset: u64, length: u64) -> io::Result<()> {
        self.read_ahead(offset, length)
    }

    fn extents(&self, offset: u64, length: u64, limit: usize) -> io::Result<Vec<Extent>> {
        self.list_extents(offset, length, limit)
    }
}

impl<F: BlockFile> driver::View for View<F> {
    fn chain(&self) -> Vec<LayerSpec> {
        self.stack.read().layers().map(|layer| layer.spec()).collect()
    }

    fn grow(&self, size: u64) -> io::Result<()> {
        self.grow_to(size)
    }

    fn as_device(self: Arc<Self>) -> Arc<dyn Device> {
        self
    }
}

impl<F: BlockFile> Drop for View<F> {
    fn drop(&mut self) {
        if self.access == Access::ReadOnly {
            return;
        }
        if let Some(claim) = self.claim.get_mut() {
            claim.close();
        }
        let top = Arc::clone(self.stack.get_mut().top());
        let sealed = self.flush_together().and_then(|()| top.seal().map_err(|error| self.judge(&top, error)));
        if let Err(error) = sealed {
            error!(layer = %top.id(), %error, "volume was closed, but what was last written to it may not be kept");
        }
    }
}
