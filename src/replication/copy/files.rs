//! Brings files to the target.

use steward_proto::artifact::v1::File;
use steward_proto::replication::v1::{ArtifactOutcome, ConflictStrategy};

use super::super::progress::ArtifactMeter;
use super::super::run_log::Ended;
use super::super::source::SourceError;
use super::super::target::{FilePut, TargetError};
use super::{ATTEMPTS, Copied, Copier, Gone, may_pass, note_pushed, wait_after};

impl Copier {
    /// What the target has of some files; tried again when it cannot be reached.
    pub(in crate::replication) async fn file_digests(
        &self,
        files: &[File],
    ) -> Result<Result<Vec<Option<String>>, TargetError>, Gone> {
        let mut failed = 0;
        loop {
            let asked = tokio::select! {
                () = self.live.halting() => return Err(Gone::Stopped),
                asked = self.target.file_digests(files) => asked,
            };
            let error = match asked {
                Ok(digests) if digests.len() == files.len() => return Ok(Ok(digests)),
                Ok(_) => return Ok(Err(TargetError::Refused("it answers for other files".to_owned()))),
                Err(error) => error,
            };
            failed += 1;
            if failed >= ATTEMPTS || !may_pass(&error) {
                return Ok(Err(error));
            }
            self.live.log("WARN", &format!("{error}; is tried again"));
            tokio::select! {
                () = self.live.halting() => return Err(Gone::Stopped),
                () = tokio::time::sleep(wait_after(&error, failed)) => {}
            }
        }
    }

    /// Copies a file; `there` is what the target has in its place.
    pub(in crate::replication) async fn file(
        &self,
        file: &File,
        there: Result<Option<String>, TargetError>,
    ) -> Result<(Ended, Option<TargetError>), Gone> {
        let meter = ArtifactMeter::new(&self.live, &file.path, "");
        meter.artifact.is(&format!("sha256:{}", file.sha256), u64::try_from(file.size).unwrap_or(0));
        let there = match there {
            Ok(there) => there,
            Err(error) => return Ok((Self::ended(&meter, Copied::failed(&error), true), Some(error))),
        };
        let outcome = self.file_outcome(file, there.as_deref());
        if there.is_some() && outcome != ArtifactOutcome::Unchanged {
            meter.artifact.conflicts();
        }
        match outcome {
            ArtifactOutcome::Copied => {}
            ArtifactOutcome::Failed => {
                let copied = Copied::failed("the target has another file there");
                return Ok((Self::ended(&meter, copied, true), None));
            }
            done => return Ok((Self::ended(&meter, Copied::new(done, Vec::new()), true), None)),
        }
        let mut failed = 0;
        loop {
            let error = match self.put_file(file, there.is_some(), &meter).await {
                Ok(()) => break Ok((Self::ended(&meter, Copied::new(outcome, Vec::new()), true), None)),
                Err(error) => error,
            };
            failed += 1;
            if self.is_worth_another(&error, failed, &meter).await? {
                continue;
            }
            let is_gone = matches!(&error, TargetError::Source(_))
                && matches!(self.source.file(&file.path).await, Err(SourceError::Gone(_)));
            if is_gone {
                self.live.log("INFO", &format!("{} was deleted meanwhile", file.path));
                break Err(Gone::Deleted);
            }
            break Ok((Self::ended(&meter, Copied::failed(&error), true), Some(error)));
        }
    }

    /// What becomes of a file, by what the target has in its place.
    pub(in crate::replication) fn file_outcome(&self, file: &File, there: Option<&str>) -> ArtifactOutcome {
        let Some(there) = there else { return ArtifactOutcome::Copied };
        if there == self.target.file_digest(file, self.options.with_metadata) {
            return ArtifactOutcome::Unchanged;
        }
        match self.options.conflict {
            ConflictStrategy::Overwrite => ArtifactOutcome::Copied,
            ConflictStrategy::FastFail => ArtifactOutcome::Failed,
            ConflictStrategy::Skip | ConflictStrategy::Unspecified => ArtifactOutcome::SkippedConflict,
        }
    }

    async fn put_file(&self, file: &File, overwrite: bool, meter: &ArtifactMeter) -> Result<(), TargetError> {
        let _permit = self.permits.acquire().await.map_err(|_| TargetError::Cancelled)?;
        let source = self.source.file_bytes(file);
        let put = FilePut {
            file,
            with_metadata: self.options.with_metadata,
            overwrite,
            source: &source,
            sessions: &*self.sessions,
            meter,
        };
        note_pushed(meter, self.target.put_file(put).await?);
        Ok(())
    }
}
