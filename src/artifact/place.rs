//! Where bytes go to and come from: a repository of files, or an image.

use steward_proto::artifact::v1::ImageName;
use steward_proto::store::v1::{ImageRecord, RepositoryRecord};

use super::error::Error;
use super::image_name::is_image;
use super::sight::Sight;
use crate::store::tx::Tx;

/// A repository of files, or an image, which need not be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    project: String,
    repository: String,
    /// Empty: the repository is meant.
    pub(super) image: String,
}

impl Place {
    /// Reads a field of a request.
    pub(super) fn parse(field: &'static str, name: Option<ImageName>) -> Result<Self, Error> {
        let ImageName { project, repository, image } = name.unwrap_or_default();
        if project.is_empty() || repository.is_empty() {
            return Err(Error::invalid(field, "has to name a project and a repository"));
        }
        if !image.is_empty() && !is_image(&image) {
            return Err(Error::invalid(field, format!("{image:?} is not the name of an image")));
        }
        Ok(Place { project, repository, image })
    }

    /// Reads a field that has to name an image.
    pub(super) fn parse_image(field: &'static str, name: Option<ImageName>) -> Result<Self, Error> {
        let place = Place::parse(field, name)?;
        if place.image.is_empty() { Err(Error::invalid(field, "has to name an image")) } else { Ok(place) }
    }

    /// Whether all of the repository may be seen.
    pub(super) fn is_seen(&self, sight: &Sight) -> bool {
        sight.on(&self.project, &self.repository).is_whole()
    }

    pub(super) fn is_image(&self) -> bool {
        !self.image.is_empty()
    }
}

impl Tx<'_> {
    /// The repository of a place, which is there and holds such things.
    pub(super) async fn repository_of(&mut self, place: &Place) -> Result<RepositoryRecord, Error> {
        if place.is_image() {
            self.image_repository(&place.project, &place.repository).await
        } else {
            self.file_repository(&place.project, &place.repository).await
        }
    }

    /// The image of a place, if it is there.
    pub(super) async fn image_of(&mut self, place: &Place) -> Result<Option<ImageRecord>, Error> {
        let repository = self.repository_of(place).await?;
        self.image(repository.id, &place.image).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_names_a_repository_at_least() {
        let name = |project: &str, repository: &str, image: &str| {
            Some(ImageName { project: project.into(), repository: repository.into(), image: image.into() })
        };
        assert!(Place::parse("target", None).is_err());
        assert!(Place::parse("target", name("p", "", "i")).is_err());
        assert!(Place::parse("target", name("p", "r", "UP")).is_err());
        assert!(!Place::parse("target", name("p", "r", "")).unwrap().is_image());
        assert!(Place::parse_image("name", name("p", "r", "")).is_err());
        assert!(Place::parse_image("name", name("p", "r", "i")).unwrap().is_image());
    }
}
