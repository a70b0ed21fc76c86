//! Copies the files of one item.

use std::sync::Arc;

use steward_proto::artifact::v1::File;
use steward_proto::replication::v1::{ArtifactOutcome, ErrorStrategy};
use tokio::task::JoinSet;

use super::super::copy::{Copier, Gone};
use super::super::error::Error;
use super::super::run_log::{RunLog, outcome};
use super::{Done, note};

/// Copies some files, as many at a time as may be.
pub(super) async fn copy_files(copier: &Arc<Copier>, log: &Arc<RunLog>, files: Vec<File>) -> Result<Done, Error> {
    let there = match copier.file_digests(&files).await {
        Ok(Ok(there)) => there.into_iter().map(Ok).collect::<Vec<_>>(),
        Ok(Err(error)) => files.iter().map(|_| Err(error.clone())).collect(),
        Err(gone) => return Ok((Vec::new(), gone == Gone::Stopped)),
    };
    let mut left = files.into_iter().zip(there);
    let mut copies: JoinSet<Result<Done, Error>> = JoinSet::new();
    let (mut all, mut is_stopped) = (Vec::new(), false);
    loop {
        while copies.len() < copier.options.parallelism
            && let Some((file, there)) = left.next()
        {
            let (copier, log) = (Arc::clone(copier), Arc::clone(log));
            copies.spawn(async move { note(&log, copier.file(&file, there).await).await });
        }
        let Some(done) = copies.join_next().await else { return Ok((all, is_stopped)) };
        let done = done.map_err(|error| Error::Internal(format!("a file broke off: {error}")))??;
        let has_failed = done.0.iter().any(|(ended, _)| outcome(&ended.result) == ArtifactOutcome::Failed);
        all.extend(done.0);
        is_stopped |= done.1;
        if has_failed && copier.options.error == ErrorStrategy::FastFail {
            return Ok((all, is_stopped));
        }
        if is_stopped {
            left.by_ref().for_each(drop);
        }
    }
}
