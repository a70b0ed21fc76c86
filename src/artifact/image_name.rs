//! Names of images, and the keys of packages that stand for them.

use std::fmt;

use steward_proto::artifact::v1::RepositoryType;

use super::error::Error;

/// The longest name of an image in its repository, in bytes.
const MAX_NAME_BYTES: usize = 255;

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ImageName {
    /// The project.
    pub(super) project: String,
    /// The repository.
    pub(super) repository: String,
    /// Its name there.
    pub(super) image: String,
}

impl ImageName {
    /// Reads the name of an image as the distribution specification has it. Whether there is such a project and
    /// repository is found out by looking.
    pub(super) fn parse(project: String, repository: String, image: String) -> Result<Self, Error> {
        if image.is_empty() {
            return Err(Error::invalid("name.image", "is required"));
        }
        if image.len() > MAX_NAME_BYTES {
            let problem = format!("has {} bytes; the limit is {MAX_NAME_BYTES}", image.len());
            return Err(Error::invalid("name.image", problem));
        }
        if !is_image(&image) {
            let problem = "is not a name of an image: lower-case letters and digits, with `.`, `_`, `__` or `-` between \
                           them, in parts with `/` between them";
            return Err(Error::invalid("name.image", problem));
        }
        Ok(ImageName { project, repository, image })
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.project, self.repository, self.image)
    }
}

/// Whether a text can be the name of an image.
pub(super) fn is_image(name: &str) -> bool {
    name.len() <= MAX_NAME_BYTES && name.split('/').all(is_component)
}

fn is_component(part: &str) -> bool {
    let is_word = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let is_separator = |run: &str| matches!(run, "." | "_" | "__") || run.bytes().all(|byte| byte == b'-');
    part.starts_with(is_word) && part.ends_with(is_word) && part.split(is_word).all(is_separator)
}

/// What the keys of the packages of a repository start with.
fn scheme(held: RepositoryType) -> &'static str {
    match held {
        RepositoryType::Docker => "docker://",
        RepositoryType::Helm => "helm://",
        // The others hold no images, so they have no packages.
        RepositoryType::Oci
        | RepositoryType::Unspecified
        | RepositoryType::Generic
        | RepositoryType::Maven
        | RepositoryType::Npm
        | RepositoryType::Pypi
        | RepositoryType::Rpm
        | RepositoryType::Composer
        | RepositoryType::Nuget => "oci://",
    }
}

/// The key of the package of an image.
pub(super) fn package_key(held: RepositoryType, image: &str) -> String {
    format!("{}{image}", scheme(held))
}

/// The image whose package has a key.
pub(super) fn image_of_package(held: RepositoryType, key: &str) -> Option<&str> {
    key.strip_prefix(scheme(held)).filter(|image| is_image(image))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_distribution_specification() {
        let long = "a".repeat(255);
        for name in ["a", "nginx", "tools/jq", "a.b", "a_b", "a__b", "a-b", "a---b", "a/b/c/d", "1", "a1.b2-c3", &long]
        {
            assert!(is_image(name), "{name}");
        }
        let longer = "a".repeat(256);
        let bad = [
            "", "/", "a/", "/a", "a//b", "A", "a..b", "a___b", "a._b", "a-_b", "-a", "a-", ".a", "a.", "a b", "ä",
            "a\0b",
        ];
        for name in bad.into_iter().chain([longer.as_str()]) {
            assert!(!is_image(name), "{name:?}");
            let parsed = ImageName::parse("p".to_owned(), "r".to_owned(), name.to_owned());
            assert!(matches!(parsed, Err(Error::Invalid { field: "name.image", .. })), "{name:?}");
        }
    }

    #[test]
    fn the_key_of_a_package_says_what_its_repository_holds() {
        for (held, key) in [
            (RepositoryType::Docker, "docker://tools/jq"),
            (RepositoryType::Oci, "oci://tools/jq"),
            (RepositoryType::Helm, "helm://tools/jq"),
        ] {
            assert_eq!(package_key(held, "tools/jq"), key);
            assert_eq!(image_of_package(held, key), Some("tools/jq"));
        }
        for key in ["", "docker://", "jq", "oci://jq", "docker://JQ", "docker://a//b"] {
            assert_eq!(image_of_package(RepositoryType::Docker, key), None, "{key}");
        }
    }
}
