//! Uploads: bytes that come over many calls and restarts, and become a blob.

use std::collections::{HashMap, HashSet};

use steward_proto::store::v1::{BlobRecord, UploadRecord};
use uuid::Uuid;

use super::artifacts::Artifacts;
use super::blob_use::is_older;
use super::bytes::blocking;
use super::error::Error;
use super::keys;
use super::place::Place;
use super::upload_sessions::{Held, Uploader};
use crate::blob::{Algorithm, Blobs, Digest, Hasher};
use crate::store::tx::{self, Tx, decode};
use crate::store::{Key, KeyRange, Table};

/// What became of the beginning of an upload.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Started {
    /// Bytes can come.
    Upload(Uuid, UploadRecord),
    /// They are there already: so many.
    There(u64),
}

impl Artifacts {
    /// Counts the uploads that are under way, and removes the files of others.
    pub(super) async fn recover_uploads(&self) -> Result<(), Error> {
        let range = KeyRange::prefix(&Key::table(Table::ArtifactUpload));
        let known = tx::scan(&*self.store, range, usize::MAX).await?;
        let mut begun = HashMap::new();
        for (key, value) in &known {
            let record: UploadRecord = decode(key, value)?;
            begun.extend(keys::upload_of(key).map(|id| (id, record.user)));
        }
        let known: HashSet<Uuid> = begun.keys().copied().collect();
        self.uploads.recount(begun);
        let blobs = self.blobs.clone();
        blocking(move || {
            let unknown = blobs.partials()?.into_iter().filter(|id| !known.contains(id));
            unknown.into_iter().try_for_each(|id| blobs.remove_partial(id))
        })
        .await
    }

    /// Begins an upload, unless bytes of this digest are there: then the place has them at once.
    pub(super) async fn start_upload(
        &self,
        place: &Place,
        digest: Option<&Digest>,
        size: u64,
        by: &Uploader,
    ) -> Result<Started, Error> {
        self.check_size("the upload", size)?;
        if let Some(digest) = digest
            && let Some(size) = self.adopt_blob(place, digest, &by.user).await?
        {
            return Ok(Started::There(size));
        }
        self.start_new_upload(place, digest, by).await
    }

    /// The same for whoever may not have what others have brought: bytes that the place does not have yet have to come.
    /// `known` is the digest, if the caller may be told whether the place has its bytes.
    pub(super) async fn start_own_upload(
        &self,
        place: &Place,
        (digest, known): (Option<&Digest>, Option<&Digest>),
        size: u64,
        by: &Uploader,
    ) -> Result<Started, Error> {
        if let Some(digest) = known
            && self.has_blob(place, digest).await?
        {
            return self.start_upload(place, Some(digest), size, by).await;
        }
        self.check_size("the upload", size)?;
        self.start_new_upload(place, digest, by).await
    }

    async fn start_new_upload(&self, place: &Place, digest: Option<&Digest>, by: &Uploader) -> Result<Started, Error> {
        let (artifacts, place, by) = (self.clone(), place.clone(), by.clone());
        let algorithm = digest.map(Digest::algorithm);
        // To the end, as who goes away must not leave it counted without a record.
        self.to_the_end(async move { artifacts.begin_upload(&place, algorithm, &by).await }).await
    }

    async fn begin_upload(&self, place: &Place, algorithm: Option<Algorithm>, by: &Uploader) -> Result<Started, Error> {
        let (id, now_us) = (Uuid::new_v4(), self.now_us());
        self.uploads.reserve(id, by, self.settings.max_uploads)?;
        let begun = self.decide("the upload", |mut tx| async move {
            let repository = tx.repository_of(place).await?;
            let record = UploadRecord {
                repository_id: repository.id,
                image: place.image.clone(),
                offset: 0,
                create_us: now_us,
                touch_us: now_us,
                user: by.user.clone(),
            };
            tx.put(keys::upload(id), &record);
            Ok(tx.answer(record))
        });
        let (record, _) = begun.await.inspect_err(|_| self.uploads.end(id))?;
        let hasher = Hasher::digest_of(algorithm.unwrap_or(Algorithm::Sha256));
        // Who wants a file of them needs these, too.
        self.uploads.expect(id, if place.is_image() { hasher } else { hasher.with_checksums() });
        Ok(Started::Upload(id, record))
    }

    /// Gives a place bytes that are there. `None`: they are not.
    async fn adopt_blob(&self, place: &Place, digest: &Digest, user: &str) -> Result<Option<u64>, Error> {
        if !self.is_whole(digest).await? {
            return Ok(None);
        }
        let adopted = self.decide(digest, |mut tx| async move {
            let repository = tx.repository_of(place).await?;
            let now_us = self.now_us();
            let Some(blob) = tx.touch_blob(digest, now_us, self.settings.sweep_after).await? else {
                return Ok(tx.answer(None));
            };
            if place.is_image() {
                self.link_blob(&mut tx, (repository.id, &place.image), (digest, blob.size), user).await?;
            }
            Ok(tx.answer(Some(blob.size)))
        });
        adopted.await.map(|(size, _)| size)
    }

    /// Whether a blob is there with its file.
    pub(super) async fn is_whole(&self, digest: &Digest) -> Result<bool, Error> {
        let known: Option<BlobRecord> = tx::read(&*self.store, &keys::blob(digest)).await?;
        let Some(known) = known else { return Ok(false) };
        let (blobs, wanted) = (self.blobs.clone(), digest.clone());
        let is_whole = blocking(move || blobs.size(&wanted)).await? == Some(known.size);
        if !is_whole {
            tracing::error!(blob = %digest, size = known.size, "the file of a blob is gone or has another length");
        }
        Ok(is_whole)
    }

    /// How far an upload is. What somebody wrote who has gone away is waited for.
    pub(super) async fn get_upload(&self, place: &Place, id: Uuid) -> Result<UploadRecord, Error> {
        self.uploads.settle(id).await;
        let read = self.decide("the upload", |mut tx| async move {
            let record = self.upload_of(&mut tx, place, id).await?;
            Ok(tx.answer(record))
        });
        read.await.map(|(record, _)| record)
    }

    /// An upload that is there, belongs to this place, and is not over.
    async fn upload_of(&self, tx: &mut Tx<'_>, place: &Place, id: Uuid) -> Result<UploadRecord, Error> {
        let record: Option<UploadRecord> = tx.get(&keys::upload(id)).await?;
        let unknown = || Error::UploadNotFound(id.to_string());
        let record = record.ok_or_else(unknown)?;
        let repository = tx.repository_of(place).await?;
        let belongs = record.repository_id == repository.id && record.image == place.image;
        if belongs && !self.is_upload_over(&record) { Ok(record) } else { Err(unknown()) }
    }

    fn is_upload_over(&self, record: &UploadRecord) -> bool {
        is_older(record.touch_us, self.now_us(), self.settings.upload_retention)
    }

    /// Gives an upload up.
    pub(super) async fn cancel_upload(&self, place: &Place, id: Uuid) -> Result<(), Error> {
        let (artifacts, place) = (self.clone(), place.clone());
        self.to_the_end(async move {
            let (artifacts, place) = (&artifacts, &place);
            let cancelled = artifacts.decide("the upload", |mut tx| async move {
                artifacts.upload_of(&mut tx, place, id).await?;
                tx.delete(keys::upload(id));
                Ok(tx.answer(()))
            });
            cancelled.await?;
            artifacts.end_upload(id).await
        })
        .await
    }

    /// Forgets an upload whose record is gone.
    async fn end_upload(&self, id: Uuid) -> Result<(), Error> {
        self.uploads.end(id);
        let blobs = self.blobs.clone();
        // What cannot be removed now is removed at the next start.
        blocking(move || blobs.remove_partial(id)).await
    }

    /// Makes the bytes of an upload the blob of a digest, which they have to have, and gives it to the place. Returns
    /// how many they are.
    pub(super) async fn finish_upload(&self, place: &Place, id: Uuid, digest: &Digest) -> Result<u64, Error> {
        self.get_upload(place, id).await?;
        let held = self.uploads.hold(id).await?;
        held.is_ending();
        let (artifacts, place, digest) = (self.clone(), place.clone(), digest.clone());
        self.to_the_end(async move { artifacts.finish_held(&place, held, &digest).await }).await
    }

    async fn finish_held(&self, place: &Place, held: Held, digest: &Digest) -> Result<u64, Error> {
        let id = held.id();
        let record = self.get_held(place, id).await.inspect_err(|_| self.uploads.forget(id))?;
        let size = record.offset;
        let actual = self.digest_of_upload(&held, size, digest).await?;
        if actual != *digest {
            self.drop_upload(id).await?;
            let (expected, actual) = (digest.to_string(), actual.to_string());
            return Err(Error::DigestMismatch { what: format!("upload {id}"), expected, actual });
        }
        let lock = self.blobs.lock(digest).await;
        let published = digest.clone();
        let publish = move |blobs: &Blobs| blobs.publish_partial(id, size, &published);
        self.have_file(digest, size, publish).await?;
        let finished = self.decide(digest, |mut tx| async move {
            let record = self.upload_of(&mut tx, place, id).await?;
            if record.offset != size {
                return Err(Error::Busy(format!("upload {id}")));
            }
            tx.record_blob(digest, size, self.now_us(), self.settings.sweep_after).await?;
            if place.is_image() {
                let image = (record.repository_id, &*place.image);
                self.link_blob(&mut tx, image, (digest, size), &record.user).await?;
            }
            tx.delete(keys::upload(id));
            Ok(tx.answer(()))
        });
        self.take_file_back_unless(digest, finished.await).await?;
        drop(lock);
        if !place.is_image() {
            self.uploads.note_brought(record.repository_id, &record.user, digest);
        }
        if let Some(checksums) = held.checksums(size) {
            self.uploads.note_checksums(digest, checksums);
        }
        self.end_upload(id).await?;
        Ok(size)
    }

    /// As [`Artifacts::get_upload`], for who holds it.
    async fn get_held(&self, place: &Place, id: Uuid) -> Result<UploadRecord, Error> {
        self.upload_of(&mut Tx::new(&*self.store), place, id).await
    }

    /// The digest of all bytes of an upload, of the same algorithm as `wanted`. Read again only where it was not made
    /// while they came.
    async fn digest_of_upload(&self, held: &Held, size: u64, wanted: &Digest) -> Result<Digest, Error> {
        let (algorithm, mut start) = (wanted.algorithm(), held.start(size));
        if start.is_hashed
            && let Some(digest) = start.hasher.digest(algorithm)
        {
            return Ok(digest);
        }
        start.hasher = Hasher::digest_of(algorithm);
        start.is_hashed = size == 0;
        let (blobs, id) = (self.blobs.clone(), start.id);
        let digest = blocking(move || Ok(blobs.open_partial(start)?.hasher().digest(algorithm)));
        match digest.await? {
            Some(digest) => Ok(digest),
            None => Err(Error::Internal(format!("upload {id} was not hashed"))),
        }
    }

    /// Ends an upload that came to nothing.
    async fn drop_upload(&self, id: Uuid) -> Result<(), Error> {
        let dropped = self.decide("the upload", |mut tx| async move {
            let key = keys::upload(id);
            let was_there = tx.bytes(&key).await?.is_some();
            tx.delete(key);
            Ok(tx.answer(was_there))
        });
        if dropped.await?.0 { self.end_upload(id).await } else { Ok(()) }
    }

    /// Gives up those of the next uploads behind `start` that are over. Returns where to go on, and how many there were.
    pub(super) async fn expire_uploads(&self, range: KeyRange, limit: usize) -> Result<(Option<KeyRange>, u64), Error> {
        let page = self.store.scan(range.clone(), limit).await?;
        let mut expired = 0;
        for (key, record) in &page.records {
            let Some(id) = keys::upload_of(key) else { continue };
            if self.is_upload_over(&decode(key, &record.value)?) && !self.uploads.is_held(id) {
                expired += u64::from(self.expire_upload(id).await?);
            }
        }
        let last = page.records.last().filter(|_| page.has_more);
        Ok((last.map(|(key, _)| range.after(key)), expired))
    }

    /// Gives up all uploads for a repository that was deleted. Returns how many there were.
    pub(super) async fn drop_uploads_of(&self, repository: u64) -> Result<u64, Error> {
        let mut dropped = 0;
        let all = KeyRange::prefix(&Key::table(Table::ArtifactUpload));
        let known = tx::scan(&*self.store, all, usize::MAX).await?;
        for (key, value) in &known {
            let record: UploadRecord = decode(key, value)?;
            if let Some(id) = keys::upload_of(key).filter(|_| record.repository_id == repository) {
                self.drop_upload(id).await?;
                dropped += 1;
            }
        }
        Ok(dropped)
    }

    async fn expire_upload(&self, id: Uuid) -> Result<bool, Error> {
        let expired = self.decide("the upload", |mut tx| async move {
            let key = keys::upload(id);
            let is_over = tx.get(&key).await?.is_some_and(|record| self.is_upload_over(&record));
            if is_over {
                tx.delete(key);
            }
            Ok(tx.answer(is_over))
        });
        let (is_over, _) = expired.await?;
        if is_over {
            self.end_upload(id).await?;
        }
        Ok(is_over)
    }
}
