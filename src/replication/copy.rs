//! Brings artifacts to the target: what is new of them, and the manifest that names the rest last.

mod blobs;
mod files;

use std::sync::Arc;
use std::time::Duration;

use steward_proto::artifact::v1::Manifest;
use steward_proto::replication::v1::{ArtifactOutcome, ConflictStrategy};
use steward_proto::store::v1::ArtifactResultRecord;
use tokio::sync::Semaphore;

use super::job::Options;
use super::placed::Placed;
use super::plan::VersionItem;
use super::progress::{ArtifactMeter, LiveRun, cut, rest};
use super::run_log::Ended;
use super::source::{Source, SourceError};
use super::target::{ManifestPut, Meter as _, Pushed, Sessions, Target, TargetError};
use super::walk::{Node, Tree, walk};

/// How often an artifact is tried.
const ATTEMPTS: u32 = 3;
/// How long a target that is busy is waited for at most.
const LONGEST_WAIT: Duration = Duration::from_mins(5);
/// Of how many blobs a target is asked at a time.
const BLOBS_AT_ONCE: usize = 500;
/// How many bytes of tags a result names.
const MAX_TAG_BYTES: usize = 1_536;

/// Copies from one repository to one target.
pub(super) struct Copier {
    pub(super) source: Source,
    pub(super) target: Arc<dyn Target>,
    pub(super) sessions: Arc<dyn Sessions>,
    pub(super) live: Arc<LiveRun>,
    pub(super) options: Options,
    pub(super) placed: Placed,
    /// Blobs that may be sent at the same time.
    pub(super) permits: Semaphore,
}

/// What an artifact came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Copied {
    pub(super) outcome: ArtifactOutcome,
    pub(super) error: String,
    /// The tags that are at the target.
    pub(super) tags: Vec<String>,
}

impl Copied {
    pub(super) fn new(outcome: ArtifactOutcome, tags: Vec<String>) -> Self {
        Copied { outcome, error: String::new(), tags }
    }

    pub(super) fn failed(error: &(impl ToString + ?Sized)) -> Self {
        Copied { outcome: ArtifactOutcome::Failed, error: error.to_string(), tags: Vec::new() }
    }
}

/// What the target has of the tags that a version is to have.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// Those that name the same manifest.
    pub(super) same: Vec<String>,
    /// Those that are not there.
    pub(super) absent: Vec<String>,
    /// Those that name another one.
    pub(super) other: Vec<String>,
}

/// Whether an error may be gone the next time.
pub(super) fn may_pass(error: &TargetError) -> bool {
    matches!(error, TargetError::Unreachable(_) | TargetError::Busy { .. })
}

/// How long to wait after an error that so many attempts have ended with.
pub(super) fn wait_after(error: &TargetError, failed: u32) -> Duration {
    match error {
        TargetError::Busy { after: Some(after), .. } => (*after).min(LONGEST_WAIT).max(rest(1)),
        _ => rest(failed),
    }
}

impl Copier {
    /// Copies a version.
    pub(super) async fn version(self: &Arc<Self>, item: &VersionItem) -> Result<(Ended, Option<TargetError>), Gone> {
        let meter = Arc::new(ArtifactMeter::new(&self.live, &item.key, &item.tag));
        let mut failed = 0;
        loop {
            let error = match self.try_version(item, &meter).await {
                Ok(copied) => return Ok((Self::ended(&meter, copied, false), None)),
                Err(error) => error,
            };
            failed += 1;
            if self.is_worth_another(&error, failed, &meter).await? {
                continue;
            }
            if matches!(error, TargetError::Source(_)) && self.is_gone(item).await {
                self.live.log("INFO", &format!("{} {} was deleted meanwhile", item.key, item.tag));
                return Err(Gone::Deleted);
            }
            return Ok((Self::ended(&meter, Copied::failed(&error), false), Some(error)));
        }
    }

    async fn is_gone(&self, item: &VersionItem) -> bool {
        matches!(self.source.manifest_digest(&item.image, &item.tag).await, Ok(None))
    }

    /// Waits until something can be tried again, if it can.
    async fn is_worth_another(&self, error: &TargetError, failed: u32, meter: &ArtifactMeter) -> Result<bool, Gone> {
        if self.live.halted().is_some() || matches!(error, TargetError::Cancelled) {
            return Err(Gone::Stopped);
        }
        if failed >= ATTEMPTS || !may_pass(error) {
            return Ok(false);
        }
        let wait = wait_after(error, failed);
        meter.log("WARN", format!("{error}; is tried again in {:.1} s", wait.as_secs_f64()));
        tokio::select! {
            () = self.live.halting() => Err(Gone::Stopped),
            () = tokio::time::sleep(wait) => Ok(true),
        }
    }

    /// What an artifact came to, as it is recorded.
    fn ended(meter: &ArtifactMeter, copied: Copied, is_file: bool) -> Ended {
        let (live, figures) = (&meter.artifact, meter.artifact.figures());
        if !copied.error.is_empty() {
            meter.log("ERROR", copied.error.clone());
        }
        let mut room = MAX_TAG_BYTES;
        let mut tags = copied.tags;
        tags.retain(|tag| {
            let fits = tag.len() <= room;
            room = room.saturating_sub(tag.len());
            fits
        });
        let result = ArtifactResultRecord {
            artifact: live.artifact.clone(),
            version: live.version.clone(),
            digest: figures.digest,
            size: figures.size,
            sent: figures.sent,
            resumed_from: figures.resumed_from,
            mounted: figures.mounted,
            outcome: copied.outcome.into(),
            error: cut(&copied.error).to_owned(),
            end_us: 0,
            target_versions: tags,
        };
        Ended { result, is_file, is_conflict: figures.is_conflict }
    }

    /// The tagged manifest here, and what the target has under the tags that it is to have.
    pub(super) async fn compare(&self, item: &VersionItem) -> Result<(Node, Compared), TargetError> {
        let (manifest, content) = match self.source.manifest(&item.image, &item.tag).await {
            Ok(found) => found,
            Err(SourceError::Gone(_)) => {
                let problem = format!("version {:?} of package {:?} not found", item.tag, item.key);
                return Err(TargetError::Source(problem));
            }
            Err(error) => return Err(error.into()),
        };
        let mut compared = Compared::default();
        for tag in &item.tags {
            let there = self.target.manifest_digest_like(&item.image, tag, &manifest.digest).await?;
            let list = match there {
                None => &mut compared.absent,
                Some(digest) if digest == manifest.digest => &mut compared.same,
                Some(_) => &mut compared.other,
            };
            list.push(tag.clone());
        }
        Ok((Node::new(manifest, content), compared))
    }

    async fn try_version(
        self: &Arc<Self>,
        item: &VersionItem,
        meter: &Arc<ArtifactMeter>,
    ) -> Result<Copied, TargetError> {
        let (root, compared) = self.compare(item).await?;
        meter.artifact.is(&root.manifest.digest, size_of(&root.manifest));
        if !compared.other.is_empty() {
            meter.artifact.conflicts();
        }
        let mut tags = compared.absent.clone();
        match self.options.conflict {
            ConflictStrategy::FastFail if !compared.other.is_empty() => {
                return Ok(Copied::failed(&conflict(&compared.other)));
            }
            ConflictStrategy::Overwrite => tags.extend(compared.other.iter().cloned()),
            ConflictStrategy::Skip | ConflictStrategy::FastFail | ConflictStrategy::Unspecified => {}
        }
        if tags.is_empty() && compared.same.is_empty() {
            meter.log("WARN", conflict(&compared.other));
            return Ok(Copied::new(ArtifactOutcome::SkippedConflict, Vec::new()));
        }
        let tree = walk(&self.source, &item.image, &root, self.options.with_referrers).await?;
        meter.artifact.is(&root.manifest.digest, tree.size);
        let has_put = if tags.is_empty() {
            self.put_referrers(item, &root, &tree, meter).await?
        } else {
            self.put_version(item, &root, &tree, &tags, meter).await?
        };
        if self.options.checks_again {
            self.check_again(item, &root.manifest, &tree).await?;
        }
        let outcome = if has_put { ArtifactOutcome::Copied } else { ArtifactOutcome::Unchanged };
        tags.extend(compared.same);
        Ok(Copied::new(outcome, tags))
    }

    /// Puts all of a version, the tagged manifest last of what it consists of, and what refers to it behind that.
    async fn put_version(
        self: &Arc<Self>,
        item: &VersionItem,
        root: &Node,
        tree: &Tree,
        tags: &[String],
        meter: &Arc<ArtifactMeter>,
    ) -> Result<bool, TargetError> {
        self.push_blobs(&item.image, &tree.blobs, meter).await?;
        for child in &tree.children {
            self.put_manifest(item, child, &[]).await?;
        }
        let now = self.source.manifest_digest(&item.image, &item.tag).await?;
        if now.as_ref() != Some(&root.manifest.digest) {
            // What was read is complete and goes by its digest, so it may be published all the same.
            meter.log("INFO", format!("was moved or deleted while {} was copied", root.manifest.digest));
        }
        self.put_manifest(item, root, tags).await?;
        self.put_referrers(item, root, tree, meter).await?;
        Ok(true)
    }

    /// Puts what refers to a version and is not there. Whether anything was missing.
    async fn put_referrers(
        self: &Arc<Self>,
        item: &VersionItem,
        root: &Node,
        tree: &Tree,
        meter: &Arc<ArtifactMeter>,
    ) -> Result<bool, TargetError> {
        if tree.referrers.is_empty() {
            return Ok(false);
        }
        // Another tag of the same manifest may be about to bring them.
        let _alone = self.placed.alone(&format!("{} {}", item.image, root.manifest.digest)).await;
        let mut missing = Vec::new();
        for node in &tree.referrers {
            let digest = &node.manifest.digest;
            if self.target.manifest_digest(&item.image, digest).await?.is_none() {
                missing.push(node);
            }
        }
        if missing.is_empty() {
            return Ok(false);
        }
        self.push_blobs(&item.image, &tree.referrer_blobs, meter).await?;
        for node in missing {
            self.put_manifest(item, node, &[]).await?;
        }
        Ok(true)
    }

    async fn put_manifest(&self, item: &VersionItem, node: &Node, tags: &[String]) -> Result<(), TargetError> {
        let content = node.content(&self.source, &item.image).await?;
        let none = std::collections::HashMap::new();
        let metadata = if self.options.with_metadata && !tags.is_empty() { &item.metadata } else { &none };
        let put = ManifestPut { image: &item.image, manifest: &node.manifest, content: &content, tags, metadata };
        self.target.put_manifest(put).await
    }

    /// Asks the target for all of a version once more.
    async fn check_again(&self, item: &VersionItem, root: &Manifest, tree: &Tree) -> Result<(), TargetError> {
        let nodes = tree.children.iter().chain(&tree.referrers).map(|node| &node.manifest);
        for manifest in nodes.chain([root]) {
            let digest = self.target.manifest_digest(&item.image, &manifest.digest).await?;
            if digest.as_ref() != Some(&manifest.digest) {
                return Err(TargetError::Mismatch(format!("manifest {} is not at the target", manifest.digest)));
            }
        }
        for blobs in [&tree.blobs, &tree.referrer_blobs] {
            for batch in blobs.chunks(BLOBS_AT_ONCE) {
                if let Some(missing) = self.target.missing_blobs(&item.image, batch).await?.first() {
                    return Err(TargetError::Mismatch(format!("blob {} is not at the target", missing.digest)));
                }
            }
        }
        Ok(())
    }

    /// Something that is asked for and is not there.
    pub(super) fn missing_artifact(&self, artifact: &str, version: &str, reason: &str) -> Ended {
        let meter = ArtifactMeter::new(&self.live, artifact, version);
        Self::ended(&meter, Copied::failed(reason), artifact.starts_with('/'))
    }
}

/// Why an artifact has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    /// It was deleted here while the run was under way.
    Deleted,
    /// The run is to stop.
    Stopped,
}

fn note_pushed(meter: &ArtifactMeter, pushed: Pushed) {
    meter.artifact.pushed(pushed.resumed_from, pushed.mounted);
}

fn conflict(tags: &[String]) -> String {
    format!("the target has another manifest under {}", tags.join(", "))
}

/// The bytes of a manifest and of what it names itself.
pub(super) fn size_of(manifest: &Manifest) -> u64 {
    u64::try_from(manifest.size.saturating_add(manifest.content_size)).unwrap_or(0)
}
