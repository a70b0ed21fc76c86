//! Waiting for a lock inside of one call.

use std::time::Duration;

use futures::StreamExt as _;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::acquire::{Acquire, Acquired, Policy};
use super::error::Error;
use super::keys::{self, LockDigest};
use super::load::Who;
use super::locks::Locks;
use super::model::{LockKey, Outcome};
use super::release::{Cancelled, HolderRef, Release};
use crate::store::Revision;

/// How a wait ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// With an answer to the request.
    Answered(Acquired),
    /// Without: the owner has left the queue.
    TimedOut,
}

/// What a wait needs of the server around it.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    pub(crate) shutdown: CancellationToken,
    /// Runs what has to be done after a caller went away.
    pub(crate) tasks: TaskTracker,
}

impl Locks {
    /// Asks for a lock, and waits in its queue for `timeout`. A caller that goes away leaves the queue, and what it was
    /// granted without learning of it is released.
    pub(crate) async fn acquire_waiting(
        &self,
        command: &Acquire,
        timeout: Option<Duration>,
        around: &Surroundings,
    ) -> Result<(Waited, Revision), Error> {
        let timeout = async {
            match timeout {
                Some(timeout) => tokio::time::sleep(timeout).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(timeout);
        loop {
            let (acquired, revision) = self.acquire_for_caller(command, around).await?;
            if !matches!(acquired, Acquired::Queued(_)) {
                return Ok((Waited::Answered(acquired), revision));
            }
            let place = LeaveOnDrop { locks: Some(self.clone()), command, around };
            tokio::select! {
                moved = self.until_moved(&command.key, &command.owner) => {
                    place.keep();
                    moved?;
                }
                () = &mut timeout => {
                    place.keep();
                    return self.give_up(command).await;
                }
                () = around.shutdown.cancelled() => {
                    place.keep();
                    return Err(Error::ShuttingDown);
                }
            }
        }
    }

    /// Asks once, in a task of its own: when the caller goes away in the middle, the task undoes what it got.
    async fn acquire_for_caller(
        &self,
        command: &Acquire,
        around: &Surroundings,
    ) -> Result<(Acquired, Revision), Error> {
        let (sender, answer) = oneshot::channel();
        let (locks, command) = (self.clone(), command.clone());
        around.tasks.spawn(async move {
            let result = locks.acquire(&command).await;
            if let Err(Ok((acquired, _))) = sender.send(result) {
                locks.undo(&command, acquired).await;
            }
        });
        answer.await.map_err(|_| Error::ShuttingDown)?
    }

    async fn undo(&self, command: &Acquire, acquired: Acquired) {
        let result = match acquired {
            Acquired::Granted { grant, is_new: true } => {
                let release = Release {
                    key: command.key.clone(),
                    holder: HolderRef::Grant(grant.id),
                    outcome: Outcome::Released,
                    error: String::new(),
                    request_id: String::new(),
                };
                self.release(&release).await.map(|_| ())
            }
            Acquired::Queued(_) => self.cancel_wait(&command.key, &command.owner).await.map(|_| ()),
            Acquired::Granted { is_new: false, .. } | Acquired::Contended | Acquired::Skipped(_) => Ok(()),
        };
        if let Err(error) = result {
            tracing::warn!(key = %command.key, %error, "could not undo what a caller that went away was given");
        }
    }

    /// Returns when the owner has been handed the lock, sent away, or taken out of the queue.
    async fn until_moved(&self, key: &LockKey, owner: &str) -> Result<(), Error> {
        let seen = self.store.revision();
        let loaded = self.load(key, Who::Owner(owner)).await?;
        let (Some(epoch), Some(place)) = (loaded.state.head.epoch, loaded.state.place) else { return Ok(()) };
        let waiter = keys::waiter(LockDigest::of(key), epoch, place.seq);
        match self.store.watch(waiter, seen).next().await {
            // What was compacted in the meantime is found by looking again.
            Some(Ok(_) | Err(crate::store::Error::Compacted { .. })) | None => Ok(()),
            Some(Err(error)) => Err(error.into()),
        }
    }

    async fn give_up(&self, command: &Acquire) -> Result<(Waited, Revision), Error> {
        let (cancelled, revision) = self.cancel_wait(&command.key, &command.owner).await?;
        if cancelled == Cancelled::Yes {
            return Ok((Waited::TimedOut, revision));
        }
        // The queue moved on in the last moment: the work may be done, or another call of this owner got the lock.
        let last_try = Acquire { policy: Policy::Try, ..command.clone() };
        let (acquired, revision) = self.acquire(&last_try).await?;
        let waited = if acquired == Acquired::Contended { Waited::TimedOut } else { Waited::Answered(acquired) };
        Ok((waited, revision))
    }
}

/// Gives up a place in the queue when the call that waits for it is dropped.
struct LeaveOnDrop<'a> {
    locks: Option<Locks>,
    command: &'a Acquire,
    around: &'a Surroundings,
}

impl LeaveOnDrop<'_> {
    fn keep(mut self) {
        self.locks = None;
    }
}

impl Drop for LeaveOnDrop<'_> {
    fn drop(&mut self) {
        let Some(locks) = self.locks.take() else { return };
        // At shutdown the calls are dropped as well, but then the places are kept for the next start.
        if self.around.shutdown.is_cancelled() {
            return;
        }
        let command = self.command.clone();
        self.around.tasks.spawn(async move { locks.undo(&command, Acquired::Queued(0)).await });
    }
}
