//! The farm: what all its commands share.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::batch::Batch;
use super::error::Error;
use super::index::Index;
use super::library::Scanner;
use super::model::{TaskId, TaskRecord, TaskUuid, VideoId, VideoRecord};
use super::sessions::Sessions;
use super::settings::Settings;
use super::{keys, load};
use crate::clock::{Clock, Timestamp};
use crate::store::{Key, Revision, Step, Store, update};

/// Long lists that are made at a time.
const LONG_LOOKS: usize = 2;

/// The commands of the farm. Each returns once what it changed, and what it read, survives a power loss.
///
/// A command runs to its end also when its caller goes away, so that the index follows every commit.
#[derive(Clone)]
pub struct Farm {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: Arc<Settings>,
    pub(super) index: Arc<Index>,
    /// Told when there may be work for somebody who found none.
    pub(super) work: Arc<Notify>,
    /// Told whenever the index has followed a commit.
    pub(super) applied: Arc<Notify>,
    /// The highest revision that it has followed, though others before it may be on their way.
    pub(super) highest_applied: Arc<AtomicU64>,
    pub(super) sessions: Arc<Sessions>,
    /// Who makes a long list has one of these.
    pub(super) long_looks: Arc<Semaphore>,
    pub(super) scanner: Arc<std::sync::OnceLock<Scanner>>,
    pub(super) tasks: TaskTracker,
    pub(super) shutdown: CancellationToken,
    /// When this server began: workers have the whole timeout from then on.
    pub(super) started: Timestamp,
}

impl std::fmt::Debug for Farm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Farm").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What one attempt of a command came to.
pub(super) struct Decision<T> {
    pub(super) batch: Batch,
    pub(super) answer: T,
}

/// A record and when it was last changed.
#[derive(Clone, Debug)]
pub(super) struct Stored<R> {
    pub(super) record: R,
    pub(super) revision: Revision,
}

impl Farm {
    /// The farm in `store`. Its tasks run in `tasks`; what does not end by itself does when `shutdown` is cancelled.
    pub async fn open(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        settings: Settings,
        shutdown: CancellationToken,
        tasks: TaskTracker,
    ) -> Result<Self, Error> {
        let started = clock.now();
        let index = load::load(&*store, started).await?;
        Ok(Farm {
            store,
            clock,
            settings: Arc::new(settings),
            index: Arc::new(index),
            work: Arc::default(),
            applied: Arc::default(),
            highest_applied: Arc::default(),
            sessions: Arc::default(),
            long_looks: Arc::new(Semaphore::new(LONG_LOOKS)),
            scanner: Arc::default(),
            tasks,
            shutdown,
            started,
        })
    }

    /// Runs a command to its end, whether anybody still waits for it or not.
    pub(super) async fn to_the_end<T: Send + 'static>(
        &self,
        command: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let ended = self.tasks.spawn(command).await;
        ended.map_err(|error| Error::Internal(format!("a command broke off: {error}")))?
    }

    /// Attempts until the changes are committed or there are none, and brings them into the index.
    pub(super) async fn decide<T, F, A>(&self, what: impl Display, mut attempt: F) -> Result<(T, Revision), Error>
    where
        F: FnMut() -> A,
        A: Future<Output = Result<Decision<T>, Error>>,
    {
        let attempt = || {
            let decided = attempt();
            async move {
                let Decision { mut batch, answer } = decided.await?;
                let txn = std::mem::take(&mut batch.txn);
                Ok::<_, Error>(if txn.ops.is_empty() {
                    Step::Answer((batch, answer))
                } else {
                    Step::Commit(txn, (batch, answer))
                })
            }
        };
        let ((batch, answer), revision) = update(&*self.store, what, attempt).await?;
        self.apply(batch, revision);
        Ok((answer, revision))
    }

    /// Brings what was committed into the index, and wakes who waits for work.
    pub(super) fn apply(&self, batch: Batch, revision: Revision) {
        if batch.apply(&self.index, revision, self.clock.now()) {
            self.work.notify_waiters();
        }
        self.highest_applied.fetch_max(revision.0, Ordering::AcqRel);
        self.applied.notify_waiters();
    }

    /// Returns once everything that was read before survives a power loss.
    pub(super) async fn settled(&self) -> Result<(), Error> {
        Ok(self.store.settled().await?)
    }

    pub(super) async fn read<R: prost::Message + Default>(&self, key: &Key) -> Result<Option<Stored<R>>, Error> {
        load::read(&*self.store, key).await
    }

    pub(super) async fn task(&self, id: TaskId) -> Result<Option<Stored<TaskRecord>>, Error> {
        self.read(&keys::task(id)).await
    }

    pub(super) async fn video(&self, id: VideoId) -> Result<Option<Stored<VideoRecord>>, Error> {
        self.read(&keys::video(id)).await
    }

    /// The number of a task, by what people know it as.
    pub(super) fn find_task(&self, uuid: TaskUuid) -> Result<TaskId, Error> {
        self.index.tasks.read().find(uuid).ok_or_else(|| Error::TaskNotFound(uuid.to_string()))
    }

    /// How many attempts a video of this path has.
    pub(super) fn max_attempts(&self, path: &str) -> i32 {
        let library = super::model::library_of(path);
        let libraries = self.index.libraries.read();
        let own = libraries.get(library).and_then(|library| library.rules.max_attempts);
        own.unwrap_or(self.settings.policy.max_attempts).max(1)
    }
}
