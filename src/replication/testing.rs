//! What the tests of runs share: artifacts that are only in memory, behind the same service as the real ones; a target
//! that is; and replication between them.

mod artifacts;
mod target;

use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use steward_proto::replication::v1 as api;
use steward_proto::replication::v1::{Config, ExecutionStatus};
use steward_proto::store::v1::{ArtifactResultRecord, ExecutionRecord, ReplicaTaskKeyRecord, ReplicaTaskRecord};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(super) use self::artifacts::FakeArtifacts;
pub(super) use self::target::{FakeTarget, Fault};
use super::parts::Replication;
use super::queue::{Cause, TaskId};
use super::run_log::{has_ended, outcome};
use super::settings::Settings;
use super::tasks::new_config_id;
use super::{keys, local_channel, pieces};
use crate::clock::{Clock, SystemClock};
use crate::secrets::Secrets;
use crate::store::suite::{self, Harness as _};
use crate::store::tx::{self, Tx};
use crate::store::{KeyRange, Store};

/// The key of the task that tests run.
pub(super) const TASK_KEY: &str = "0123456789abcdef0123456789abcdef";

/// Artifacts, a target, and the records of what is replicated; servers come and go.
#[derive(Clone)]
pub(super) struct World {
    pub(super) store: Arc<dyn Store>,
    pub(super) artifacts: Arc<FakeArtifacts>,
    pub(super) target: Arc<FakeTarget>,
}

impl World {
    pub(super) fn new() -> Self {
        World { store: suite::Memory::default().open(1000), artifacts: Arc::default(), target: Arc::default() }
    }

    /// A server that does what is queued.
    pub(super) fn server(&self) -> Server {
        self.server_with(Settings::default())
    }

    pub(super) fn server_with(&self, settings: Settings) -> Server {
        let (shutdown, tasks) = (CancellationToken::new(), TaskTracker::new());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let directory = tempfile::tempdir().expect("a temporary directory");
        let secrets = Secrets::open(&directory.path().join("key")).expect("a key");
        let replication = Replication::new(
            Arc::clone(&self.store),
            local_channel(Arc::clone(&self.artifacts).service()),
            clock,
            secrets,
            settings,
            shutdown.clone(),
            tasks.clone(),
        );
        let replication = replication.with_targets(Arc::clone(&self.target).factory());
        Server { replication, shutdown, tasks }
    }

    /// Writes a task, as those who create them do.
    pub(super) async fn task(&self, config: Config) -> TaskId {
        let id = TaskId {
            project: config.project.clone(),
            repository: config.repository.clone(),
            name: config.name.clone(),
        };
        let record = ReplicaTaskRecord {
            key: TASK_KEY.to_owned(),
            project: id.project.clone(),
            repository: id.repository.clone(),
            name: id.name.clone(),
            replica_type: config.replica_type,
            enabled: true,
            config: new_config_id(&config, 1),
            ..ReplicaTaskRecord::default()
        };
        let name = ReplicaTaskKeyRecord {
            project: id.project.clone(),
            repository: id.repository.clone(),
            name: id.name.clone(),
        };
        let mut tx = Tx::new(&*self.store);
        tx.put(keys::task(&id.project, &id.repository, &id.name), &record);
        tx.put(keys::task_key(TASK_KEY), &name);
        pieces::write(&mut tx, &keys::config_pieces(&record.config), &config.encode_to_vec()).await.expect("pieces");
        let crate::store::Step::Commit(txn, ()) = tx.answer(()) else { panic!("a task is a change") };
        self.store.commit(txn).await.expect("a commit");
        id
    }

    pub(super) async fn head(&self, id: &TaskId) -> ReplicaTaskRecord {
        let key = keys::task(&id.project, &id.repository, &id.name);
        tx::read(&*self.store, &key).await.expect("a readable record").expect("a task")
    }

    pub(super) async fn run(&self, id: &str) -> ExecutionRecord {
        tx::read(&*self.store, &keys::execution(id)).await.expect("a readable record").expect("a run")
    }

    /// Waits until the record of a run is as it is wanted.
    pub(super) async fn wait(&self, id: &str, is_wanted: impl Fn(&ExecutionRecord) -> bool) -> ExecutionRecord {
        use futures::StreamExt as _;
        let mut changes = self.store.watch(keys::execution(id), self.store.revision());
        let waiting = async {
            loop {
                let record = self.run(id).await;
                if is_wanted(&record) {
                    return record;
                }
                changes.next().await.expect("the store goes on").expect("a change");
            }
        };
        tokio::time::timeout(Duration::from_mins(1), waiting).await.expect("it comes to that in time")
    }

    pub(super) async fn wait_for_end(&self, id: &str) -> ExecutionRecord {
        self.wait(id, has_ended).await
    }

    /// What artifacts of a run came to: name, version, outcome.
    pub(super) async fn results(&self, id: &str) -> Vec<ArtifactResultRecord> {
        let found = tx::scan(&*self.store, KeyRange::prefix(&keys::results_of(id)), usize::MAX).await;
        let found = found.expect("results");
        found.iter().map(|(key, value)| tx::decode(key, value).expect("a result")).collect()
    }

    /// What artifacts came to, in the order of their names.
    pub(super) async fn outcomes(&self, id: &str) -> Vec<(String, String, api::ArtifactOutcome)> {
        let results = self.results(id).await.into_iter();
        let mut outcomes: Vec<_> =
            results.map(|result| (result.artifact.clone(), result.version.clone(), outcome(&result))).collect();
        outcomes.sort();
        outcomes
    }
}

/// A server at work.
pub(super) struct Server {
    pub(super) replication: Replication,
    pub(super) shutdown: CancellationToken,
    pub(super) tasks: TaskTracker,
}

impl Server {
    pub(super) fn start(self) -> Self {
        self.replication.start_runner();
        self
    }

    pub(super) async fn queue(&self, task: &TaskId, cause: Cause) -> String {
        self.replication.queue_execution(task, cause).await.expect("a queued run").id
    }

    pub(super) async fn stop(self) {
        self.shutdown.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// A task for a repository of images, or of files.
pub(super) fn config() -> Config {
    Config {
        project: "p".to_owned(),
        repository: "r".to_owned(),
        name: "task".to_owned(),
        replica_type: api::ReplicaType::Scheduled.into(),
        settings: Some(api::Settings::default()),
        ..Config::default()
    }
}

pub(super) fn with(change: impl FnOnce(&mut Config, &mut api::Settings)) -> Config {
    let mut config = config();
    let mut settings = config.settings.take().unwrap_or_default();
    change(&mut config, &mut settings);
    config.settings = Some(settings);
    config
}

pub(super) fn package(key: &str, versions: &[&str]) -> api::PackageConstraint {
    api::PackageConstraint {
        package_key: key.to_owned(),
        versions: versions.iter().map(|&version| version.to_owned()).collect(),
        ..api::PackageConstraint::default()
    }
}

pub(super) fn path(path: &str) -> api::PathConstraint {
    api::PathConstraint { path: path.to_owned(), path_regex: Vec::new() }
}

pub(super) fn is_success(record: &ExecutionRecord) -> bool {
    record.status == i32::from(ExecutionStatus::Success)
}
