//! What a run knows of its task.

use std::sync::Arc;

use steward_proto::replication::v1::{
    Config, ConflictStrategy, ErrorStrategy, ReplicaType, Settings as TaskSettings, target,
};
use steward_proto::store::v1::ReplicaTaskRecord;

use super::error::Error;
use super::parts::Replication;
use super::queue::TaskId;
use super::target::{Target, TargetError};

/// How many deletions a run may make when its task does not say.
const DEFAULT_MAX_DELETES: usize = 100;
/// How many it may make at all.
const MAX_MAX_DELETES: usize = 100_000;
/// How many blobs are under way at a time when the task does not say.
const DEFAULT_PARALLELISM: usize = 4;
/// How many may be.
const MAX_PARALLELISM: usize = 16;

/// A task that is to run.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) record: ReplicaTaskRecord,
    pub(super) config: Config,
}

/// How a task copies, with what it does not say filled in.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub(super) struct Options {
    pub(super) conflict: ConflictStrategy,
    pub(super) error: ErrorStrategy,
    pub(super) rate: u64,
    pub(super) with_metadata: bool,
    pub(super) with_referrers: bool,
    pub(super) propagate_deletes: bool,
    pub(super) max_deletes: usize,
    pub(super) parallelism: usize,
    /// The target is asked once more.
    pub(super) checks_again: bool,
}

impl Options {
    pub(super) fn of(config: &Config) -> Self {
        let settings: TaskSettings = config.settings.clone().unwrap_or_default();
        let is_once = config.replica_type() == ReplicaType::RunOnce;
        let conflict = match settings.conflict_strategy() {
            ConflictStrategy::Unspecified if is_once => ConflictStrategy::Overwrite,
            ConflictStrategy::Unspecified => ConflictStrategy::Skip,
            given => given,
        };
        let error = match settings.error_strategy() {
            ErrorStrategy::Unspecified if is_once => ErrorStrategy::FastFail,
            ErrorStrategy::Unspecified => ErrorStrategy::Continue,
            given => given,
        };
        let or = |given: u32, default: usize, most: usize| match usize::try_from(given) {
            Ok(0) => default,
            Ok(given) => given.min(most),
            Err(_) => most,
        };
        Options {
            conflict,
            error,
            rate: u64::try_from(settings.rate_limit).unwrap_or(0),
            with_metadata: settings.include_metadata.unwrap_or(true),
            with_referrers: settings.include_referrers.unwrap_or(true),
            propagate_deletes: settings.propagate_deletes,
            max_deletes: or(settings.max_deletes, DEFAULT_MAX_DELETES, MAX_MAX_DELETES),
            parallelism: or(settings.parallelism, DEFAULT_PARALLELISM, MAX_PARALLELISM),
            checks_again: settings.storage_consistency_check,
        }
    }
}

impl Replication {
    /// A task and what it is to do.
    pub(super) async fn job(&self, task: &TaskId) -> Result<Job, Error> {
        let found = self.task_and_config(task).await?;
        let (record, config) = found.ok_or_else(|| Error::TaskNotFound(task.name.clone()))?;
        // What the record alone says is not in what is stored of the config.
        let config = Config {
            project: record.project.clone(),
            repository: record.repository.clone(),
            name: record.name.clone(),
            replica_type: record.replica_type,
            enabled: Some(record.enabled),
            ..config
        };
        Ok(Job { record, config })
    }

    /// The target of a task, with what it needs to know beside the config. Nothing is asked of it yet.
    pub(super) async fn target_of(&self, job: &Job) -> Result<Arc<dyn Target>, TargetError> {
        let denied = |error: Error| TargetError::Denied(error.to_string());
        let password = self.task_password(&job.record, &job.config).map_err(denied)?;
        let target = job.config.target.as_ref().and_then(|target| target.target.as_ref());
        let cluster = match target {
            Some(target::Target::Cluster(cluster)) => {
                Some(self.cluster_address(&cluster.cluster_id).await.map_err(denied)?)
            }
            _ => None,
        };
        let kind = self.repository_type(&job.record.project, &job.record.repository).await;
        let kind = kind.map_err(|error| TargetError::Source(error.to_string()))?;
        self.targets.target(&job.config, password, cluster, kind).await
    }
}
