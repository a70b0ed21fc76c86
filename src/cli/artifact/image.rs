//! Images, beside their names: which repositories have them, and what a manifest consists of.

use std::collections::BTreeMap;

use serde::Deserialize;
use steward_proto::artifact::v1 as pb;

/// Whether a repository holds images rather than files.
pub(super) fn holds_images(repository: &pb::Repository) -> bool {
    use pb::RepositoryType as Type;
    match repository.r#type() {
        Type::Docker | Type::Oci | Type::Helm => true,
        Type::Unspecified
        | Type::Generic
        | Type::Maven
        | Type::Npm
        | Type::Pypi
        | Type::Rpm
        | Type::Composer
        | Type::Nuget => false,
    }
}

/// What a manifest says, as far as people ask.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Content {
    config: Option<Part>,
    layers: Option<Vec<Part>>,
    manifests: Option<Vec<Part>>,
    annotations: Option<BTreeMap<String, String>>,
}

/// A descriptor.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Part {
    pub(super) media_type: String,
    pub(super) digest: String,
    pub(super) size: i64,
    pub(super) platform: Option<Platform>,
}

/// What an image runs on: also the part of a config that says so.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub(super) struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl Content {
    /// Reads a manifest. One that cannot be read consists of nothing.
    pub(super) fn parse(manifest: &[u8]) -> Self {
        serde_json::from_slice(manifest).unwrap_or_default()
    }

    pub(super) fn config(&self) -> Option<&Part> {
        self.config.as_ref()
    }

    pub(super) fn layers(&self) -> &[Part] {
        self.layers.as_deref().unwrap_or_default()
    }

    /// The manifests of an index.
    pub(super) fn manifests(&self) -> &[Part] {
        self.manifests.as_deref().unwrap_or_default()
    }

    pub(super) fn into_annotations(self) -> BTreeMap<String, String> {
        self.annotations.unwrap_or_default()
    }
}

impl Part {
    /// Whether it is the config of an image that runs, which says on what.
    pub(super) fn is_image_config(&self) -> bool {
        matches!(
            self.media_type.as_str(),
            "application/vnd.oci.image.config.v1+json" | "application/vnd.docker.container.image.v1+json"
        )
    }
}

impl Platform {
    /// `linux/arm64/v8`; nothing if it says nothing.
    pub(super) fn text(&self) -> Option<String> {
        if self.os.is_empty() && self.architecture.is_empty() {
            return None;
        }
        let variant = self.variant.as_deref().filter(|variant| !variant.is_empty());
        let parts = [Some(self.os.as_str()), Some(self.architecture.as_str()), variant];
        Some(parts.into_iter().flatten().collect::<Vec<_>>().join("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_may_leave_things_out_or_have_nulls() {
        let content = Content::parse(br#"{"layers": null, "manifests": [{"digest": "sha256:a", "size": 3}]}"#);
        assert!(content.layers().is_empty() && content.config().is_none());
        assert_eq!(content.manifests()[0].digest, "sha256:a");
        assert!(Content::parse(b"nonsense").manifests().is_empty());
    }

    #[test]
    fn a_platform_has_two_parts_or_three() {
        let platform: Platform =
            serde_json::from_str(r#"{"os":"linux","architecture":"arm64","variant":"v8"}"#).unwrap();
        assert_eq!(platform.text().as_deref(), Some("linux/arm64/v8"));
        let platform = Platform { variant: None, ..platform };
        assert_eq!(platform.text().as_deref(), Some("linux/arm64"));
        assert_eq!(Platform::default().text(), None);
    }
}
