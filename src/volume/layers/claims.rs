//! Who may write to a layer: one view at a time, until its last flush is done.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use rustix::io::Errno;
use tracing::error;

use crate::volume::driver::LayerId;

/// The layers that are written to.
#[derive(Debug, Default)]
pub(super) struct Claims {
    taken: Mutex<HashMap<LayerId, State>>,
    changed: Condvar,
    /// Layers of which a sync has failed since the start.
    broken: Mutex<HashSet<LayerId>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Used,
    /// The one that had it flushes a last time.
    Closing,
}

/// The right to write to a layer, until it is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    claims: Arc<Claims>,
    id: LayerId,
}

impl Claims {
    /// Takes a layer. `EBUSY` if somebody has it; one that is being closed is waited for.
    pub(super) fn take(self: &Arc<Self>, id: LayerId) -> io::Result<Claim> {
        let mut taken = self.taken.lock();
        self.wait_until_closed(&mut taken, id)?;
        taken.insert(id, State::Used);
        Ok(Claim { claims: Arc::clone(self), id })
    }

    /// Fails with `EBUSY` if somebody has one of these layers.
    pub(super) fn check_free(&self, ids: impl Iterator<Item = LayerId>) -> io::Result<()> {
        let mut taken = self.taken.lock();
        for id in ids {
            self.wait_until_closed(&mut taken, id)?;
        }
        Ok(())
    }

    /// Fails with `EIO` if a sync of one of these layers has failed. What is read of it may be in memory only; a process
    /// that starts anew meets what the disk has.
    pub(super) fn check_sound(&self, mut ids: impl Iterator<Item = LayerId>) -> io::Result<()> {
        let broken = self.broken.lock();
        let Some(id) = ids.find(|id| broken.contains(id)) else { return Ok(()) };
        error!(layer = %id, "a sync of this layer has failed: it takes no writes until the server is started again");
        Err(Errno::IO.into())
    }

    fn wait_until_closed(
        &self,
        taken: &mut parking_lot::MutexGuard<'_, HashMap<LayerId, State>>,
        id: LayerId,
    ) -> io::Result<()> {
        loop {
            match taken.get(&id) {
                None => return Ok(()),
                Some(State::Used) => return Err(Errno::BUSY.into()),
                Some(State::Closing) => self.changed.wait(taken),
            }
        }
    }
}

impl Claim {
    /// Says that it will be dropped after a last flush.
    pub(super) fn close(&self) {
        self.claims.taken.lock().insert(self.id, State::Closing);
    }

    /// Says that a sync of a layer has failed: nobody may write to what stands on it from now on.
    pub(super) fn note_broken(&self, layer: LayerId) {
        self.claims.broken.lock().insert(layer);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.taken.lock().remove(&self.id);
        self.claims.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layer_is_taken_once_and_one_that_is_being_closed_is_waited_for() {
        let claims: Arc<Claims> = Arc::default();
        let id = LayerId(7);
        let claim = claims.take(id).unwrap();
        assert_eq!(claims.take(id).unwrap_err().raw_os_error(), Some(Errno::BUSY.raw_os_error()));
        claims.check_free([id].into_iter()).unwrap_err();
        claims.check_free([LayerId(8)].into_iter()).unwrap();
        claim.close();
        std::thread::scope(|scope| {
            let next = scope.spawn(|| claims.take(id));
            drop(claim);
            next.join().unwrap().unwrap();
        });
    }
}
