//! What every command on replication has at hand.

use std::fmt::Display;
use std::ops::Deref;
use std::sync::Arc;

use steward_proto::artifact::v1::artifact_service_client::ArtifactServiceClient;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::access::{Anybody, Makers};
use super::address_policy::AddressPolicy;
use super::error::Error;
use super::local::{self, LocalChannel};
use super::progress::Runs;
use super::reach::Reach;
use super::settings::Settings;
use super::target::TargetFactory;
use super::targets::Targets;
use crate::auth::Authenticator;
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
    /// Says whether those for whom tasks work may still do what these do.
    pub(super) makers: Arc<dyn Makers>,
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
        let factory = Arc::new(TargetFactory::new(&settings, Arc::new(AddressPolicy::from(&settings))));
        Replication(Arc::new(Parts {
            store,
            clock,
            settings,
            artifacts: local::artifacts(artifacts),
            secrets,
            reach: Arc::clone(&factory) as Arc<dyn Reach>,
            targets: factory,
            makers: Arc::new(Anybody),
            runs: Runs::default(),
            executions: Notify::new(),
            tasks,
            shutdown,
        }))
    }

    /// The same for callers who may not do everything. Only before anybody else shares it.
    #[must_use]
    pub fn with_rights(mut self, authenticator: Authenticator) -> Self {
        if let Some(parts) = Arc::get_mut(&mut self.0) {
            parts.makers = Arc::new(authenticator);
        }
        self
    }

    /// The same with another way to ask targets whether they are there. Only before anybody else shares it.
    #[cfg(test)]
    #[must_use]
    pub(super) fn with_reach(mut self, reach: Arc<dyn Reach>) -> Self {
        if let Some(parts) = Arc::get_mut(&mut self.0) {
            parts.reach = reach;
        }
        self
    }

    /// The same with other words on what makers may do. Only before anybody else shares it.
    #[cfg(test)]
    #[must_use]
    pub(super) fn with_makers(mut self, makers: Arc<dyn Makers>) -> Self {
        if let Some(parts) = Arc::get_mut(&mut self.0) {
            parts.makers = makers;
        }
        self
    }

    /// The same with other targets. Only before anybody else shares it.
    #[cfg(test)]
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
        self.clock.now().micros()
    }
}
