//! Packages: images as those see them who look for versions.

use std::ops::ControlFlow;

use steward_proto::artifact::v1::RepositoryType;
use steward_proto::store::v1::{DeletedRepositoryRecord, ImageRecord, RepositoryRecord};

use super::artifacts::Artifacts;
use super::changes::Stamp;
use super::error::Error;
use super::image_name::{ImageName, image_of_package};
use super::keys;
use super::sight::View;
use super::tags::change_of;
use super::walk::{Listed, Page, Window, count, walk};
use crate::store::tx::{self, Tx};
use crate::store::{KeyRange, Table};

/// How many tags one transaction takes away: each takes three operations.
const TAGS_AT_ONCE: usize = 30;
/// With so many tags a package goes in one transaction, which only tells of each.
const TAGS_AT_LAST: usize = 90;

/// An image and its tags.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Package {
    /// The image.
    pub(super) image: ImageRecord,
    /// What its repository holds.
    pub(super) held: RepositoryType,
    /// How many tags there are.
    pub(super) version_count: u64,
}

/// Which package: a repository, and a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PackageName {
    /// The project.
    pub(super) project: String,
    /// The repository.
    pub(super) repository: String,
    /// The key.
    pub(super) key: String,
}

/// What a repository holds.
pub(super) fn held_by(repository: &RepositoryRecord) -> RepositoryType {
    RepositoryType::try_from(repository.r#type).unwrap_or_default()
}

impl Tx<'_> {
    /// The image of a package that is there.
    pub(super) async fn package(&mut self, name: &PackageName) -> Result<(RepositoryRecord, ImageRecord), Error> {
        let not_found = || Error::PackageNotFound(name.key.clone());
        let repository = self.image_repository(&name.project, &name.repository).await?;
        let image = image_of_package(held_by(&repository), &name.key).ok_or_else(not_found)?;
        let image = self.image(repository.id, image).await?.ok_or_else(not_found)?;
        Ok((repository, image))
    }
}

impl Artifacts {
    /// Lists the packages of a repository that may be seen with this in their names, in the order of these.
    pub(super) async fn list_packages(
        &self,
        (project, repository): (&str, &str),
        contains: &str,
        page: &Page,
        view: &View,
    ) -> Result<Listed<Package>, Error> {
        let found = self.decide("a repository", |mut tx| async move {
            let repository = tx.image_repository(project, repository).await?;
            Ok::<_, Error>(tx.answer(repository))
        });
        let repository = found.await?.0;
        let held = held_by(&repository);
        let mut window = Window::new(page.size);
        let walked = walk(&*self.store, KeyRange::prefix(&keys::images_of(repository.id)), |key, value| {
            if let Some(name) = keys::name_of(key).filter(|name| name.contains(contains) && view.has(name)) {
                let package = || Ok(Package { image: tx::decode(key, value)?, held, version_count: 0 });
                window.see(*name > *page.after, package)?;
            }
            Ok(ControlFlow::Continue(()))
        });
        walked.await?;
        let mut listed = window.close(|last| last.image.name.clone());
        for package in &mut listed.items {
            package.version_count = self.count_versions(package.image.id).await?;
        }
        self.store.settled().await?;
        Ok(listed)
    }

    async fn count_versions(&self, image: u64) -> Result<u64, Error> {
        count(&*self.store, KeyRange::prefix(&keys::all_of_image(Table::ImageTag, image))).await
    }

    /// Reads a package.
    pub(super) async fn look_up_package(&self, name: &PackageName) -> Result<Package, Error> {
        let found = self.decide(&name.key, |mut tx| async move {
            let (repository, image) = tx.package(name).await?;
            let version_count = self.count_versions(image.id).await?;
            Ok(tx.answer(Package { held: held_by(&repository), version_count, image }))
        });
        Ok(found.await?.0)
    }

    /// The image of a package that is there.
    pub(super) async fn image_of(&self, name: &PackageName) -> Result<ImageName, Error> {
        let found = self.decide(&name.key, |mut tx| async move {
            let (_, image) = tx.package(name).await?;
            Ok::<_, Error>(tx.answer(image.name))
        });
        let image = found.await?.0;
        Ok(ImageName { project: name.project.clone(), repository: name.repository.clone(), image })
    }

    /// Deletes a package with all it has. One of very many tags loses them in several steps, and vanishes with the last
    /// of them; its manifests and blobs are swept.
    pub(super) async fn delete_package(&self, name: PackageName) -> Result<(), Error> {
        let artifacts = self.clone();
        self.to_the_end(async move {
            while !artifacts.delete_package_step(&name).await? {}
            Ok(())
        })
        .await
    }

    /// Whether that was all.
    async fn delete_package_step(&self, name: &PackageName) -> Result<bool, Error> {
        let now_us = self.now_us();
        let stamps: &Vec<Stamp> = &(0..TAGS_AT_LAST).map(|_| self.stamps.take(now_us)).collect();
        let deleted = self.decide(&name.key, |mut tx| async move {
            let (_, mut image) = tx.package(name).await?;
            let range = KeyRange::prefix(&keys::all_of_image(Table::ImageTag, image.id));
            let tags = tx.scan(range, TAGS_AT_LAST + 1).await?;
            let is_last = tags.len() <= TAGS_AT_LAST;
            let now = if is_last { TAGS_AT_LAST } else { TAGS_AT_ONCE };
            let mut gone = Vec::new();
            for ((key, value), stamp) in tags.iter().take(now).zip(stamps) {
                let Some(tag) = keys::name_of(key) else { continue };
                let digest = tx::decode::<steward_proto::store::v1::TagRecord>(key, value)?.digest;
                if is_last {
                    let change = change_of(&image, &tag, "", &digest);
                    tx.note_change(image.repository_id, stamp, &change);
                } else {
                    let digest = digest.parse();
                    let digest = digest.map_err(|error| Error::DataDamaged(format!("the digest of a tag {error}")))?;
                    tx.drop_tag(&image, &tag, &digest, stamp);
                }
                gone.push(tag);
            }
            if is_last {
                tx.delete(keys::image(image.repository_id, &image.name));
                tx.put(keys::deleted_image(image.id), &DeletedRepositoryRecord { delete_us: now_us });
            } else {
                tx.tags_are_gone(&mut image, &gone, now_us).await?;
            }
            Ok(tx.answer(is_last))
        });
        Ok(deleted.await?.0)
    }
}
