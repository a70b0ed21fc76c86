//! What every command on artifacts has at hand.

use std::fmt::Display;
use std::ops::Deref;
use std::sync::Arc;

use steward_proto::store::v1::ArtifactStampRecord;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::changes::Stamps;
use super::error::Error;
use super::keys;
use super::settings::Settings;
use super::upload_sessions::Uploads;
use crate::blob::Blobs;
use crate::clock::Clock;
use crate::store::tx::{self, Tx};
use crate::store::{Revision, Step, Store, update};

/// All projects, repositories and artifacts of a server. Clones share it.
#[derive(Clone)]
pub struct Artifacts(Arc<Parts>);

/// What it consists of.
pub struct Parts {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) blobs: Blobs,
    pub(super) settings: Settings,
    pub(super) stamps: Stamps,
    pub(super) uploads: Uploads,
    pub(super) tasks: TaskTracker,
    pub(super) shutdown: CancellationToken,
}

impl Deref for Artifacts {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Artifacts {
    /// The artifacts in `store`, with their bytes in `blobs`. What it starts runs in `tasks`, and ends when `shutdown` is cancelled.
    pub async fn open(
        store: Arc<dyn Store>,
        blobs: Blobs,
        clock: Arc<dyn Clock>,
        settings: Settings,
        shutdown: CancellationToken,
        tasks: TaskTracker,
    ) -> Result<Self, Error> {
        let known: Option<ArtifactStampRecord> = tx::read(&*store, &keys::stamps()).await?;
        let now_us = clock.now().micros();
        let stamps = Stamps::after(known.map_or(0, |record| record.highest), now_us);
        let uploads = Uploads::default();
        let artifacts = Artifacts(Arc::new(Parts { store, clock, blobs, settings, stamps, uploads, tasks, shutdown }));
        // Before the first one is given: were nothing noted, a clock that was set back would give them again.
        artifacts.note_stamps().await?;
        artifacts.recover_uploads().await?;
        Ok(artifacts)
    }

    /// Attempts until the changes are committed or there are none.
    pub(super) async fn decide<'a, T, F, A>(
        &'a self,
        what: impl Display,
        mut attempt: F,
    ) -> Result<(T, Revision), Error>
    where
        F: FnMut(Tx<'a>) -> A,
        A: Future<Output = Result<Step<T>, Error>>,
    {
        update(&*self.store, what, || attempt(Tx::new(&*self.store))).await
    }

    /// Runs a command to its end, whether anybody still waits for it or not.
    pub(super) async fn to_the_end<T: Send + 'static>(
        &self,
        command: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let ended = self.tasks.spawn(command).await;
        ended.map_err(|error| Error::Internal(format!("a command broke off: {error}")))?
    }

    /// The time, in microseconds since the epoch, as records have it.
    pub(super) fn now_us(&self) -> u64 {
        self.clock.now().micros()
    }
}

/// A number for a repository or an image that nothing else has, or ever had.
pub(super) fn new_id() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().1
}
