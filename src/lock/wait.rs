//! Waiting for a lock inside of one call.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::acquire::{Acquire, Acquired, Policy};
use super::calls::Call;
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

/// One call with all that it takes to undo what it got.
#[derive(Clone)]
struct Undo {
    locks: Locks,
    command: Arc<Acquire>,
    around: Surroundings,
    call: Arc<Call>,
}

impl Locks {
    /// Asks for a lock without waiting.
    pub(crate) async fn acquire_now(&self, command: &Acquire) -> Result<(Acquired, Revision), Error> {
        let Some(call) = self.calls.join(&command.key, &command.owner) else { return self.acquire(command).await };
        let _gate = call.gate().await;
        let answer = self.acquire(command).await;
        if matches!(answer, Ok((Acquired::Granted { .. }, _))) {
            call.take_unheard();
        }
        answer
    }

    /// Asks for a lock, and waits in its queue for `timeout`. A caller that goes away leaves the queue, and what it was
    /// granted without learning of it is released, unless it has asked again in the meantime.
    pub(crate) async fn acquire_waiting(
        &self,
        command: Acquire,
        timeout: Option<Duration>,
        around: &Surroundings,
    ) -> Result<(Waited, Revision), Error> {
        let call = Arc::new(self.calls.begin(&command.key, &command.owner));
        let undo = Undo { locks: self.clone(), command: Arc::new(command), around: around.clone(), call };
        let timeout = async {
            match timeout {
                Some(timeout) => tokio::time::sleep(timeout).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(timeout);
        loop {
            let (acquired, revision) = undo.ask(Arc::clone(&undo.command)).await?;
            if !matches!(acquired, Acquired::Queued(_)) {
                return Ok((Waited::Answered(acquired), revision));
            }
            let place = Unheard { undo: undo.clone(), acquired: Some(acquired) };
            tokio::select! {
                moved = self.until_moved(&undo.command.key, &undo.command.owner) => {
                    place.hear();
                    moved?;
                }
                () = &mut timeout => {
                    place.hear();
                    return undo.give_up().await;
                }
                () = around.shutdown.cancelled() => {
                    place.hear();
                    return Err(Error::ShuttingDown);
                }
            }
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
}

impl Undo {
    /// Asks once, in a task of its own, which goes on when the caller goes away: then its answer is undone.
    async fn ask(&self, command: Arc<Acquire>) -> Result<(Acquired, Revision), Error> {
        let (sender, answer) = oneshot::channel();
        let undo = self.clone();
        self.around.tasks.spawn(async move {
            let answer = {
                let _gate = undo.call.gate().await;
                undo.locks.acquire(&command).await
            };
            // When nobody takes it out of the channel, it is dropped there, and undone.
            let _ = sender.send(answer.map(|(acquired, revision)| (undo.unheard(acquired), revision)));
        });
        let (unheard, revision) = answer.await.map_err(|_| Error::ShuttingDown)??;
        Ok((unheard.hear(), revision))
    }

    fn unheard(self, acquired: Acquired) -> Unheard {
        Unheard { undo: self, acquired: Some(acquired) }
    }

    async fn give_up(&self) -> Result<(Waited, Revision), Error> {
        let gate = self.call.gate().await;
        if !self.call.is_newest() {
            // The owner has asked again: the place is that call's.
            return Ok((Waited::TimedOut, self.locks.store.revision()));
        }
        let (cancelled, revision) = self.locks.cancel_wait(&self.command.key, &self.command.owner).await?;
        drop(gate);
        if cancelled == Cancelled::Yes {
            return Ok((Waited::TimedOut, revision));
        }
        // The queue moved on in the last moment: the work may be done, or another call of this owner got the lock.
        let last_try = Arc::new(Acquire { policy: Policy::Try, ..(*self.command).clone() });
        let (acquired, revision) = self.ask(last_try).await?;
        let waited = if acquired == Acquired::Contended { Waited::TimedOut } else { Waited::Answered(acquired) };
        Ok((waited, revision))
    }

    /// Gives back what nobody heard of, unless a later call of the same owner relies on it.
    async fn give_back(self, acquired: Acquired) {
        let _gate = self.call.gate().await;
        if !self.call.is_newest() {
            if matches!(acquired, Acquired::Granted { is_new: true, .. }) {
                self.call.leave_unheard();
            }
            return;
        }
        let result = match acquired {
            Acquired::Granted { grant, is_new } if is_new | self.call.take_unheard() => {
                let release = Release {
                    key: self.command.key.clone(),
                    holder: HolderRef::Grant(grant.id),
                    outcome: Outcome::Released,
                    error: String::new(),
                    request_id: String::new(),
                };
                self.locks.release(&release).await.map(|_| ())
            }
            Acquired::Queued(_) => self.locks.cancel_wait(&self.command.key, &self.command.owner).await.map(|_| ()),
            Acquired::Granted { .. } | Acquired::Contended | Acquired::Skipped(_) => Ok(()),
        };
        if let Err(error) = result {
            tracing::warn!(key = %self.command.key, %error, "could not give back what a caller that went away got");
        }
    }
}

/// An answer on its way to a caller. Dropped before the caller has it, it is given back.
struct Unheard {
    undo: Undo,
    acquired: Option<Acquired>,
}

impl Unheard {
    fn hear(mut self) -> Acquired {
        self.undo.call.take_unheard();
        self.acquired.take().expect("taken only here, where the answer ends")
    }
}

impl Drop for Unheard {
    fn drop(&mut self) {
        let Some(acquired) = self.acquired.take() else { return };
        // At shutdown the calls are dropped as well, but then places in queues are kept for the next start.
        if matches!(acquired, Acquired::Queued(_)) && self.undo.around.shutdown.is_cancelled() {
            return;
        }
        let undo = self.undo.clone();
        self.undo.around.tasks.spawn(undo.give_back(acquired));
    }
}
