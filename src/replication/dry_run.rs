//! Tells what a run would do, without doing it.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt as _, stream};
use steward_proto::artifact::v1::File;
use steward_proto::replication::v1 as api;
use steward_proto::replication::v1::plan_execution_response::Part;
use steward_proto::replication::v1::{ArtifactOutcome, ConflictStrategy};
use steward_proto::store::v1::ExecutionRecord;
use tokio::sync::{Semaphore, mpsc};

use super::copy::{Copier, size_of};
use super::deletes::DeleteError;
use super::error::Error;
use super::executions::number;
use super::job::{Job, Options};
use super::parts::Replication;
use super::placed::Placed;
use super::plan::{Extent, Item, PlanError, Planner, VersionItem};
use super::progress::LiveRun;
use super::queue::TaskId;
use super::select::Selection;
use super::source::Source;
use super::target::{BlobRef, Session, Sessions, Target, TargetError};
use super::walk::walk;

/// How many items of the plan wait.
const WAITING_ITEMS: usize = 16;

/// What a dry run tells.
pub(super) type Parts = BoxStream<'static, Result<api::PlanExecutionResponse, Error>>;

/// Keeps nothing: a dry run sends nothing.
struct NoSessions;

#[async_trait]
impl Sessions for NoSessions {
    async fn load(&self, _place: &str, _digest: &str) -> Result<Option<Session>, TargetError> {
        Ok(None)
    }

    async fn save(&self, _place: &str, _digest: &str, _session: &Session) -> Result<(), TargetError> {
        Ok(())
    }

    async fn clear(&self, _place: &str, _digest: &str) -> Result<(), TargetError> {
        Ok(())
    }
}

/// A dry run.
struct DryRun {
    replication: Replication,
    job: Job,
    selection: Selection,
    copier: Copier,
    parts: mpsc::Sender<Result<api::PlanExecutionResponse, Error>>,
    summary: api::PlanSummary,
    planned: usize,
}

impl Replication {
    /// What a run of a task would do.
    pub(super) async fn plan_execution(&self, task: &TaskId) -> Result<Parts, Error> {
        let job = self.job(task).await?;
        let selection = Selection::of(&job.config).map_err(|problem| Error::invalid("constraints", problem))?;
        let target = self.target_of(&job).await;
        let target = target.map_err(|error| unreachable(&task.to_string(), &error))?;
        let (parts, receiver) = mpsc::channel(WAITING_ITEMS);
        let dry_run = DryRun {
            copier: self.dry_copier(&job, target),
            replication: self.clone(),
            selection,
            parts,
            summary: api::PlanSummary::default(),
            planned: 0,
            job,
        };
        let (shutdown, name) = (self.shutdown.clone(), task.to_string());
        self.tasks.spawn(async move {
            let parts = dry_run.parts.clone();
            let result = tokio::select! {
                () = shutdown.cancelled() => Err(Error::ShuttingDown),
                () = parts.closed() => return,
                result = dry_run.run(&name) => result,
            };
            if let Err(error) = result {
                // Whoever has gone away needs no error.
                let _ = parts.send(Err(error)).await;
            }
        });
        let stream = stream::unfold(receiver, |mut receiver| async move {
            let part = receiver.recv().await?;
            Some((part, receiver))
        });
        Ok(stream.boxed())
    }

    fn dry_copier(&self, job: &Job, target: Arc<dyn Target>) -> Copier {
        let none = ExecutionRecord::default();
        let options = Options::of(&job.config);
        Copier {
            source: Source::new(self.artifacts.clone(), &job.record.project, &job.record.repository),
            target,
            sessions: Arc::new(NoSessions),
            live: Arc::new(LiveRun::new(&none, Arc::clone(&self.clock), self.shutdown.clone())),
            options,
            placed: Placed::default(),
            permits: Semaphore::new(options.parallelism),
        }
    }
}

/// A target that does not answer, as callers are told.
fn unreachable(name: &str, error: &TargetError) -> Error {
    let (name, problem) = (name.to_owned(), error.to_string());
    match error {
        TargetError::Tls(_) => Error::Tls { name, problem },
        TargetError::Forbidden(_) => Error::TargetForbidden(problem),
        TargetError::Unreachable(_)
        | TargetError::Denied(_)
        | TargetError::Busy { .. }
        | TargetError::Refused(_)
        | TargetError::Mismatch(_)
        | TargetError::Source(_)
        | TargetError::Cancelled => Error::Unreachable { name, problem },
    }
}

/// Whether the rest can still be told after an error.
fn is_about_one(error: &TargetError) -> bool {
    matches!(error, TargetError::Refused(_) | TargetError::Mismatch(_) | TargetError::Source(_))
}

impl DryRun {
    async fn run(mut self, name: &str) -> Result<(), Error> {
        let (items, mut plan) = mpsc::channel(WAITING_ITEMS);
        let (source, selection) =
            (self.copier.source.clone(), std::mem::replace(&mut self.selection, Selection::Whole));
        let planner = Planner { source: &source, selection: &selection, items };
        let planning = async move { planner.plan(Extent::Full).await };
        let telling = async {
            while let Some(item) = plan.recv().await {
                self.tell(item).await.map_err(|error| unreachable(name, &error))?;
            }
            Ok::<_, Error>(())
        };
        let (planned, told) = tokio::join!(planning, telling);
        told?;
        if let Err(PlanError::Source(error)) = planned {
            return Err(Error::Internal(format!("the repository cannot be read: {error}")));
        }
        if self.copier.options.propagate_deletes && self.planned > 0 {
            self.tell_deletes(name, &selection).await?;
        }
        let summary = Part::Summary(self.summary);
        let _ = self.parts.send(Ok(api::PlanExecutionResponse { part: Some(summary) })).await;
        Ok(())
    }

    async fn tell(&mut self, item: Item) -> Result<(), TargetError> {
        match item {
            Item::Version(item) => {
                let planned = match self.version(&item).await {
                    Ok(planned) => planned,
                    Err(error) if is_about_one(&error) => {
                        refused(&item.key, &item.tag, &error.to_string(), item.tags.clone())
                    }
                    Err(error) => return Err(error),
                };
                self.send(planned).await;
            }
            Item::Files(files) => self.files(&files).await?,
            Item::Missing { artifact, version, reason } => {
                self.send(refused(&artifact, &version, &reason, Vec::new())).await;
            }
            Item::Gone(_) => {}
        }
        Ok(())
    }

    async fn version(&self, item: &VersionItem) -> Result<api::PlannedArtifact, TargetError> {
        let (root, compared) = self.copier.compare(item).await?;
        let mut planned = api::PlannedArtifact {
            artifact: item.key.clone(),
            version: item.tag.clone(),
            digest: root.manifest.digest.clone(),
            size: number(size_of(&root.manifest)),
            target_versions: item.tags.clone(),
            ..api::PlannedArtifact::default()
        };
        let has_other = !compared.other.is_empty();
        let stays = has_other && self.copier.options.conflict != ConflictStrategy::Overwrite;
        if stays {
            planned.reason = format!("the target has another manifest under {}", compared.other.join(", "));
        }
        if stays && self.copier.options.conflict == ConflictStrategy::FastFail {
            planned.set_outcome(ArtifactOutcome::Failed);
            return Ok(planned);
        }
        if stays && compared.same.is_empty() && compared.absent.is_empty() {
            planned.set_outcome(ArtifactOutcome::SkippedConflict);
            return Ok(planned);
        }
        let is_new = !compared.absent.is_empty() || (has_other && !stays);
        let tree = walk(&self.copier.source, &item.image, &root, self.copier.options.with_referrers).await?;
        planned.size = number(tree.size);
        let mut missing = Vec::new();
        if is_new {
            missing = self.missing(&item.image, &tree.blobs).await?;
        }
        let mut has_new_referrers = false;
        for node in &tree.referrers {
            let there = self.copier.target.manifest_digest(&item.image, &node.manifest.digest).await?;
            has_new_referrers |= there.is_none();
        }
        if has_new_referrers {
            missing.extend(self.missing(&item.image, &tree.referrer_blobs).await?);
        }
        planned.missing_blobs = i32::try_from(missing.len()).unwrap_or(i32::MAX);
        planned.missing_bytes = number(missing.iter().map(|blob| blob.size).sum());
        let is_copied = is_new || has_new_referrers;
        planned.set_outcome(if is_copied { ArtifactOutcome::Copied } else { ArtifactOutcome::Unchanged });
        Ok(planned)
    }

    /// What is missing of some blobs; an image that a target does not have yet lacks them all.
    async fn missing(&self, image: &str, blobs: &[BlobRef]) -> Result<Vec<BlobRef>, TargetError> {
        let missing = self.copier.missing(image, blobs).await?;
        // What this run would have brought by then it brings once.
        for blob in &missing {
            self.copier.placed.note(&blob.digest, image);
        }
        Ok(missing)
    }

    async fn files(&mut self, files: &[File]) -> Result<(), TargetError> {
        let there = self.copier.target.file_digests(files).await?;
        for (file, there) in files.iter().zip(there) {
            let outcome = self.copier.file_outcome(file, there.as_deref());
            let mut planned = api::PlannedArtifact {
                artifact: file.path.clone(),
                digest: format!("sha256:{}", file.sha256),
                size: file.size,
                ..api::PlannedArtifact::default()
            };
            match outcome {
                ArtifactOutcome::Copied => (planned.missing_bytes, planned.missing_blobs) = (file.size, 1),
                ArtifactOutcome::Failed | ArtifactOutcome::SkippedConflict => {
                    "the target has another file there".clone_into(&mut planned.reason);
                }
                ArtifactOutcome::Unspecified | ArtifactOutcome::Unchanged | ArtifactOutcome::Deleted => {}
            }
            planned.set_outcome(outcome);
            self.send(planned).await;
        }
        Ok(())
    }

    async fn tell_deletes(&mut self, name: &str, selection: &Selection) -> Result<(), Error> {
        let gone = self.copier.copied_and_gone(&self.replication, &self.job.record.key, selection).await;
        let deletable = match gone {
            Ok(gone) => self.copier.deletable(gone).await,
            Err(error) => Err(error),
        };
        let deletable = match deletable {
            Ok(deletable) => deletable,
            Err(DeleteError::Internal(error)) => return Err(error),
            Err(DeleteError::Target(error)) => return Err(unreachable(name, &error)),
            Err(error @ (DeleteError::TooMany(_) | DeleteError::Source(_))) => {
                self.send(refused("", "", &error.to_string(), Vec::new())).await;
                return Ok(());
            }
        };
        for gone in deletable {
            let mut planned = api::PlannedArtifact {
                artifact: gone.artifact,
                version: gone.version,
                digest: gone.digests.into_iter().next().unwrap_or_default(),
                target_versions: gone.tags,
                ..api::PlannedArtifact::default()
            };
            planned.set_outcome(ArtifactOutcome::Deleted);
            self.send(planned).await;
        }
        Ok(())
    }

    async fn send(&mut self, planned: api::PlannedArtifact) {
        let summary = &mut self.summary;
        match planned.outcome() {
            ArtifactOutcome::Copied | ArtifactOutcome::Unspecified => summary.copied += 1,
            ArtifactOutcome::Unchanged => summary.unchanged += 1,
            ArtifactOutcome::SkippedConflict => summary.skipped += 1,
            ArtifactOutcome::Failed => summary.refused += 1,
            ArtifactOutcome::Deleted => summary.deleted += 1,
        }
        self.planned += 1;
        summary.total_bytes = summary.total_bytes.saturating_add(planned.size);
        summary.missing_bytes = summary.missing_bytes.saturating_add(planned.missing_bytes);
        // Without a listener the whole dry run ends.
        let part = Some(Part::Artifact(planned));
        let _ = self.parts.send(Ok(api::PlanExecutionResponse { part })).await;
    }
}

fn refused(artifact: &str, version: &str, reason: &str, target_versions: Vec<String>) -> api::PlannedArtifact {
    let mut planned = api::PlannedArtifact {
        artifact: artifact.to_owned(),
        version: version.to_owned(),
        reason: reason.to_owned(),
        target_versions,
        ..api::PlannedArtifact::default()
    };
    planned.set_outcome(ArtifactOutcome::Failed);
    planned
}
