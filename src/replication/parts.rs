//! What every command on replication has at hand.

use std::fmt::Display;
use std::ops::Deref;
use std::sync::Arc;

use steward_proto::artifact::v1::artifact_service_client::ArtifactServiceClient;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error::Error;
use super::local::{self, LocalChannel};
use super::progress::Runs;
use super::reach::{AcceptAll, Reach};
use super::settings::Settings;
use super::targets::{NoTargets, Targets};
use crate::clock::Clock;
use crate::secrets::Secrets;
use crate::store::tx::Tx;
use crate::store::{Revision, Step, Store, update};

/// All tasks, runs and clusters of a server. Clones share it.
#[derive(Clone)]
pub struct Replication(Arc<Parts>);

/// What it consists of.
pub struct Parts {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: Settings,
    /// The artifacts of this server.
    pub(super) artifacts: ArtifactServiceClient<LocalChannel>,
    /// Encrypts passwords.
    pub(super) secrets: Secrets,
    /// Asks targets whether they are there.
    pub(super) reach: Arc<dyn Reach>,
    /// Where runs get their targets from.
    pub(super) targets: Arc<dyn Targets>,
    /// The runs that are under way in this process.
    pub(super) runs: Runs,
    /// A run was queued, or is to stop.
    pub(super) executions: Notify,
    pub(super) tasks: TaskTracker,
    pub(super) shutdown: CancellationToken,
}

impl Deref for Replication {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Replication {
    /// Replication of what `artifacts` serves, with its records in `store`. What it starts runs in `tasks`, and ends when `shutdown` is cancelled.
    pub fn new(
        store: Arc<dyn Store>,
        artifacts: LocalChannel,
        clock: Arc<dyn Clock>,
        secrets: Secrets,
        settings: Settings,
        shutdown: CancellationToken,
        tasks: TaskTracker,
    ) -> Self {
        Self::with_reach(store, artifacts, clock, secrets, settings, shutdown, tasks, Arc::new(AcceptAll))
    }

    /// The same, with another way to ask targets whether they are there.
    #[expect(clippy::too_many_arguments, reason = "each is a part of its own")]
    pub(super) fn with_reach(
        store: Arc<dyn Store>,
        artifacts: LocalChannel,
        clock: Arc<dyn Clock>,
        secrets: Secrets,
        settings: Settings,
        shutdown: CancellationToken,
        tasks: TaskTracker,
        reach: Arc<dyn Reach>,
    ) -> Self {
        let artifacts = local::artifacts(artifacts);
        let executions = Notify::new();
        let (targets, runs) = (Arc::new(NoTargets), Runs::default());
        Replication(Arc::new(Parts {
            store,
            clock,
            settings,
            artifacts,
            secrets,
            reach,
            targets,
            runs,
            executions,
            tasks,
            shutdown,
        }))
    }

    /// The same with these targets. Only before anybody else shares it.
    #[must_use]
    pub(super) fn with_targets(mut self, targets: Arc<dyn Targets>) -> Self {
        if let Some(parts) = Arc::get_mut(&mut self.0) {
            parts.targets = targets;
        }
        self
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

    /// The time, in microseconds since the epoch, as records have it.
    pub(super) fn now_us(&self) -> u64 {
        u64::try_from(self.clock.now().nanos() / 1000).unwrap_or(0)
    }
}
