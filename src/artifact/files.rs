//! Files: put, read, and what is written on them.

use steward_proto::store::v1::{ArtifactChangeRecord, BlobRecord, BlobUseRecord, FileRecord};

use super::artifacts::Artifacts;
use super::bytes::Kept;
use super::changes::Stamp;
use super::error::Error;
use super::file_path::{FilePath, parent};
use super::folders::ROOT;
use super::keys::{self, BlobUse};
use super::metadata::{self, Metadata};
use super::sight::View;
use crate::blob::Digest;
use crate::store::KeyRange;
use crate::store::tx::{self, Tx};

/// How often somebody may put something into a folder that looked empty and is to make room for a file.
const LOOKS: usize = 20;
/// Of so many files with the same bytes it is asked whether the caller may see one. Who sees none of these brings them.
const MAX_TWINS: usize = 1000;

/// Where a file or folder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) project: String,
    pub(super) repository: String,
    pub(super) path: FilePath,
}

/// A file that is to be put, without its bytes.
#[derive(Clone, Debug)]
pub(super) struct Put {
    pub(super) place: Place,
    /// A file that is there is replaced.
    pub(super) overwrite: bool,
    pub(super) metadata: Metadata,
    /// When it ends by itself; 0: it stays.
    pub(super) expire_us: u64,
    /// Only a file with these bytes is replaced; empty: any.
    pub(super) only_if_sha256: String,
}

/// What to do when the same file is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Same {
    /// Nothing; that is no error.
    Leave,
    /// The same as with another one.
    Replace,
}

/// What a path names.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Found {
    File(Box<FileRecord>),
    Folder,
}

/// What one attempt to put a file came to.
enum Attempt {
    Put {
        record: Box<FileRecord>,
        unchanged: bool,
    },
    /// The path may be that of a folder, in this repository.
    Folder(u64),
}

/// Whether a file has not ended by itself. The engine that removes it may be late.
pub(super) fn is_live(record: &FileRecord, now_us: u64) -> bool {
    record.expire_us == 0 || record.expire_us > now_us
}

impl Put {
    /// Refuses what may not be replaced.
    fn check(&self, there: Option<&FileRecord>) -> Result<(), Error> {
        let path = &self.place.path;
        if !self.only_if_sha256.is_empty() {
            return match there {
                Some(there) if there.sha256 == self.only_if_sha256 => Ok(()),
                Some(_) => Err(Error::FileConflict(format!("{path} has other bytes than it was meant to have"))),
                None => Err(Error::FileConflict(format!("{path} is not there"))),
            };
        }
        if there.is_some() && !self.overwrite {
            return Err(Error::FileExists(path.to_string()));
        }
        Ok(())
    }

    fn is_same(&self, kept: &Kept, there: &FileRecord) -> bool {
        let terms = there.metadata == self.metadata && there.expire_us == self.expire_us;
        let is_meant = self.only_if_sha256.is_empty() || self.only_if_sha256 == there.sha256;
        terms && is_meant && there.digest == kept.digest.to_string()
    }
}

impl Artifacts {
    /// Refuses early what would be refused once the bytes have come.
    pub(super) async fn may_put(&self, put: &Put) -> Result<(), Error> {
        let decided = self.decide("a file", |mut tx| async move {
            let Place { project, repository, path } = &put.place;
            let repository = tx.file_repository(project, repository).await?.id;
            let there: Option<FileRecord> = tx.stored(&keys::file(repository, path.as_str())).await?;
            put.check(there.as_ref().filter(|there| is_live(there, self.now_us())))?;
            Ok(tx.answer(()))
        });
        decided.await.map(|_| ())
    }

    /// Gives a path bytes that are kept. Says too whether the same file was there.
    pub(super) async fn put_file(
        &self,
        put: Put,
        kept: Kept,
        same: Same,
        user: String,
    ) -> Result<(FileRecord, bool), Error> {
        let artifacts = self.clone();
        self.to_the_end(async move { artifacts.put_to_the_end(&put, &kept, same, &user).await }).await
    }

    async fn put_to_the_end(
        &self,
        put: &Put,
        kept: &Kept,
        same: Same,
        user: &str,
    ) -> Result<(FileRecord, bool), Error> {
        let path = &put.place.path;
        for _ in 0..LOOKS {
            match self.try_put(put, kept, same, user).await? {
                Attempt::Put { record, unchanged } => return Ok((*record, unchanged)),
                Attempt::Folder(repository) if self.clear_folder(repository, path).await? => {}
                Attempt::Folder(_) => return Err(Error::FileConflict(format!("{path} is a folder"))),
            }
        }
        Err(Error::Busy(path.to_string()))
    }

    async fn try_put(&self, put: &Put, kept: &Kept, same: Same, user: &str) -> Result<Attempt, Error> {
        let stamp = &self.stamps.take(self.now_us());
        let decided = self.decide("a file", |mut tx| async move {
            let Place { project, repository, path } = &put.place;
            let (repository, now_us) = (tx.file_repository(project, repository).await?.id, self.now_us());
            let old: Option<FileRecord> = tx.get(&keys::file(repository, path.as_str())).await?;
            let there = old.as_ref().filter(|old| is_live(old, now_us));
            if let Some(there) = there.filter(|there| same == Same::Leave && put.is_same(kept, there)) {
                let record = Box::new(there.clone());
                return Ok(tx.answer(Attempt::Put { record, unchanged: true }));
            }
            put.check(there)?;
            if tx.is_folder(repository, path.as_str()).await? {
                return Ok(tx.answer(Attempt::Folder(repository)));
            }
            tx.enter_folder(repository, parent(path.as_str()).unwrap_or(ROOT)).await?;
            let size = tx.use_blob(&kept.digest, BlobUse::File { repository, path: path.as_str() }).await?.size;
            let record = FileRecord {
                digest: kept.digest.to_string(),
                size,
                md5: kept.md5.clone(),
                crc64ecma: kept.crc64ecma.clone(),
                metadata: put.metadata.clone(),
                created_by: there.map_or(user, |there| &there.created_by).to_owned(),
                create_us: there.map_or(now_us, |there| there.create_us),
                modified_by: user.to_owned(),
                modify_us: now_us,
                expire_us: put.expire_us,
                sha256: kept.digest.hex(),
            };
            tx.replace_file(repository, path, old.as_ref(), &record, stamp)?;
            Ok(tx.answer(Attempt::Put { record: Box::new(record), unchanged: false }))
        });
        Ok(decided.await?.0)
    }

    /// Gives a path bytes that are there. Checksums that were told have to be theirs.
    pub(super) async fn commit_file(
        &self,
        put: Put,
        digest: Digest,
        (md5, crc64ecma): (String, String),
        user: String,
    ) -> Result<(FileRecord, bool), Error> {
        let blob: Option<BlobRecord> = tx::read(&*self.store, &keys::blob(&digest)).await?;
        let size = blob.ok_or_else(|| Error::BlobNotFound(digest.to_string()))?.size;
        let known = self.known_checksums(&put.place, &digest).await?;
        for (name, told, known) in [("md5", &md5, &known.0), ("crc64ecma", &crc64ecma, &known.1)] {
            if !told.is_empty() && told != known {
                let (expected, actual) = (format!("{name}:{told}"), format!("{name}:{known}"));
                return Err(Error::DigestMismatch { what: put.place.path.to_string(), expected, actual });
            }
        }
        let (md5, crc64ecma) = known;
        self.put_file(put, Kept { digest, size, md5, crc64ecma }, Same::Leave, user).await
    }

    /// Refuses bytes of which a user may see no file in a repository, unless the same user has brought them for one
    /// lately: those of others are not for everybody who knows their digest, and it does not tell that they are there.
    pub(super) async fn check_known(
        &self,
        place: &Place,
        digest: &Digest,
        (user, view): (&str, &View),
    ) -> Result<(), Error> {
        let known = self.decide("a file", |mut tx| async move {
            let repository = tx.file_repository(&place.project, &place.repository).await?.id;
            let uses = KeyRange::prefix(&keys::files_with(digest, repository));
            if self.uploads.is_brought(repository, user, digest) {
                return Ok(tx.answer(true));
            }
            let mut is_known = false;
            for (key, value) in tx.scan(uses, MAX_TWINS).await? {
                let BlobUseRecord { path } = tx::decode(&key, &value)?;
                is_known = is_known || view.is_whole() || (!path.is_empty() && view.has(&path));
            }
            Ok::<_, Error>(tx.answer(is_known))
        });
        if known.await?.0 { Ok(()) } else { Err(Error::BlobNotFound(digest.to_string())) }
    }

    /// How long the bytes of a file are that has this digest. They will stay for long enough that somebody can read them.
    pub(super) async fn blob_of_file(&self, place: &Place, digest: &Digest) -> Result<u64, Error> {
        let found = self.decide("a file", |mut tx| async move {
            let repository = tx.file_repository(&place.project, &place.repository).await?.id;
            let file: Option<FileRecord> = tx.get(&keys::file(repository, place.path.as_str())).await?;
            let has = file.is_some_and(|file| is_live(&file, self.now_us()) && file.digest == digest.to_string());
            let blob = if has { tx.touch_blob(digest, self.now_us(), self.settings.sweep_after).await? } else { None };
            Ok::<_, Error>(tx.answer(blob))
        });
        let blob = found.await?.0;
        blob.map(|blob| blob.size).ok_or_else(|| Error::BlobNotFound(digest.to_string()))
    }

    async fn known_checksums(&self, place: &Place, digest: &Digest) -> Result<(String, String), Error> {
        match self.get_file(place).await {
            Ok(Found::File(there)) if there.digest == digest.to_string() => Ok((there.md5, there.crc64ecma)),
            Ok(_) | Err(Error::FileNotFound(_)) => self.checksums(digest).await,
            Err(error) => Err(error),
        }
    }

    /// Reads what a path names.
    pub(super) async fn get_file(&self, place: &Place) -> Result<Found, Error> {
        let decided = self.decide("a file", |mut tx| async move {
            let Place { project, repository, path } = place;
            let repository = tx.file_repository(project, repository).await?.id;
            let record: Option<FileRecord> = tx.get(&keys::file(repository, path.as_str())).await?;
            if let Some(record) = record.filter(|record| is_live(record, self.now_us())) {
                return Ok(tx.answer(Found::File(Box::new(record))));
            }
            if path.is_root() || self.is_in_use(repository, path).await? {
                return Ok(tx.answer(Found::Folder));
            }
            Err(Error::FileNotFound(path.to_string()))
        });
        Ok(decided.await?.0)
    }

    /// Reads files; of those that are not there, nothing.
    pub(super) async fn stat_files(
        &self,
        project: &str,
        repository: &str,
        paths: Vec<FilePath>,
    ) -> Result<Vec<(FilePath, FileRecord)>, Error> {
        let paths = &paths;
        let decided = self.decide("files", |mut tx| async move {
            let repository = tx.file_repository(project, repository).await?.id;
            let mut found = Vec::new();
            for path in paths {
                let record: Option<FileRecord> = tx.stored(&keys::file(repository, path.as_str())).await?;
                let record = record.filter(|record| is_live(record, self.now_us()));
                found.extend(record.map(|record| (path.clone(), record)));
            }
            Ok(tx.answer(found))
        });
        Ok(decided.await?.0)
    }

    /// Writes metadata on a file.
    pub(super) async fn update_file_metadata(
        &self,
        place: Place,
        written: Metadata,
        deleted: Vec<String>,
        user: String,
    ) -> Result<FileRecord, Error> {
        let artifacts = self.clone();
        let update = async move { artifacts.update_metadata_to_the_end(&place, &written, &deleted, &user).await };
        self.to_the_end(update).await
    }

    async fn update_metadata_to_the_end(
        &self,
        place: &Place,
        written: &Metadata,
        deleted: &[String],
        user: &str,
    ) -> Result<FileRecord, Error> {
        let stamp = &self.stamps.take(self.now_us());
        let decided = self.decide("a file", |mut tx| async move {
            let Place { project, repository, path } = place;
            let (repository, now_us) = (tx.file_repository(project, repository).await?.id, self.now_us());
            let old: Option<FileRecord> = tx.get(&keys::file(repository, path.as_str())).await?;
            let old = old.filter(|old| is_live(old, now_us));
            let old = old.ok_or_else(|| Error::FileNotFound(path.to_string()))?;
            let mut record = old.clone();
            metadata::update(&mut record.metadata, written, deleted)?;
            if record.metadata != old.metadata {
                user.clone_into(&mut record.modified_by);
                record.modify_us = now_us;
                tx.replace_file(repository, path, Some(&old), &record, stamp)?;
            }
            Ok(tx.answer(record))
        });
        Ok(decided.await?.0)
    }
}

impl Tx<'_> {
    /// Puts the record of a file in the place of the one that was there, and notes the change.
    fn replace_file(
        &mut self,
        repository: u64,
        path: &FilePath,
        old: Option<&FileRecord>,
        new: &FileRecord,
        stamp: &Stamp,
    ) -> Result<(), Error> {
        let path = path.as_str();
        if let Some(old) = old.filter(|old| old.digest != new.digest) {
            self.release_blob(&digest_of(old)?, BlobUse::File { repository, path });
        }
        let old_expiry = old.map_or(0, |old| old.expire_us);
        if old_expiry != new.expire_us {
            if old_expiry != 0 {
                self.delete(keys::file_expiry(old_expiry, repository, path));
            }
            if new.expire_us != 0 {
                self.put_bytes(keys::file_expiry(new.expire_us, repository, path), Vec::new());
            }
        }
        self.put(keys::file(repository, path), new);
        let change = ArtifactChangeRecord {
            path: path.to_owned(),
            digest: new.digest.clone(),
            before: old.map(|old| old.digest.clone()).unwrap_or_default(),
            ..ArtifactChangeRecord::default()
        };
        self.note_change(repository, stamp, &change);
        Ok(())
    }

    /// Removes a file that is there, and notes the change.
    pub(super) fn remove_file(
        &mut self,
        repository: u64,
        path: &str,
        old: &FileRecord,
        stamp: &Stamp,
    ) -> Result<(), Error> {
        self.release_blob(&digest_of(old)?, BlobUse::File { repository, path });
        if old.expire_us != 0 {
            self.delete(keys::file_expiry(old.expire_us, repository, path));
        }
        self.delete(keys::file(repository, path));
        let change = ArtifactChangeRecord {
            path: path.to_owned(),
            before: old.digest.clone(),
            ..ArtifactChangeRecord::default()
        };
        self.note_change(repository, stamp, &change);
        Ok(())
    }
}

fn digest_of(record: &FileRecord) -> Result<Digest, Error> {
    record.digest.parse().map_err(|_| Error::Internal(format!("a file has the digest {:?}", record.digest)))
}

#[cfg(test)]
mod tests;
