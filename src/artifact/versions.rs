//! Versions of packages: tags, and what is written on them.

use std::collections::HashMap;
use std::ops::ControlFlow;

use steward_proto::store::v1::{ImageRecord, TagRecord};

use super::artifacts::Artifacts;
use super::error::Error;
use super::keys;
use super::manifest_put::Manifest;
use super::packages::PackageName;
use super::reference::Reference;
use super::version_metadata::write_metadata;
use super::walk::{Listed, Page, Window, walk};
use crate::store::tx::{self, Tx};
use crate::store::{KeyRange, Table};

/// A tag, and the manifest that it names.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Version {
    /// The tag.
    pub(super) name: String,
    /// What is known of it.
    pub(super) tag: TagRecord,
    /// Its manifest; `None` if that is being deleted just now.
    pub(super) manifest: Option<Manifest>,
}

impl Tx<'_> {
    async fn version(&mut self, name: &PackageName, version: &str) -> Result<(ImageRecord, Version), Error> {
        let (_, image) = self.package(name).await?;
        let not_found = || Error::VersionNotFound { package: name.key.clone(), version: version.to_owned() };
        let (tag, digest) = self.tag(&image, version).await?.ok_or_else(not_found)?;
        let manifest = self.manifest(&image, &Reference::Digest(digest)).await?;
        Ok((image, Version { name: version.to_owned(), tag, manifest: Some(manifest) }))
    }
}

impl Artifacts {
    /// Lists the versions of a package with this in their names, in the order of these.
    pub(super) async fn list_versions(
        &self,
        name: &PackageName,
        contains: &str,
        page: &Page,
    ) -> Result<Listed<Version>, Error> {
        let listed = self.decide(&name.key, |mut tx| async move {
            let (_, image) = tx.package(name).await?;
            let mut window = Window::new(page.size);
            let range = KeyRange::prefix(&keys::all_of_image(Table::ImageTag, image.id));
            let walked = walk(&*self.store, range, |key, value| {
                if let Some(tag) = keys::name_of(key).filter(|tag| tag.contains(contains)) {
                    window.see(*tag > *page.after, || {
                        Ok(Version { tag: tx::decode(key, value)?, name: tag.clone(), manifest: None })
                    })?;
                }
                Ok(ControlFlow::Continue(()))
            });
            walked.await?;
            let mut listed = window.close(|last| last.name.clone());
            for version in &mut listed.items {
                let Ok(digest) = version.tag.digest.parse() else { continue };
                let record = tx.stored(&keys::manifest(image.id, &digest)).await?;
                version.manifest = record.map(|record| Manifest { digest, record });
            }
            Ok(tx.answer(listed))
        });
        Ok(listed.await?.0)
    }

    /// Reads a version.
    pub(super) async fn look_up_version(&self, name: &PackageName, version: &str) -> Result<Version, Error> {
        let found = self.decide(&name.key, |mut tx| async move {
            let (_, found) = tx.version(name, version).await?;
            Ok(tx.answer(found))
        });
        Ok(found.await?.0)
    }

    /// Writes metadata on a version, and takes keys away.
    pub(super) async fn update_version(
        &self,
        name: PackageName,
        version: String,
        written: HashMap<String, String>,
        taken: Vec<String>,
    ) -> Result<Version, Error> {
        let artifacts = self.clone();
        self.to_the_end(async move {
            let (name, version, written, taken) = (&name, &version, &written, &taken);
            let updated = artifacts.decide(&name.key, |mut tx| async move {
                let (image, mut found) = tx.version(name, version).await?;
                let metadata = write_metadata(found.tag.metadata.clone(), written, taken)?;
                if metadata != found.tag.metadata {
                    found.tag.metadata = metadata;
                    tx.put(keys::tag(image.id, version), &found.tag);
                }
                Ok(tx.answer(found))
            });
            Ok(updated.await?.0)
        })
        .await
    }

    /// Deletes a version: the tag, and the manifest if nothing else in the image needs it.
    pub(super) async fn delete_version(&self, name: PackageName, version: String) -> Result<(), Error> {
        let artifacts = self.clone();
        self.to_the_end(async move {
            let image = artifacts.image_of(&name).await?;
            if artifacts.delete_with_tag(&image, &version).await? {
                return Ok(());
            }
            Err(Error::VersionNotFound { package: name.key, version })
        })
        .await
    }
}
