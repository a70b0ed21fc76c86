//! What a run knows of its task.

use prost::Message as _;
use steward_proto::replication::v1::{
    Config, ConflictStrategy, ErrorStrategy, ReplicaType, Settings as TaskSettings, target,
};
use steward_proto::store::v1::ReplicaTaskRecord;

use super::error::Error;
use super::parts::Replication;
use super::queue::TaskId;
use super::{keys, pieces};
use crate::store::tx;

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

/// Whose the password of a task is, as it is sealed.
pub(super) fn password_context(task_key: &str) -> String {
    format!("task {task_key}")
}

impl Replication {
    /// A task and what it is to do.
    pub(super) async fn job(&self, task: &TaskId) -> Result<Job, Error> {
        let key = keys::task(&task.project, &task.repository, &task.name);
        loop {
            let Some(found) = self.store.get(&key).await? else {
                return Err(Error::TaskNotFound(task.name.clone()));
            };
            let record: ReplicaTaskRecord = tx::decode(&key, &found.value)?;
            let content = pieces::read(&*self.store, &keys::config(&record.key)).await?;
            let again = self.store.get(&key).await?;
            // The pieces belong to the record only if nobody has changed both in between.
            if again.is_none_or(|again| again.revision != found.revision) {
                continue;
            }
            let config = Config::decode(&*content)
                .map_err(|error| Error::Internal(format!("what task {task} is to do cannot be read: {error}")))?;
            return Ok(Job { record, config });
        }
    }

    /// The password of the registry of a task, if it has one.
    pub(super) fn password_of(&self, job: &Job) -> Result<Option<String>, Error> {
        let is_registry = matches!(
            job.config.target.as_ref().and_then(|target| target.target.as_ref()),
            Some(target::Target::Registry(_))
        );
        if !is_registry || job.record.sealed_password.is_empty() {
            return Ok(None);
        }
        let opened = self.secrets.open_sealed(&password_context(&job.record.key), &job.record.sealed_password);
        opened.map(Some).map_err(|error| Error::Internal(error.to_string()))
    }
}
