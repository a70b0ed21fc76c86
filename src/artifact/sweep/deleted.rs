//! Empties images and repositories that were deleted. Nothing finds them any more, and nothing is put into them: who
//! would do so reads their record in the same transaction.

use async_trait::async_trait;
use steward_proto::store::v1::{DeletedRepositoryRecord, FileRecord, ImageRecord};

use super::super::artifacts::Artifacts;
use super::super::error::Error;
use super::super::keys::{self, BlobUse};
use super::super::measure;
use crate::blob::Digest;
use crate::clock::Timestamp;
use crate::engine::Engine;
use crate::store::tx::{Tx, decode, scan};
use crate::store::{Key, KeyRange, Table};

/// How many records one transaction removes: each is two or three operations of its hundred.
const AT_A_TIME: usize = 30;

/// Empties deleted images.
pub(super) struct EmptyImages(pub(super) Artifacts);

/// Empties deleted repositories.
pub(super) struct EmptyRepositories(pub(super) Artifacts);

#[async_trait]
impl Engine for EmptyImages {
    type Error = Error;

    fn name(&self) -> &'static str {
        "artifact_deleted_images"
    }

    fn wakes_on(&self) -> Key {
        Key::table(Table::ArtifactDeletedImage)
    }

    async fn activate(&mut self) -> Result<Option<Timestamp>, Error> {
        let Some(image) = self.0.first_number(Table::ArtifactDeletedImage).await? else { return Ok(None) };
        self.0.empty_image(image).await?;
        Ok(Some(self.0.clock.now()))
    }
}

#[async_trait]
impl Engine for EmptyRepositories {
    type Error = Error;

    fn name(&self) -> &'static str {
        "artifact_deleted_repositories"
    }

    fn wakes_on(&self) -> Key {
        Key::table(Table::ArtifactDeletedRepository)
    }

    async fn activate(&mut self) -> Result<Option<Timestamp>, Error> {
        let Some(repository) = self.0.first_number(Table::ArtifactDeletedRepository).await? else { return Ok(None) };
        self.0.empty_repository(repository).await?;
        Ok(Some(self.0.clock.now()))
    }
}

impl Artifacts {
    async fn first_number(&self, table: Table) -> Result<Option<u64>, Error> {
        let found = scan(&*self.store, KeyRange::prefix(&Key::table(table)), 1).await?;
        Ok(found.first().and_then(|(key, _)| keys::number_of(key)))
    }

    /// Removes a batch of what a deleted image has; when nothing is left, what says that it was deleted.
    async fn empty_image(&self, image: u64) -> Result<(), Error> {
        let tables = [
            Table::ImageTag,
            Table::ManifestTag,
            Table::Referrer,
            Table::ManifestPart,
            Table::Manifest,
            Table::ImageBlob,
        ];
        let emptied = self.decide("a deleted image", |mut tx| async move {
            for table in tables {
                let found = tx.scan(KeyRange::prefix(&keys::all_of_image(table, image)), AT_A_TIME).await?;
                if found.is_empty() {
                    continue;
                }
                for (key, _) in &found {
                    release(&mut tx, table, image, key);
                    tx.delete(key.clone());
                }
                return Ok(tx.answer(found.len()));
            }
            tx.delete(keys::deleted_image(image));
            Ok(tx.answer(0))
        });
        let (count, _) = emptied.await?;
        measure::swept("image record", count as u64);
        Ok(())
    }

    /// Removes a batch of what a deleted repository has; when nothing is left, what says that it was deleted.
    async fn empty_repository(&self, repository: u64) -> Result<(), Error> {
        let now_us = self.now_us();
        let emptied = self.decide("a deleted repository", |mut tx| async move {
            let files = tx.scan(KeyRange::prefix(&keys::files_below(repository, "")), AT_A_TIME).await?;
            for (key, value) in &files {
                remove_file(&mut tx, repository, key, value)?;
            }
            let images = tx.scan(KeyRange::prefix(&keys::images_of(repository)), AT_A_TIME).await?;
            let changes = tx.scan(KeyRange::prefix(&keys::changes_of(repository)), AT_A_TIME).await?;
            let folders = tx.scan(KeyRange::prefix(&keys::folders_below(repository, "")), AT_A_TIME).await?;
            // One kind at a time, so that a transaction has room for it.
            if files.is_empty() {
                for (key, value) in &images {
                    let image: ImageRecord = decode(key, value)?;
                    tx.put(keys::deleted_image(image.id), &DeletedRepositoryRecord { delete_us: now_us });
                    tx.delete(key.clone());
                }
            }
            if files.is_empty() && images.is_empty() {
                for (key, _) in changes.iter().chain(&folders) {
                    tx.delete(key.clone());
                }
            }
            let count = files.len() + images.len() + changes.len() + folders.len();
            Ok(tx.answer(count))
        });
        let (count, _) = emptied.await?;
        measure::swept("repository record", count as u64);
        if count > 0 {
            return Ok(());
        }
        // Nobody begins one any more.
        measure::swept("upload", self.drop_uploads_of(repository).await?);
        let ended = self.decide("a deleted repository", |mut tx| async move {
            tx.delete(keys::deleted_repository(repository));
            Ok(tx.answer(()))
        });
        ended.await.map(|_| ())
    }
}

/// Notes that a record of an image does not need its blob any more.
fn release(tx: &mut Tx<'_>, table: Table, image: u64, key: &Key) {
    let user = match table {
        Table::Manifest => BlobUse::Manifest(image),
        Table::ImageBlob => BlobUse::Image(image),
        _ => return,
    };
    if let Some((digest, _)) = keys::digests_of(key) {
        tx.release_blob(&digest, user);
    }
}

fn remove_file(tx: &mut Tx<'_>, repository: u64, key: &Key, value: &[u8]) -> Result<(), Error> {
    let record: FileRecord = decode(key, value)?;
    if let Some(path) = keys::path_of(key) {
        if record.expire_us != 0 {
            tx.delete(keys::file_expiry(record.expire_us, repository, &path));
        }
        if let Ok(digest) = record.digest.parse::<Digest>() {
            tx.release_blob(&digest, BlobUse::File { repository, path: &path });
        }
    }
    tx.delete(key.clone());
    Ok(())
}
