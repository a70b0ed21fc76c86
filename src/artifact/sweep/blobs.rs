//! Rounds over all blobs: first those that images know and nothing consists of, then those that nothing needs. The
//! first round also finds files that a crash left without a record.

use std::time::Duration;

use async_trait::async_trait;
use steward_proto::store::v1::BlobRecord;

use super::super::artifacts::Artifacts;
use super::super::blob_use::is_older;
use super::super::bytes::blocking;
use super::super::error::Error;
use super::super::{keys, measure};
use super::image_blobs::Place;
use crate::blob::Digest;
use crate::clock::Timestamp;
use crate::engine::Engine;
use crate::store::tx::decode;
use crate::store::{Key, KeyRange, Table};

/// How many records an activation looks at.
const AT_A_TIME: usize = 256;
/// So many rounds are made in the time after which something is swept.
const ROUNDS: u32 = 8;
/// The shortest and the longest time from one round to the next.
const PACE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_hours(1));

/// Removes blobs that nobody needs.
pub(super) struct SweepEngine {
    artifacts: Artifacts,
    /// When the next round begins.
    due: Timestamp,
    /// The next of the directories of files to look at; `None`: all were looked at.
    shelf: Option<usize>,
    stage: Stage,
}

/// How far a round is.
enum Stage {
    /// At what images know.
    Images(Place),
    /// At the blobs, of which so many were seen, with so many bytes.
    Blobs { range: KeyRange, count: u64, bytes: u64 },
}

impl SweepEngine {
    pub(super) fn new(artifacts: Artifacts) -> Self {
        let due = artifacts.clock.now();
        SweepEngine { artifacts, due, shelf: Some(0), stage: Stage::Images(Place::start()) }
    }

    /// Goes on with the round. Returns whether it is over.
    async fn go_on(&mut self) -> Result<bool, Error> {
        match &mut self.stage {
            Stage::Images(place) => {
                if let Some(next) = self.artifacts.sweep_images(place, AT_A_TIME).await? {
                    *place = next;
                } else {
                    let range = KeyRange::prefix(&Key::table(Table::Blob));
                    self.stage = Stage::Blobs { range, count: 0, bytes: 0 };
                }
            }
            Stage::Blobs { range, count, bytes } => {
                let batch = self.artifacts.sweep_blobs(range.clone(), AT_A_TIME).await?;
                *count += batch.count;
                *bytes += batch.bytes;
                if let Some(next) = batch.next {
                    *range = next;
                    return Ok(false);
                }
                measure::blobs(*count, *bytes);
                self.stage = Stage::Images(Place::start());
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Looks for files without a record in the next directory.
    async fn look_at_shelf(&mut self) -> Result<(), Error> {
        let Some(number) = self.shelf else { return Ok(()) };
        let blobs = self.artifacts.blobs.clone();
        match blocking(move || blobs.on_shelf(number)).await? {
            Some(digests) => {
                for digest in &digests {
                    self.artifacts.sweep_file(digest).await?;
                }
                self.shelf = Some(number + 1);
            }
            None => self.shelf = None,
        }
        Ok(())
    }
}

#[async_trait]
impl Engine for SweepEngine {
    type Error = Error;

    fn name(&self) -> &'static str {
        "artifact_sweep"
    }

    fn wakes_on(&self) -> Key {
        // It goes by time. This one seldom changes.
        Key::table(Table::ArtifactProject)
    }

    async fn activate(&mut self) -> Result<Option<Timestamp>, Error> {
        let now = self.artifacts.clock.now();
        if self.shelf.is_some() {
            self.look_at_shelf().await?;
            return Ok(Some(now));
        }
        if now < self.due {
            return Ok(Some(self.due));
        }
        if self.go_on().await? {
            let (shortest, longest) = PACE;
            self.due = now.plus((self.artifacts.settings.sweep_after / ROUNDS).clamp(shortest, longest));
            return Ok(Some(self.due));
        }
        Ok(Some(now))
    }
}

/// What became of some blobs.
struct Batch {
    /// Those behind them.
    next: Option<KeyRange>,
    /// How many stay.
    count: u64,
    /// Their bytes.
    bytes: u64,
}

impl Artifacts {
    async fn sweep_blobs(&self, range: KeyRange, limit: usize) -> Result<Batch, Error> {
        let page = self.store.scan(range.clone(), limit).await?;
        let next = page.records.last().filter(|_| page.has_more).map(|(key, _)| range.after(key));
        let mut batch = Batch { next, count: 0, bytes: 0 };
        for (key, stored) in &page.records {
            let record: BlobRecord = decode(key, &stored.value)?;
            if let Some(digest) = keys::blob_of(key)
                && self.is_blob_idle(&record)
                && self.sweep_blob(&digest).await?
            {
                continue;
            }
            batch.count += 1;
            batch.bytes += record.size;
        }
        Ok(batch)
    }

    fn is_blob_idle(&self, record: &BlobRecord) -> bool {
        is_older(record.touch_us, self.now_us(), self.settings.sweep_after)
    }

    async fn is_blob_used(&self, digest: &Digest) -> Result<bool, Error> {
        let uses = self.store.scan(KeyRange::prefix(&keys::blob_uses(digest)), 1).await?;
        Ok(!uses.records.is_empty())
    }

    /// Removes a blob if nothing needs it, and nobody has asked for it lately. Returns whether it did.
    pub(in crate::artifact) async fn sweep_blob(&self, digest: &Digest) -> Result<bool, Error> {
        // Without the doom of all that is needed. Only the second look counts.
        if self.is_blob_used(digest).await? {
            return Ok(false);
        }
        let Some(doomed_us) = self.doom_blob(digest).await? else { return Ok(false) };
        if self.is_blob_used(digest).await? {
            return Ok(false);
        }
        self.remove_doomed(digest, doomed_us).await
    }

    /// Says that a blob is about to be removed. Returns since when that is said; `None`: it is not to be removed.
    pub(in crate::artifact) async fn doom_blob(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        let doomed = self.decide(digest, |mut tx| async move {
            let key = keys::blob(digest);
            let record: Option<BlobRecord> = tx.get(&key).await?;
            let Some(record) = record.filter(|record| self.is_blob_idle(record)) else {
                return Ok(tx.answer(None));
            };
            // Also when it was doomed before: who has looked at it since then decides anew.
            let doomed_us = self.now_us().max(1);
            tx.put(key, &BlobRecord { doomed_us, ..record });
            Ok(tx.answer(Some(doomed_us)))
        });
        doomed.await.map(|(doomed_us, _)| doomed_us)
    }

    /// Removes a blob that is still doomed. Returns whether it was.
    pub(in crate::artifact) async fn remove_doomed(&self, digest: &Digest, doomed_us: u64) -> Result<bool, Error> {
        let (artifacts, digest) = (self.clone(), digest.clone());
        self.to_the_end(async move {
            let _lock = artifacts.blobs.lock(&digest).await;
            let wanted = &digest;
            let removed = artifacts.decide(wanted, |mut tx| async move {
                let key = keys::blob(wanted);
                let record: Option<BlobRecord> = tx.get(&key).await?;
                let doomed = record.filter(|record| record.doomed_us == doomed_us);
                if doomed.is_some() {
                    tx.delete(key);
                }
                Ok(tx.answer(doomed))
            });
            let Some(record) = removed.await?.0 else { return Ok(false) };
            // Only now: no record may be without its file, whatever happens.
            let (blobs, removed) = (artifacts.blobs.clone(), digest.clone());
            blocking(move || blobs.remove(&removed)).await?;
            measure::swept_blob(record.size);
            tracing::debug!(blob = %digest, size = record.size, "a blob that nothing needs was removed");
            Ok(true)
        })
        .await
    }

    /// Removes a file if it has no record.
    async fn sweep_file(&self, digest: &Digest) -> Result<(), Error> {
        if self.store.get(&keys::blob(digest)).await?.is_some() {
            return Ok(());
        }
        let _lock = self.blobs.lock(digest).await;
        if self.remove_unrecorded(digest).await? {
            measure::swept("file", 1);
        }
        Ok(())
    }
}
