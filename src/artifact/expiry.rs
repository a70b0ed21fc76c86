//! Files that end by themselves.

use async_trait::async_trait;
use steward_proto::store::v1::FileRecord;

use super::artifacts::Artifacts;
use super::error::Error;
use super::file_path::parent;
use super::files::is_live;
use super::folders::ROOT;
use super::keys;
use crate::clock::Timestamp;
use crate::engine::{self, Engine};
use crate::store::tx;
use crate::store::{Key, KeyRange, Table};

/// How many files that are due are read at a time.
const AT_A_TIME: usize = 256;

impl Artifacts {
    /// Starts what files need: those whose time is over are deleted.
    pub(crate) fn start_files(&self) {
        let engine = FileExpiryEngine { artifacts: self.clone() };
        let (store, clock, shutdown) = (self.store.clone(), self.clock.clone(), self.shutdown.clone());
        self.tasks.spawn(engine::run(engine, store, clock, shutdown));
    }

    /// Deletes a file whose time is over, and what says that it will be.
    async fn expire_file(&self, expire_us: u64, repository: u64, path: String) -> Result<(), Error> {
        let artifacts = self.clone();
        self.to_the_end(async move { artifacts.expire_to_the_end(expire_us, repository, &path).await }).await
    }

    async fn expire_to_the_end(&self, expire_us: u64, repository: u64, path: &str) -> Result<(), Error> {
        let stamp = &self.stamps.take(self.now_us());
        let decided = self.decide("a file", |mut tx| async move {
            let there: Option<FileRecord> = tx.get(&keys::file(repository, path)).await?;
            // It may have been put anew, or be gone with its repository.
            let there = there.filter(|there| there.expire_us == expire_us && !is_live(there, self.now_us()));
            match &there {
                Some(there) => tx.remove_file(repository, path, there, stamp)?,
                None => tx.delete(keys::file_expiry(expire_us, repository, path)),
            }
            Ok::<_, Error>(tx.answer(there.is_some()))
        });
        if decided.await?.0 {
            self.leave_folder(repository, parent(path).unwrap_or(ROOT)).await?;
        }
        Ok(())
    }
}

/// Deletes files whose time is over.
struct FileExpiryEngine {
    artifacts: Artifacts,
}

#[async_trait]
impl Engine for FileExpiryEngine {
    type Error = Error;

    fn name(&self) -> &'static str {
        "artifact_file_expiry"
    }

    fn wakes_on(&self) -> Key {
        Key::table(Table::ArtifactFileExpiry)
    }

    async fn activate(&mut self) -> Result<Option<Timestamp>, Error> {
        let range = KeyRange::prefix(&Key::table(Table::ArtifactFileExpiry));
        let due = tx::scan(&*self.artifacts.store, range, AT_A_TIME).await?;
        let is_full = due.len() == AT_A_TIME;
        for (key, _) in due {
            let Some((expire_us, repository, path)) = keys::expiry_of(&key) else { continue };
            if expire_us > self.artifacts.now_us() {
                return Ok(Some(time_of(expire_us)));
            }
            self.artifacts.expire_file(expire_us, repository, path).await?;
        }
        Ok(is_full.then(|| self.artifacts.clock.now()))
    }
}

fn time_of(micros: u64) -> Timestamp {
    Timestamp::from_nanos(i64::try_from(micros).unwrap_or(i64::MAX).saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::files::Put;
    use super::super::testing::{World, at};
    use super::*;
    use crate::auth::Identity;
    use crate::places::Places;

    #[tokio::test]
    async fn a_file_ends_when_its_time_is_over_and_leaves_nothing() {
        let world = World::with_repository().await;
        let id = world.id().await;
        let expire_us = world.artifacts.now_us() + 60_000_000;
        let put = Put { expire_us, ..world.new_put("/dir/a.txt") };
        let digest = world.put_as(put, b"a").await.expect("put").0.digest;
        world.put("/dir/b.txt", b"b").await;
        let permit = Places::new(1).take(&Identity::default()).expect("a place");
        let mut changes = world.artifacts.watch_changes(("p1", "r1"), Some(0), permit).await.expect("a watch");
        world.artifacts.start_files();

        world.clock.advance(Duration::from_mins(1));

        let gone = world.artifacts.get_file(&at("/dir/a.txt")).await;
        assert!(matches!(gone, Err(Error::FileNotFound(_))), "at once, whenever the engine comes");
        let last = loop {
            let (_, change) = changes.recv().await.expect("a change").expect("a watch that goes on");
            if change.digest.is_empty() {
                break change;
            }
        };
        assert!(world.bytes(&keys::file(id, "/dir/a.txt")).await.is_none());
        assert!(world.bytes(&keys::file_expiry(expire_us, id, "/dir/a.txt")).await.is_none());
        assert_eq!(world.uses(&digest).await, 0);
        assert_eq!((last.path.as_str(), last.digest.as_str(), last.before), ("/dir/a.txt", "", digest));
        assert!(world.artifacts.get_file(&at("/dir/b.txt")).await.is_ok());
    }

    #[tokio::test]
    async fn a_file_that_was_put_anew_does_not_end_with_the_old_one() {
        let world = World::with_repository().await;
        let id = world.id().await;
        let soon = world.artifacts.now_us() + 60_000_000;
        let put = Put { expire_us: soon, ..world.new_put("/a.txt") };
        world.put_as(put, b"a").await.expect("put");
        world.put("/a.txt", b"b").await;
        assert!(world.bytes(&keys::file_expiry(soon, id, "/a.txt")).await.is_none());
        world.clock.advance(Duration::from_mins(2));

        world.artifacts.expire_file(soon, id, "/a.txt".to_owned()).await.expect("nothing to do");

        assert!(world.artifacts.get_file(&at("/a.txt")).await.is_ok());
    }
}
