//! Images: found, changed, and listed.

use std::ops::ControlFlow;

use steward_proto::store::v1::{ImageRecord, RepositoryRecord, TagRecord};

use super::artifacts::Artifacts;
use super::error::Error;
use super::image_name::ImageName;
use super::keys;
use super::lookup::holds_images;
use super::sight::Sight;
use super::walk::walk;
use crate::store::tx::{self, Tx};
use crate::store::{Key, KeyRange, Table};

/// How many tags are looked at together.
const BATCH: usize = 256;

impl Tx<'_> {
    /// An image that is there, and its repository.
    pub(super) async fn existing_image(&mut self, name: &ImageName) -> Result<(RepositoryRecord, ImageRecord), Error> {
        let repository = self.image_repository(&name.project, &name.repository).await?;
        let image = self.image(repository.id, &name.image).await?;
        let image = image.ok_or_else(|| Error::ImageNotFound(name.image.clone()))?;
        Ok((repository, image))
    }

    /// Changes the record of an image, so that all decide again who have looked at what it has.
    pub(super) fn put_image(&mut self, image: &mut ImageRecord) {
        image.generation += 1;
        self.put(keys::image(image.repository_id, &image.name), image);
    }

    /// Lets an image without one of its tags name the one as the latest that was pushed last of the others.
    pub(super) async fn forget_latest(&mut self, image: &mut ImageRecord, gone: &[String]) -> Result<(), Error> {
        if !gone.contains(&image.latest) {
            return Ok(());
        }
        let mut latest: Option<(u64, String)> = None;
        let mut range = KeyRange::prefix(&keys::all_of_image(Table::ImageTag, image.id));
        loop {
            let found = self.scan(range.clone(), BATCH).await?;
            for (key, value) in &found {
                let Some(name) = keys::name_of(key).filter(|name| !gone.contains(name)) else { continue };
                let pushed = tx::decode::<TagRecord>(key, value)?.modify_us;
                latest = latest.max(Some((pushed, name)));
            }
            let Some((last, _)) = found.last() else { break };
            range = range.after(last);
        }
        image.latest = latest.map(|(_, name)| name).unwrap_or_default();
        Ok(())
    }
}

impl Artifacts {
    /// Up to `limit` names of images that may be seen behind one, as `project/repository/image` in the order of their bytes, and whether
    /// there are further ones.
    pub(super) async fn list_images(
        &self,
        after: &str,
        limit: usize,
        sight: &Sight,
    ) -> Result<(Vec<String>, bool), Error> {
        let mut names = Vec::new();
        for (start, repository) in self.image_repositories(sight).await? {
            let whole = KeyRange::prefix(&keys::images_of(repository));
            let range = match after.strip_prefix(&start) {
                Some(image) => whole.after(&keys::image(repository, image)),
                None if *start < *after => continue,
                None => whole,
            };
            let view = sight.within(&start);
            let listed = walk(&*self.store, range, |key, _| {
                let name = keys::name_of(key).filter(|name| view.has(name));
                names.extend(name.map(|name| format!("{start}{name}")));
                Ok(if names.len() > limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            });
            listed.await?;
            if names.len() > limit {
                break;
            }
        }
        self.store.settled().await?;
        let has_more = names.len() > limit;
        names.truncate(limit);
        Ok((names, has_more))
    }

    /// What the names of the images of each repository start with, in order, and its number. The order of the keys is
    /// another one, as some letters of names are before the slash.
    async fn image_repositories(&self, sight: &Sight) -> Result<Vec<(String, u64)>, Error> {
        let mut repositories = Vec::new();
        let range = KeyRange::prefix(&Key::table(Table::ArtifactRepository));
        let listed = walk(&*self.store, range, |key, value| {
            let record: RepositoryRecord = tx::decode(key, value)?;
            if holds_images(&record) && sight.has_repository(&record.project, &record.name) {
                repositories.push((format!("{}/{}/", record.project, record.name), record.id));
            }
            Ok(ControlFlow::Continue(()))
        });
        listed.await?;
        repositories.sort();
        Ok(repositories)
    }
}
