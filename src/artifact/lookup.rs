//! Finding projects, repositories and images.

use steward_proto::artifact::v1::RepositoryType;
use steward_proto::store::v1::{ImageRecord, ProjectRecord, RepositoryRecord};

use super::artifacts::new_id;
use super::error::Error;
use super::folders::ROOT;
use super::keys;
use crate::store::tx::Tx;

impl Tx<'_> {
    /// A project that is there.
    pub(super) async fn project(&mut self, name: &str) -> Result<ProjectRecord, Error> {
        let record = self.get(&keys::project(name)).await?;
        record.ok_or_else(|| Error::ProjectNotFound(name.to_owned()))
    }

    /// A repository that is there.
    pub(super) async fn repository(&mut self, project: &str, name: &str) -> Result<RepositoryRecord, Error> {
        let record = self.get(&keys::repository(project, name)).await?;
        record.ok_or_else(|| Error::RepositoryNotFound(name.to_owned()))
    }

    /// A repository of images that is there.
    pub(super) async fn image_repository(&mut self, project: &str, name: &str) -> Result<RepositoryRecord, Error> {
        let record = self.repository(project, name).await?;
        if holds_images(&record) { Ok(record) } else { Err(wrong_type(&record, "images")) }
    }

    /// A repository of files that is there.
    pub(super) async fn file_repository(&mut self, project: &str, name: &str) -> Result<RepositoryRecord, Error> {
        let record = self.repository(project, name).await?;
        if holds_images(&record) { Err(wrong_type(&record, "files")) } else { Ok(record) }
    }

    /// An image of a repository, if it is there.
    pub(super) async fn image(&mut self, repository: u64, name: &str) -> Result<Option<ImageRecord>, Error> {
        Ok(self.get(&keys::image(repository, name)).await?)
    }

    /// An image of a repository, founded if it is not there.
    pub(super) async fn found_image(
        &mut self,
        repository: u64,
        name: &str,
        user: &str,
        now_us: u64,
    ) -> Result<ImageRecord, Error> {
        if let Some(image) = self.image(repository, name).await? {
            return Ok(image);
        }
        // Who deletes a repository that has to be empty looks at it.
        self.enter_folder(repository, ROOT).await?;
        let image = ImageRecord {
            id: new_id(),
            repository_id: repository,
            name: name.to_owned(),
            created_by: user.to_owned(),
            create_us: now_us,
            modify_us: now_us,
            ..ImageRecord::default()
        };
        self.put(keys::image(repository, name), &image);
        Ok(image)
    }
}

/// Whether a repository holds images; otherwise it holds files.
pub(super) fn holds_images(repository: &RepositoryRecord) -> bool {
    let held = RepositoryType::try_from(repository.r#type).unwrap_or_default();
    matches!(held, RepositoryType::Docker | RepositoryType::Oci | RepositoryType::Helm)
}

fn wrong_type(repository: &RepositoryRecord, wanted: &'static str) -> Error {
    Error::WrongRepositoryType { name: repository.name.clone(), wanted }
}
