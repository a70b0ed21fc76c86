//! New tops, on one or several views at one point in time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::View;
use super::flush::Unsettled;
use super::turns::Turn;
use crate::volume::driver::{Access, Frozen};
use crate::volume::layers::claims::Claim;
use crate::volume::layers::disk::BlockFile;
use crate::volume::layers::layer::Layer;

/// With fewer regions to copy than this, nobody notices the pause.
const FEW_REGIONS: usize = 256;

/// How often a view is flushed before its pause, while much is left.
const FLUSHES: usize = 3;

/// A view and the top that it is to get.
pub(in crate::volume::layers) struct NewTop<F: BlockFile> {
    pub(in crate::volume::layers) view: Arc<View<F>>,
    pub(in crate::volume::layers) top: Arc<Layer<F>>,
    pub(in crate::volume::layers) claim: Claim,
}

/// Views with new tops. Their flushes wait until it is dropped.
struct FrozenViews<F: BlockFile> {
    views: Vec<Arc<View<F>>>,
    _turns: Vec<Turn>,
    pause: Duration,
}

/// Puts a new top on each of some views, at one point in time; see [`crate::volume::driver::Driver::freeze`].
pub(in crate::volume::layers) fn freeze<F: BlockFile>(mut tops: Vec<NewTop<F>>) -> io::Result<Box<dyn Frozen>> {
    // One order for all, so that two of these do not wait for each other.
    tops.sort_by_key(|new| new.view.number);
    let is_twice = tops.windows(2).any(|pair| pair[0].view.number == pair[1].view.number);
    if is_twice || tops.iter().any(|new| new.view.access == Access::ReadOnly) {
        return Err(Errno::INVAL.into());
    }
    let turns: Vec<Turn> = tops.iter().map(|new| new.view.turns.take()).collect();
    for new in &tops {
        new.view.prepare()?;
        if new.top.size() < new.view.size.load(Ordering::Acquire) {
            return Err(Errno::INVAL.into());
        }
    }
    let views = tops.iter().map(|new| Arc::clone(&new.view)).collect();
    let pause = push_all(tops)?;
    Ok(Box::new(FrozenViews { views, _turns: turns, pause }))
}

/// Returns how long writes had to wait.
fn push_all<F: BlockFile>(tops: Vec<NewTop<F>>) -> io::Result<Duration> {
    let views: Vec<Arc<View<F>>> = tops.iter().map(|new| Arc::clone(&new.view)).collect();
    let start = Instant::now();
    let mut stacks: Vec<_> = views.iter().map(|view| view.stack.write()).collect();
    if stacks.iter().any(|stack| !stack.has_room()) {
        return Err(Errno::MLINK.into());
    }
    for (new, stack) in tops.into_iter().zip(&mut stacks) {
        let below = Arc::clone(stack.top());
        // Copied now: a moment later the same pages say what is in the new top.
        let regions = new.view.take_dirty(stack);
        let size = new.top.size();
        new.view.members.lock().insert(new.top.id());
        stack.push(new.top);
        let claim = new.view.claim.lock().replace(new.claim);
        new.view.unsettled.lock().push(Unsettled::new(below, regions, claim));
        new.view.size.fetch_max(size, Ordering::AcqRel);
    }
    drop(stacks);
    Ok(start.elapsed())
}

impl<F: BlockFile> View<F> {
    /// Leaves little to do for the moment when all have to wait. The caller has the turn.
    fn prepare(&self) -> io::Result<()> {
        for _ in 0..FLUSHES {
            self.flush()?;
            if self.dirty.lock().len() < FEW_REGIONS {
                break;
            }
        }
        if !self.stack.read().is_crowded() {
            return Ok(());
        }
        let mut stack = self.stack.write();
        let new = stack.renumbered(self.size.load(Ordering::Acquire)).ok_or(Errno::MLINK)?;
        let old = std::mem::replace(&mut *stack, new);
        drop(stack);
        // All its pages go, when nobody waits for the barrier any more.
        drop(old);
        Ok(())
    }
}

impl<F: BlockFile> Frozen for FrozenViews<F> {
    fn settle(&self) -> io::Result<()> {
        for view in &self.views {
            view.settle()?;
        }
        Ok(())
    }

    fn pause(&self) -> Duration {
        self.pause
    }
}
