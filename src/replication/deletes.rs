//! Deletes at the target what was deleted here: only what runs of the same task have put there, and never more than the
//! task allows.

use std::collections::HashSet;

use steward_proto::artifact::v1::File;
use steward_proto::replication::v1::ArtifactOutcome;
use steward_proto::store::v1::ArtifactResultRecord;

use super::copy::Copier;
use super::error::Error;
use super::keys;
use super::parts::Replication;
use super::placed::Names;
use super::plan::{GoneItem, image_of};
use super::progress::ArtifactMeter;
use super::run_log::{Ended, outcome};
use super::select::Selection;
use super::source::SourceError;
use super::target::TargetError;
use crate::store::key::KeyReader;
use crate::store::tx;
use crate::store::{Key, KeyRange};

/// How many results are looked at together.
const RESULTS_AT_ONCE: usize = 256;
/// How many names of results are remembered.
const MAX_NAMES: usize = 1_000_000;

/// Why it is not known what is to be deleted.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeleteError {
    /// More would be deleted than the task allows.
    #[error(
        "more than {0} artifacts would be deleted at the target, which is the limit of the task: nothing was deleted"
    )]
    TooMany(usize),
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Internal(#[from] Error),
}

impl From<crate::store::Error> for DeleteError {
    fn from(error: crate::store::Error) -> Self {
        DeleteError::Internal(error.into())
    }
}

fn has_algorithm_of(digest: &str, other: &str) -> bool {
    digest.split(':').next() == other.split(':').next()
}

impl Copier {
    /// Whether the target has something that may be what was deleted here.
    async fn is_there(&self, gone: &GoneItem) -> Result<bool, TargetError> {
        if gone.version.is_empty() {
            let sha256 = gone.digests.first().map(|digest| hex_of(digest).to_owned()).unwrap_or_default();
            let file = File { path: gone.artifact.clone(), sha256, ..File::default() };
            return Ok(self.target.file_digests(&[file]).await?.iter().any(Option::is_some));
        }
        for tag in &gone.tags {
            let image = image_of(&gone.artifact);
            let Some(there) = self.target.manifest_digest(image, tag).await? else { continue };
            if gone.digests.contains(&there) {
                return Ok(true);
            }
            for digest in gone.digests.iter().filter(|digest| !has_algorithm_of(digest, &there)) {
                if self.target.manifest_digest_like(image, tag, digest).await?.as_ref() == Some(digest) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Of what was deleted here, that which is still at the target; an error if it is too much.
    pub(super) async fn deletable(&self, gone: Vec<GoneItem>) -> Result<Vec<GoneItem>, DeleteError> {
        let mut found = Vec::new();
        for gone in gone {
            if self.is_there(&gone).await? {
                found.push(gone);
            }
            if found.len() > self.options.max_deletes {
                return Err(DeleteError::TooMany(self.options.max_deletes));
            }
        }
        Ok(found)
    }

    /// Deletes it at the target, where it still is what was put there. `None`: it stays.
    pub(super) async fn delete(&self, gone: &GoneItem) -> Result<Option<Ended>, TargetError> {
        let meter = ArtifactMeter::new(&self.live, &gone.artifact, &gone.version);
        let mut deleted = Vec::new();
        for digest in &gone.digests {
            if gone.version.is_empty() {
                if self.target.delete_file(&gone.artifact, hex_of(digest)).await? {
                    deleted.push((String::new(), digest));
                }
                continue;
            }
            for tag in &gone.tags {
                if self.target.delete_tag(image_of(&gone.artifact), tag, digest).await? {
                    deleted.push((tag.clone(), digest));
                }
            }
        }
        let Some((_, digest)) = deleted.first() else {
            self.live.log("INFO", &format!("{} {} stays: it is another one there", gone.artifact, gone.version));
            return Ok(None);
        };
        let result = ArtifactResultRecord {
            artifact: meter.artifact.artifact.clone(),
            version: meter.artifact.version.clone(),
            digest: (*digest).clone(),
            outcome: ArtifactOutcome::Deleted.into(),
            target_versions: deleted.iter().map(|(tag, _)| tag.clone()).filter(|tag| !tag.is_empty()).collect(),
            ..ArtifactResultRecord::default()
        };
        Ok(Some(Ended { result, is_file: gone.version.is_empty(), is_conflict: false }))
    }

    /// What earlier runs of a task have copied, is still what the task is about, and is gone here.
    pub(super) async fn copied_and_gone(
        &self,
        replication: &Replication,
        task_key: &str,
        selection: &Selection,
    ) -> Result<Vec<GoneItem>, DeleteError> {
        let mut names = Names::default();
        let (mut found, mut known) = (Vec::new(), 0);
        for id in replication.runs_of(task_key).await?.into_iter().rev() {
            let mut range = KeyRange::prefix(&keys::results_of(&id));
            loop {
                let page = replication.store.scan(range.clone(), RESULTS_AT_ONCE).await?;
                let mut copied = Vec::new();
                for (key, record) in &page.records {
                    let result: ArtifactResultRecord = tx::decode(key, &record.value)?;
                    let is_told = matches!(outcome(&result), ArtifactOutcome::Copied | ArtifactOutcome::Deleted);
                    if known < MAX_NAMES && is_told && names.insert(&result.artifact, &result.version) {
                        known += 1;
                        copied.extend(Some(result).filter(|result| outcome(result) == ArtifactOutcome::Copied));
                    }
                }
                copied.retain(|result| is_selected(selection, result));
                found.extend(self.gone_of(copied).await?);
                let last = page.records.last().map(|(key, _)| key.clone());
                let Some(last) = last.filter(|_| page.has_more) else { break };
                range = range.after(&last);
            }
        }
        Ok(found)
    }

    async fn gone_of(&self, copied: Vec<ArtifactResultRecord>) -> Result<Vec<GoneItem>, SourceError> {
        let files = copied.iter().filter(|result| result.version.is_empty());
        let paths: Vec<String> = files.map(|result| result.artifact.clone()).collect();
        let there: HashSet<String> = if paths.is_empty() {
            HashSet::new()
        } else {
            self.source.stat_files(paths).await?.into_iter().map(|file| file.path).collect()
        };
        let mut gone = Vec::new();
        for result in copied {
            let is_gone = if result.version.is_empty() {
                !there.contains(&result.artifact)
            } else {
                match self.source.version(&result.artifact, &result.version).await {
                    Ok(_) => false,
                    Err(SourceError::Gone(_)) => true,
                    Err(error) => return Err(error),
                }
            };
            if is_gone {
                gone.push(GoneItem {
                    artifact: result.artifact,
                    version: result.version,
                    tags: result.target_versions,
                    digests: vec![result.digest],
                });
            }
        }
        Ok(gone)
    }
}

fn is_selected(selection: &Selection, result: &ArtifactResultRecord) -> bool {
    if result.version.is_empty() {
        selection.has_path(&result.artifact)
    } else {
        selection.has_package(&result.artifact)
    }
}

fn hex_of(digest: &str) -> &str {
    digest.strip_prefix("sha256:").unwrap_or(digest)
}

impl Replication {
    /// The ids of the runs of a task, the oldest first.
    pub(super) async fn runs_of(&self, task_key: &str) -> Result<Vec<String>, Error> {
        let found = tx::scan(&*self.store, KeyRange::prefix(&keys::executions_of(task_key)), usize::MAX).await?;
        Ok(found.iter().filter_map(|(key, _)| run_place(key)).map(|(_, id)| id).collect())
    }
}

/// When a run was queued, and its id, from its key in the order of times.
pub(super) fn run_place(key: &Key) -> Option<(u64, String)> {
    let mut reader = KeyReader::new(key);
    reader.text()?;
    Some((reader.number()?, reader.text()?))
}
