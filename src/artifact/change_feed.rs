//! Changes for those who follow them.

use futures::{FutureExt as _, StreamExt as _};
use steward_proto::store::v1::{ArtifactChangeRecord, RepositoryRecord};
use tokio::sync::mpsc;

use super::artifacts::Artifacts;
use super::error::Error;
use super::keys;
use crate::places::Place;
use crate::store::tx;
use crate::store::{self, ChangeSet, KeyRange};

/// How many changes wait for a slow reader; then the watch waits too.
const BUFFERED: usize = 64;
/// How many changes are read at a time for a watch, and for who may not see all of them.
pub(super) const AT_A_TIME: usize = 256;
/// After so much silence it is looked whether the repository is still there.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_secs(30);

/// A change and its stamp.
pub(super) type Stamped = (u64, ArtifactChangeRecord);

/// Some of the changes of a repository.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Feed {
    /// They, in the order of their stamps.
    pub(super) changes: Vec<Stamped>,
    /// Where to go on.
    pub(super) last_stamp: u64,
    /// There are further ones behind these.
    pub(super) has_more: bool,
}

impl Artifacts {
    /// Lists up to `limit` changes of a repository behind a stamp; 0: from the first that is kept.
    pub(super) async fn list_changes(
        &self,
        (project, name): (&str, &str),
        after: u64,
        limit: usize,
    ) -> Result<Feed, Error> {
        let repository = self.get_repository(project, name).await?.id;
        self.changes_behind(repository, after, limit).await
    }

    async fn changes_behind(&self, repository: u64, after: u64, limit: usize) -> Result<Feed, Error> {
        // All up to this one can be read by now.
        let settled = self.stamps.settled(self.now_us());
        let range = KeyRange::prefix(&keys::changes_of(repository)).after(&keys::change(repository, after));
        let found = tx::scan(&*self.store, range, limit.saturating_add(1)).await?;
        let mut changes = Vec::with_capacity(found.len());
        for (key, value) in found {
            match keys::stamp_of(&key) {
                Some(stamp) if stamp <= settled => changes.push((stamp, tx::decode(&key, &value)?)),
                Some(_) | None => break,
            }
        }
        self.store.settled().await?;
        self.check_kept(after)?;
        let has_more = changes.len() > limit;
        changes.truncate(limit);
        let last_stamp = match changes.last() {
            Some((stamp, _)) if has_more => *stamp,
            Some(_) | None => settled.max(after),
        };
        Ok(Feed { changes, last_stamp, has_more })
    }

    /// Refuses a stamp behind which a sweep may have removed something. Looked at after reading, as that may have
    /// happened meanwhile.
    fn check_kept(&self, after: u64) -> Result<(), Error> {
        let retention = u64::try_from(self.settings.change_retention.as_micros()).unwrap_or(u64::MAX);
        let is_old = after < self.now_us().saturating_sub(retention);
        if after != 0 && is_old { Err(Error::Compacted(after)) } else { Ok(()) }
    }

    /// Watches the changes of a repository behind a stamp; `None`: from now on. The watch ends when its receiver is
    /// dropped, at shutdown, with the repository, and with an error.
    pub(super) async fn watch_changes(
        &self,
        (project, name): (&str, &str),
        after: Option<u64>,
        permit: Place,
    ) -> Result<mpsc::Receiver<Result<Stamped, Error>>, Error> {
        let repository = self.get_repository(project, name).await?;
        if let Some(after) = after {
            self.check_kept(after)?;
        }
        let after = after.unwrap_or_else(|| self.stamps.settled(self.now_us()));
        let (sender, changes) = mpsc::channel(BUFFERED);
        let (artifacts, shutdown) = (self.clone(), self.shutdown.clone());
        self.tasks.spawn(async move {
            let _permit = permit;
            tokio::select! {
                () = sender.closed() => {}
                () = shutdown.cancelled() => {
                    // A reader that is behind finds the end of the stream instead.
                    let _ = sender.try_send(Err(Error::ShuttingDown));
                }
                error = artifacts.feed(&repository, after, &sender) => {
                    let _ = sender.send(Err(error)).await;
                }
            }
        });
        Ok(changes)
    }

    /// Sends changes until it cannot go on.
    async fn feed(
        &self,
        repository: &RepositoryRecord,
        mut after: u64,
        sender: &mpsc::Sender<Result<Stamped, Error>>,
    ) -> Error {
        loop {
            // From here on nothing is missed, so what was before can be read.
            let prefix = keys::changes_of(repository.id);
            let mut wakes = self.store.watch_with_progress(prefix, self.store.revision(), Some(LOOK_EVERY));
            loop {
                if let Err(error) = self.send_behind(repository, &mut after, sender).await {
                    return error;
                }
                match wakes.next().await {
                    Some(Ok(set)) => {
                        let mut newest = newest_of(&set);
                        while let Some(Some(Ok(set))) = wakes.next().now_or_never() {
                            newest = newest.max(newest_of(&set));
                        }
                        // It is committed, but its stamp may be let go a moment later, and then nobody would wake us.
                        self.stamps.settle(newest).await;
                    }
                    Some(Err(store::Error::Compacted { .. })) => break,
                    Some(Err(error)) => return error.into(),
                    None => return Error::ShuttingDown,
                }
            }
        }
    }

    async fn send_behind(
        &self,
        repository: &RepositoryRecord,
        after: &mut u64,
        sender: &mpsc::Sender<Result<Stamped, Error>>,
    ) -> Result<(), Error> {
        loop {
            let there = self.get_repository(&repository.project, &repository.name).await?;
            if there.id != repository.id {
                return Err(Error::RepositoryNotFound(repository.name.clone()));
            }
            let found = self.changes_behind(repository.id, *after, AT_A_TIME).await?;
            for change in found.changes {
                // A reader that has gone is noticed by the task.
                let _ = sender.send(Ok(change)).await;
            }
            *after = found.last_stamp;
            if !found.has_more {
                return Ok(());
            }
        }
    }
}

/// The newest stamp of a commit.
fn newest_of(set: &ChangeSet) -> u64 {
    set.changes.iter().filter_map(|change| keys::stamp_of(&change.key)).max().unwrap_or(0)
}

#[cfg(test)]
mod tests;
