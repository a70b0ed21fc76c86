//! Takes blobs from images that no manifest consists of, what says what manifests consist of that never came, and
//! manifests of indexes that were deleted.
//!
//! Other manifests stay until somebody deletes them, with a tag or without: that of one platform is often pulled by its
//! digest, and whether somebody does cannot be told.

use steward_proto::store::v1::{ImageBlobRecord, ImageRecord, ManifestPartRecord, ManifestRecord};

use super::super::artifacts::Artifacts;
use super::super::blob_use::is_older;
use super::super::error::Error;
use super::super::manifest_put::decode_manifest;
use super::super::{keys, measure};
use crate::blob::Digest;
use crate::store::tx::decode;
use crate::store::{Key, KeyRange, Table};

/// How many records about parts one transaction removes.
const PARTS_AT_A_TIME: usize = 90;

/// How far a round over all images is.
pub(super) struct Place {
    /// The images that were not looked at.
    images: KeyRange,
    /// The image that is being looked at.
    image: Option<AtImage>,
}

/// How far a round is in an image.
#[derive(Clone)]
struct AtImage {
    key: Key,
    id: u64,
    /// Its blobs, then the parts of its manifests, then these.
    table: Table,
    /// Those that were not looked at.
    rest: KeyRange,
}

impl Place {
    /// At the first image.
    pub(super) fn start() -> Self {
        Place { images: KeyRange::prefix(&Key::table(Table::Image)), image: None }
    }
}

impl AtImage {
    fn start(key: Key, id: u64, table: Table) -> Self {
        AtImage { key, id, table, rest: KeyRange::prefix(&keys::all_of_image(table, id)) }
    }

    /// Behind a record; `None`: behind all of the image.
    fn behind(&self, last: Option<&Key>) -> Option<Self> {
        if let Some(last) = last {
            return Some(AtImage { rest: self.rest.clone().after(last), ..self.clone() });
        }
        let next = match self.table {
            Table::ImageBlob => Table::ManifestPart,
            Table::ManifestPart => Table::Manifest,
            _ => return None,
        };
        Some(AtImage::start(self.key.clone(), self.id, next))
    }
}

impl Artifacts {
    /// Looks at the next records of an image. Returns where to go on; `None`: that was the last image.
    pub(super) async fn sweep_images(&self, place: &Place, limit: usize) -> Result<Option<Place>, Error> {
        let Some(at) = &place.image else {
            let page = self.store.scan(place.images.clone(), 1).await?;
            let Some((key, stored)) = page.records.into_iter().next() else { return Ok(None) };
            let record: ImageRecord = decode(&key, &stored.value)?;
            let images = place.images.clone().after(&key);
            return Ok(Some(Place { images, image: Some(AtImage::start(key, record.id, Table::ImageBlob)) }));
        };
        let page = self.store.scan(at.rest.clone(), limit).await?;
        let mut parts = Vec::new();
        for (key, stored) in &page.records {
            if at.table == Table::ManifestPart {
                let record: ManifestPartRecord = decode(key, &stored.value)?;
                parts.extend(self.is_idle(record.write_us).then(|| key.clone()));
                continue;
            }
            if at.table == Table::Manifest {
                if let Some(manifest) = decode_manifest(key, &stored.value)?
                    && self.sweep_orphan(&at.key, at.id, &manifest).await?
                {
                    measure::swept("manifest", 1);
                }
                continue;
            }
            let record: ImageBlobRecord = decode(key, &stored.value)?;
            if let Some((digest, _)) = keys::digests_of(key)
                && self.is_idle(record.touch_us)
                && self.sweep_image_blob(&at.key, at.id, &digest).await?
            {
                measure::swept("link", 1);
            }
        }
        for parts in parts.chunks(PARTS_AT_A_TIME) {
            measure::swept("part", self.sweep_parts(&at.key, at.id, parts).await?);
        }
        let image = at.behind(page.records.last().filter(|_| page.has_more).map(|(last, _)| last));
        Ok(Some(Place { images: place.images.clone(), image }))
    }

    fn is_idle(&self, touch_us: u64) -> bool {
        is_older(touch_us, self.now_us(), self.settings.sweep_after)
    }

    /// Removes those records about parts whose manifests are not there. Returns how many.
    async fn sweep_parts(&self, image_key: &Key, image: u64, parts: &[Key]) -> Result<u64, Error> {
        let swept = self.decide("the parts of manifests", |mut tx| async move {
            // Who puts a manifest changes it, and decides again when somebody else has.
            let record: Option<ImageRecord> = tx.get(image_key).await?;
            let Some(mut record) = record.filter(|record| record.id == image) else { return Ok(tx.answer(0)) };
            let mut count = 0;
            for key in parts {
                let Some((_, Some(manifest))) = keys::digests_of(key) else { continue };
                if tx.stored::<ManifestRecord>(&keys::manifest(image, &manifest)).await?.is_none() {
                    tx.delete(key.clone());
                    count += 1;
                }
            }
            if count > 0 {
                tx.put_image(&mut record);
            }
            Ok(tx.answer(count))
        });
        swept.await.map(|(count, _)| count)
    }

    /// Takes a blob from an image if no manifest consists of it. Returns whether it did.
    pub(in crate::artifact) async fn sweep_image_blob(
        &self,
        image_key: &Key,
        image: u64,
        digest: &Digest,
    ) -> Result<bool, Error> {
        let swept = self.decide(digest, |mut tx| async move {
            // Before the manifests are looked at: one that is put meanwhile changes this record.
            let record: Option<ImageRecord> = tx.get(image_key).await?;
            let Some(record) = record.filter(|record| record.id == image) else { return Ok(tx.answer(false)) };
            let link: Option<ImageBlobRecord> = tx.get(&keys::image_blob(image, digest)).await?;
            let is_idle = link.is_some_and(|link| self.is_idle(link.touch_us));
            if !is_idle || tx.is_part(image, digest).await? {
                return Ok(tx.answer(false));
            }
            tx.take_blob(record, digest);
            Ok(tx.answer(true))
        });
        swept.await.map(|(swept, _)| swept)
    }
}
