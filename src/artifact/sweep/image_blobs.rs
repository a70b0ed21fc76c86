//! Takes blobs from images that no manifest consists of.

use steward_proto::store::v1::{ImageBlobRecord, ImageRecord, ManifestRecord};

use super::super::artifacts::Artifacts;
use super::super::blob_use::is_older;
use super::super::error::Error;
use super::super::{keys, measure};
use crate::blob::Digest;
use crate::store::tx::{Tx, decode};
use crate::store::{Key, KeyRange, Table};

/// How many manifests are looked at together.
const MANIFESTS_AT_A_TIME: usize = 64;

/// How far a round over the blobs of all images is.
pub(super) struct Place {
    /// The images that were not looked at.
    images: KeyRange,
    /// The image that is being looked at, and those of its blobs that were not.
    image: Option<(Key, u64, KeyRange)>,
}

impl Place {
    /// At the first image.
    pub(super) fn start() -> Self {
        Place { images: KeyRange::prefix(&Key::table(Table::Image)), image: None }
    }
}

impl Artifacts {
    /// Looks at the next blobs of an image. Returns where to go on; `None`: that was the last image.
    pub(super) async fn sweep_image_blobs(&self, place: &Place, limit: usize) -> Result<Option<Place>, Error> {
        let Some((key, image, blobs)) = &place.image else {
            let page = self.store.scan(place.images.clone(), 1).await?;
            let Some((key, stored)) = page.records.into_iter().next() else { return Ok(None) };
            let record: ImageRecord = decode(&key, &stored.value)?;
            let blobs = KeyRange::prefix(&keys::all_of_image(Table::ImageBlob, record.id));
            let images = place.images.clone().after(&key);
            return Ok(Some(Place { images, image: Some((key, record.id, blobs)) }));
        };
        let page = self.store.scan(blobs.clone(), limit).await?;
        for (blob_key, stored) in &page.records {
            let record: ImageBlobRecord = decode(blob_key, &stored.value)?;
            if let Some((digest, _)) = keys::digests_of(blob_key)
                && self.is_link_idle(&record)
                && self.sweep_image_blob(key, *image, &digest).await?
            {
                measure::swept("link", 1);
            }
        }
        let last = page.records.last().filter(|_| page.has_more);
        let image = last.map(|(last, _)| (key.clone(), *image, blobs.clone().after(last)));
        Ok(Some(Place { images: place.images.clone(), image }))
    }

    fn is_link_idle(&self, record: &ImageBlobRecord) -> bool {
        is_older(record.touch_us, self.now_us(), self.settings.sweep_after)
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
            let is_idle = link.is_some_and(|link| self.is_link_idle(&link));
            if !is_idle || is_part_of_manifest(&tx, image, digest).await? {
                return Ok(tx.answer(false));
            }
            tx.take_blob(record, digest);
            Ok(tx.answer(true))
        });
        swept.await.map(|(swept, _)| swept)
    }
}

async fn is_part_of_manifest(tx: &Tx<'_>, image: u64, digest: &Digest) -> Result<bool, Error> {
    let mut range = KeyRange::prefix(&keys::manifests_with(image, digest));
    loop {
        let found = tx.scan(range.clone(), MANIFESTS_AT_A_TIME).await?;
        for (key, _) in &found {
            // What was written for a manifest that never came says nothing.
            if let Some((_, Some(manifest))) = keys::digests_of(key)
                && tx.stored::<ManifestRecord>(&keys::manifest(image, &manifest)).await?.is_some()
            {
                return Ok(true);
            }
        }
        let Some((last, _)) = found.last().filter(|_| found.len() == MANIFESTS_AT_A_TIME) else { return Ok(false) };
        range = range.after(last);
    }
}
