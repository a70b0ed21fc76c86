//! How files and images are named on the command line: `p1/files/dir/a.txt`, `p1/images/nginx:1.1`.

use std::fmt;
use std::str::FromStr;

use steward_proto::artifact::v1 as pb;

use crate::cli::console::printable;
use crate::cli::repository_name::RepositoryName;

/// The tag of an image that is named without one, as other tools have it.
const USUAL_TAG: &str = "latest";

/// A path in a repository. What else is wrong with it is the server's to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) repository: RepositoryName,
    /// With a slash in front.
    pub(super) path: String,
}

/// An image in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ImageReference {
    pub(super) repository: RepositoryName,
    pub(super) image: String,
    /// A tag or digest, if one is named.
    pub(super) version: Option<Version>,
}

/// Which manifest of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Tag(String),
    Digest(String),
}

/// What can be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Listed {
    /// A project, or all of a repository.
    Project(String),
    Place(Place),
}

impl Place {
    /// Whether it is a folder by its own words: it has a slash at its end.
    pub(super) fn is_folder(&self) -> bool {
        self.path.ends_with('/')
    }

    /// The last part of the path.
    pub(super) fn last_part(&self) -> &str {
        let path = self.path.trim_end_matches('/');
        path.rsplit_once('/').map_or(path, |(_, name)| name)
    }

    /// The same place, read as the name of an image.
    pub(super) fn to_image(&self) -> Result<ImageReference, String> {
        ImageReference::of(self.repository.clone(), self.path.trim_matches('/'))
    }
}

impl ImageReference {
    fn of(repository: RepositoryName, text: &str) -> Result<Self, String> {
        // A colon in front of a slash is none of a tag.
        let colon = text.rfind(':').filter(|colon| !text[*colon..].contains('/'));
        let (image, version) = match (text.split_once('@'), colon) {
            (Some((image, digest)), _) => {
                // A tag beside a digest does not count, as elsewhere.
                let tag = image.rfind(':').filter(|colon| !image[*colon..].contains('/'));
                (&image[..tag.unwrap_or(image.len())], Some(Version::Digest(digest.to_owned())))
            }
            (None, Some(colon)) => (&text[..colon], Some(Version::Tag(text[colon + 1..].to_owned()))),
            (None, None) => (text, None),
        };
        let is_empty =
            |version: &Version| matches!(version, Version::Tag(text) | Version::Digest(text) if text.is_empty());
        if image.is_empty() || version.as_ref().is_some_and(is_empty) {
            return Err("not an image; write it as PROJECT/REPO/IMAGE or PROJECT/REPO/IMAGE:TAG".to_owned());
        }
        Ok(ImageReference { repository, image: image.to_owned(), version })
    }

    pub(super) fn to_proto(&self) -> pb::ImageName {
        pb::ImageName {
            project: self.repository.project.clone(),
            repository: self.repository.name.clone(),
            image: self.image.clone(),
        }
    }

    /// The tag or digest; without one, the tag `latest`.
    pub(super) fn reference(&self) -> &str {
        match &self.version {
            Some(Version::Tag(reference) | Version::Digest(reference)) => reference,
            None => USUAL_TAG,
        }
    }

    /// The key of its package in a repository that holds `held`.
    pub(super) fn package_key(&self, held: pb::RepositoryType) -> String {
        let scheme = match held {
            pb::RepositoryType::Docker => "docker",
            pb::RepositoryType::Helm => "helm",
            _ => "oci",
        };
        format!("{scheme}://{}", self.image)
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match RepositoryName::split(text) {
            Some((repository, Some(path))) => Ok(Place { repository, path: format!("/{path}") }),
            Some((_, None)) | None => Err("not a path in a repository; write it as PROJECT/REPO/PATH".to_owned()),
        }
    }
}

impl FromStr for ImageReference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match RepositoryName::split(text) {
            Some((repository, Some(image))) => ImageReference::of(repository, image),
            Some((_, None)) | None => Err("not an image; write it as PROJECT/REPO/IMAGE".to_owned()),
        }
    }
}

impl FromStr for Listed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let project = text.strip_suffix('/').unwrap_or(text);
        if !project.is_empty() && !project.contains('/') {
            return Ok(Listed::Project(project.to_owned()));
        }
        match RepositoryName::split(text) {
            Some((repository, path)) => {
                Ok(Listed::Place(Place { repository, path: format!("/{}", path.unwrap_or_default()) }))
            }
            None => Err("write it as PROJECT, PROJECT/REPO or PROJECT/REPO/PATH".to_owned()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.repository, printable(&self.path))
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.repository, printable(&self.image))?;
        match &self.version {
            Some(Version::Tag(tag)) => write!(f, ":{}", printable(tag)),
            Some(Version::Digest(digest)) => write!(f, "@{}", printable(digest)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_behind_its_repository() {
        let place: Place = "p1/files/dir/a.txt".parse().unwrap();
        assert_eq!((place.path.as_str(), place.last_part()), ("/dir/a.txt", "a.txt"));
        assert_eq!(place.to_string(), "p1/files/dir/a.txt");
        assert!("p1/files/dir/".parse::<Place>().unwrap().is_folder());
        assert_eq!("p1/files/".parse::<Place>().unwrap().path, "/");
        assert!("p1/files".parse::<Place>().is_err());
    }

    #[test]
    fn an_image_has_a_tag_a_digest_or_none() {
        for (text, image, reference) in [
            ("p1/images/nginx", "nginx", "latest"),
            ("p1/images/team/nginx:1.1", "team/nginx", "1.1"),
            ("p1/images/nginx@sha256:ab", "nginx", "sha256:ab"),
            ("p1/images/nginx:1.1@sha256:ab", "nginx", "sha256:ab"),
        ] {
            let parsed: ImageReference = text.parse().unwrap();
            assert_eq!((parsed.image.as_str(), parsed.reference()), (image, reference), "{text}");
        }
        for wrong in ["p1/images", "p1/images/", "p1/images/nginx:", "p1/images/:1", "p1/images/nginx@"] {
            assert!(wrong.parse::<ImageReference>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_list_is_of_a_project_or_of_a_place() {
        assert_eq!("p1/".parse(), Ok(Listed::Project("p1".to_owned())));
        let place = |path: &str| {
            let repository = RepositoryName { project: "p1".to_owned(), name: "files".to_owned() };
            Ok(Listed::Place(Place { repository, path: path.to_owned() }))
        };
        assert_eq!("p1/files".parse(), place("/"));
        assert_eq!("p1/files/dir".parse(), place("/dir"));
        assert!("".parse::<Listed>().is_err() && "/x".parse::<Listed>().is_err());
    }

    #[test]
    fn packages_are_called_after_what_the_repository_holds() {
        let image: ImageReference = "p1/images/nginx".parse().unwrap();
        assert_eq!(image.package_key(pb::RepositoryType::Docker), "docker://nginx");
        assert_eq!(image.package_key(pb::RepositoryType::Oci), "oci://nginx");
    }
}
