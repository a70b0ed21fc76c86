//! Manifests that refer to others: signatures, bills of materials, attestations.

use std::collections::BTreeMap;

use steward_proto::store::v1::{ManifestRecord, ReferrerRecord};

use super::artifacts::Artifacts;
use super::error::Error;
use super::image_name::ImageName;
use super::keys;
use super::manifest_parse::{annotations, apart};
use super::manifest_put::Manifest;
use super::reference::parse_digest;
use super::walk::Page;
use crate::blob::Digest;
use crate::store::KeyRange;
use crate::store::tx;

/// The most bytes of annotations of one referrer; more are left out, as they would not fit into an answer.
const MAX_ANNOTATION_BYTES: usize = 1 << 20;
/// A page ends when its annotations have so many bytes.
const PAGE_ANNOTATION_BYTES: usize = 2 << 20;
/// How many records are looked at together.
const BATCH: usize = 256;

/// A manifest that refers to another.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Referrer {
    /// It.
    pub(super) manifest: Manifest,
    /// Its annotations.
    pub(super) annotations: BTreeMap<String, String>,
}

impl Artifacts {
    /// Lists the manifests of an image that refer to one, in the order of their digests, and where to go on. Neither
    /// the image nor the subject has to be there.
    pub(super) async fn list_referrers(
        &self,
        name: &ImageName,
        subject: &Digest,
        artifact_type: &str,
        page: &Page,
    ) -> Result<(Vec<Referrer>, Option<String>), Error> {
        let after = match page.after.as_str() {
            "" => None,
            after => Some(parse_digest("page_token", after)?),
        };
        let found = self.decide(name, |mut tx| async move {
            let repository = tx.image_repository(&name.project, &name.repository).await?;
            let image = tx.image(repository.id, &name.image).await?;
            Ok::<_, Error>(tx.answer(image.map(|image| image.id)))
        });
        let Some(image) = found.await?.0 else { return Ok((Vec::new(), None)) };
        let mut range = KeyRange::prefix(&keys::referrers_of(image, subject));
        if let Some(after) = after {
            range = range.after(&keys::referrer(image, subject, &after));
        }
        let found = self.gather_referrers(image, range, artifact_type, page.size).await?;
        self.store.settled().await?;
        Ok(found)
    }

    async fn gather_referrers(
        &self,
        image: u64,
        mut range: KeyRange,
        artifact_type: &str,
        limit: usize,
    ) -> Result<(Vec<Referrer>, Option<String>), Error> {
        let (mut referrers, mut bytes): (Vec<Referrer>, usize) = (Vec::new(), 0);
        loop {
            let found = tx::scan(&*self.store, range.clone(), BATCH).await?;
            for (key, value) in &found {
                let Some((_, Some(digest))) = keys::digests_of(key) else { continue };
                let record: ReferrerRecord = tx::decode(key, value)?;
                if !artifact_type.is_empty() && record.artifact_type != artifact_type {
                    continue;
                }
                if referrers.len() == limit || bytes >= PAGE_ANNOTATION_BYTES {
                    let last = referrers.last().map(|last| last.manifest.digest.to_string());
                    return Ok((referrers, last));
                }
                if let Some(referrer) = self.referrer(image, digest).await? {
                    bytes += annotation_bytes(&referrer.annotations);
                    referrers.push(referrer);
                }
            }
            let Some((last, _)) = found.last() else { return Ok((referrers, None)) };
            range = range.after(last);
        }
    }

    async fn referrer(&self, image: u64, digest: Digest) -> Result<Option<Referrer>, Error> {
        let record: Option<ManifestRecord> = tx::read(&*self.store, &keys::manifest(image, &digest)).await?;
        // One that is being deleted just now.
        let Some(record) = record else { return Ok(None) };
        let content = self.read_bytes(&digest).await?;
        let mut annotations = apart(content.len(), move || annotations(&content)).await?;
        if annotation_bytes(&annotations) > MAX_ANNOTATION_BYTES {
            annotations.clear();
        }
        Ok(Some(Referrer { manifest: Manifest { digest, record }, annotations }))
    }
}

/// How much annotations take in an answer, about.
fn annotation_bytes(annotations: &BTreeMap<String, String>) -> usize {
    const OVERHEAD: usize = 16;
    annotations.iter().map(|(key, value)| key.len() + value.len() + OVERHEAD).sum()
}
