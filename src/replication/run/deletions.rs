//! Deletes at the target, at the end of a run, what is gone here.

use super::super::deletes::DeleteError;
use super::super::error::Error;
use super::super::plan::Extent;
use super::super::target::TargetError;
use super::{End, Run, Tally};

impl Run<'_> {
    /// Deletes at the target what is gone here, if the task says so.
    pub(super) async fn delete(&self, tally: Tally) -> Result<End, Error> {
        if !self.copier.options.propagate_deletes {
            return Ok(End::Success);
        }
        // What this run has copied counts too.
        self.log.flush().await?;
        match self.try_delete(tally).await {
            Ok(()) => Ok(End::Success),
            Err(DeleteError::Internal(error)) => Err(error),
            Err(DeleteError::Target(TargetError::Cancelled)) => Ok(End::Stopped),
            Err(error) => Ok(End::failed(&error)),
        }
    }

    async fn try_delete(&self, tally: Tally) -> Result<(), DeleteError> {
        let copier = &self.copier;
        let gone = match self.extent {
            Extent::Changes { .. } if tally.has_too_many_gone => {
                return Err(DeleteError::TooMany(copier.options.max_deletes));
            }
            Extent::Changes { .. } => tally.gone,
            Extent::Full => copier.copied_and_gone(self.replication, &self.record.task_key, &self.selection).await?,
        };
        for gone in copier.deletable(gone).await? {
            if copier.live.halted().is_some() {
                return Err(TargetError::Cancelled.into());
            }
            if let Some(ended) = copier.delete(&gone).await? {
                self.log.end(ended).await?;
            }
        }
        Ok(())
    }
}
