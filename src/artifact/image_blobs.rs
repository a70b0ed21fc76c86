//! Blobs of images: known to them, given from one to another, and taken away.

use steward_proto::store::v1::{ImageBlobRecord, ImageRecord, ManifestRecord};

use super::artifacts::Artifacts;
use super::bytes::blocking;
use super::error::Error;
use super::keys::{self, BlobUse};
use super::place::Place;
use crate::blob::Digest;
use crate::store::KeyRange;
use crate::store::tx::Tx;

/// How many digests one transaction looks at, each of which may have to be touched twice.
const AT_A_TIME: usize = 40;

impl Artifacts {
    /// Makes a blob one of an image, which is founded if it is not there.
    pub(super) async fn link_blob(
        &self,
        tx: &mut Tx<'_>,
        (repository, image): (u64, &str),
        (digest, size): (&Digest, u64),
        user: &str,
    ) -> Result<(), Error> {
        let now_us = self.now_us();
        let image = tx.found_image(repository, image, user, now_us).await?;
        if tx.touch_image_blob(image.id, digest, now_us, self.settings.sweep_after).await?.is_none() {
            tx.put(keys::image_blob(image.id, digest), &ImageBlobRecord { size, touch_us: now_us });
        }
        tx.use_blob(digest, BlobUse::Image(image.id)).await.map(|_| ())
    }

    /// How long a blob is that a place has: that its image knows, or is the bytes of a manifest; without an image, that
    /// a file of the repository has. It will stay for long enough that somebody can refer to it.
    pub(super) async fn blob_of(&self, place: &Place, digest: &Digest) -> Result<u64, Error> {
        let found = self.decide(digest, |mut tx| async move {
            let size = self.find_blob(&mut tx, place, digest).await?;
            Ok(tx.answer(size))
        });
        let (size, _) = found.await?;
        size.ok_or_else(|| Error::BlobNotFound(digest.to_string()))
    }

    /// Whether a place has a blob: the same as [`Artifacts::blob_of`].
    pub(super) async fn has_blob(&self, place: &Place, digest: &Digest) -> Result<bool, Error> {
        match self.blob_of(place, digest).await {
            Ok(_) => Ok(true),
            Err(Error::BlobNotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn find_blob(&self, tx: &mut Tx<'_>, place: &Place, digest: &Digest) -> Result<Option<u64>, Error> {
        let has = if place.is_image() {
            match tx.image_of(place).await? {
                Some(image) => self.image_has(tx, &image, digest).await?,
                None => false,
            }
        } else {
            let repository = tx.repository_of(place).await?;
            let uses = KeyRange::prefix(&keys::files_with(digest, repository.id));
            !tx.scan(uses, 1).await?.is_empty()
        };
        if !has {
            return Ok(None);
        }
        let blob = tx.touch_blob(digest, self.now_us(), self.settings.sweep_after).await?;
        Ok(blob.map(|blob| blob.size))
    }

    async fn image_has(&self, tx: &mut Tx<'_>, image: &ImageRecord, digest: &Digest) -> Result<bool, Error> {
        if tx.touch_image_blob(image.id, digest, self.now_us(), self.settings.sweep_after).await?.is_some() {
            return Ok(true);
        }
        let manifest: Option<ManifestRecord> = tx.get(&keys::manifest(image.id, digest)).await?;
        Ok(manifest.is_some())
    }

    /// Which of some digests a place does not have; without one, which are not there. Those that are will stay for long
    /// enough that somebody can refer to them.
    pub(super) async fn missing_blobs(&self, place: Option<&Place>, digests: &[Digest]) -> Result<Vec<Digest>, Error> {
        let mut sizes = Vec::with_capacity(digests.len());
        for some in digests.chunks(AT_A_TIME) {
            let looked = self.decide("blobs", |mut tx| async move {
                let mut sizes = Vec::with_capacity(some.len());
                for digest in some {
                    let size = if let Some(place) = place {
                        self.find_blob(&mut tx, place, digest).await?
                    } else {
                        let blob = tx.touch_blob(digest, self.now_us(), self.settings.sweep_after).await?;
                        blob.map(|blob| blob.size)
                    };
                    sizes.push((digest.clone(), size));
                }
                Ok(tx.answer(sizes))
            });
            sizes.extend(looked.await?.0);
        }
        self.without_whole(sizes).await
    }

    /// Those that are not known, and those whose files are gone or have another length: who has the bytes can make that
    /// good.
    async fn without_whole(&self, sizes: Vec<(Digest, Option<u64>)>) -> Result<Vec<Digest>, Error> {
        let blobs = self.blobs.clone();
        blocking(move || {
            let mut missing = Vec::new();
            for (digest, size) in sizes {
                if size.is_none() || blobs.size(&digest)? != size {
                    missing.push(digest);
                }
            }
            Ok(missing)
        })
        .await
    }

    /// Makes a blob of one image one of another too. Without `from`: of any.
    pub(super) async fn mount_blob(
        &self,
        place: &Place,
        digest: &Digest,
        from: Option<&Place>,
        user: &str,
    ) -> Result<u64, Error> {
        let unknown = || Error::BlobNotFound(digest.to_string());
        // Who is told no sends it again, which makes good a file that is gone.
        let is_whole = self.is_whole(digest).await?;
        let mounted = self.decide(digest, |mut tx| async move {
            let repository = tx.repository_of(place).await?;
            let is_there = match from {
                Some(from) => match tx.image_of(from).await {
                    Ok(Some(image)) => self.image_has(&mut tx, &image, digest).await?,
                    // Who is told no begins an upload.
                    Ok(None) | Err(Error::RepositoryNotFound(_) | Error::WrongRepositoryType { .. }) => false,
                    Err(error) => return Err(error),
                },
                None => !tx.scan(KeyRange::prefix(&keys::images_with(digest)), 1).await?.is_empty(),
            };
            if !is_there || !is_whole {
                return Err(unknown());
            }
            let blob = tx.touch_blob(digest, self.now_us(), self.settings.sweep_after).await?.ok_or_else(unknown)?;
            self.link_blob(&mut tx, (repository.id, &place.image), (digest, blob.size), user).await?;
            Ok(tx.answer(blob.size))
        });
        mounted.await.map(|(size, _)| size)
    }

    /// Takes a blob from an image.
    pub(super) async fn delete_blob(&self, place: &Place, digest: &Digest) -> Result<(), Error> {
        let unknown = || Error::BlobNotFound(digest.to_string());
        let deleted = self.decide(digest, |mut tx| async move {
            let repository = tx.repository_of(place).await?;
            let image = tx.image(repository.id, &place.image).await?.ok_or_else(unknown)?;
            if tx.bytes(&keys::image_blob(image.id, digest)).await?.is_none() {
                return Err(unknown());
            }
            tx.take_blob(image, digest);
            Ok(tx.answer(()))
        });
        deleted.await.map(|_| ())
    }
}

impl Tx<'_> {
    /// Takes a blob from an image. Who is about to decide by what the image has has to look again.
    pub(super) fn take_blob(&mut self, mut image: ImageRecord, digest: &Digest) {
        self.delete(keys::image_blob(image.id, digest));
        self.release_blob(digest, BlobUse::Image(image.id));
        self.put_image(&mut image);
    }
}
