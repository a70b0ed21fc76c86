//! What manifests say: images, indexes, and other artifacts, in the forms of OCI and Docker.
//!
//! Only what has to be known is read; everything else in a manifest is its own affair, and its bytes are kept as they
//! came.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;

use super::error::Error;
use crate::blob::{Algorithm, Digest};

/// The longest manifest, in bytes.
pub(super) const MAX_MANIFEST_BYTES: usize = 4 << 20;
/// The longest media type, in bytes; the grammar of media types allows no more.
const MAX_TYPE_BYTES: usize = 255;
/// Manifests of more bytes are read on a thread that may take its time.
const LARGE_BYTES: usize = 64 << 10;

pub(super) const OCI_IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";
const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_FOREIGN_LAYER: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar";

/// What is known of a manifest from its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    /// Its media type.
    pub(super) media_type: String,
    /// Its artifactType or, without one, the media type of its config; may be empty.
    pub(super) artifact_type: String,
    /// What it refers to.
    pub(super) subject: Option<Digest>,
    /// What it consists of, each once.
    pub(super) parts: BTreeMap<Digest, PartKind>,
    /// How many bytes that has.
    pub(super) content_size: u64,
}

/// What a part of a manifest has to be. The greater is the stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PartKind {
    /// A layer that is not to be distributed; it need not be there.
    Foreign,
    /// A manifest of an index, or a blob: caches of builds are indexes of layers.
    Child,
    /// A blob.
    Blob,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: Option<u64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    blobs: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    /// Not kept, but they have to be what others expect.
    #[serde(rename = "annotations")]
    _annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: Option<String>,
    digest: String,
    size: u64,
    urls: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Image,
    Index,
    Artifact,
}

impl Parsed {
    /// Reads a manifest that came with a media type; empty: with none.
    pub(super) fn read(content: &[u8], media_type: &str) -> Result<Self, Error> {
        let document: Document =
            serde_json::from_slice(content).map_err(|error| Error::ManifestInvalid(error.to_string()))?;
        let media_type = document.agreed_type(media_type)?;
        let kind = kind_of(&media_type)?;
        document.check_form(kind)?;
        let artifact_type = document.type_of_artifact();
        if artifact_type.len() > MAX_TYPE_BYTES {
            return Err(invalid(format!("its artifactType is longer than the limit of {MAX_TYPE_BYTES} bytes")));
        }
        let subject = document.subject.as_ref().map(Descriptor::digest).transpose()?;
        let (parts, content_size) = document.parts(kind)?;
        Ok(Parsed { media_type, artifact_type, subject, parts, content_size })
    }

    /// The parts that have to be there.
    pub(super) fn required(&self) -> impl Iterator<Item = (&Digest, PartKind)> {
        self.parts.iter().map(|(part, kind)| (part, *kind)).filter(|(_, kind)| *kind != PartKind::Foreign)
    }
}

impl Document {
    /// The media type of the manifest: the one that it came with, and the one that it says itself.
    fn agreed_type(&self, came_with: &str) -> Result<String, Error> {
        // A type of content can have parameters, which do not belong to the media type.
        let came_with = came_with.split(';').next().unwrap_or_default().trim();
        let own = self.media_type.as_deref().unwrap_or_default();
        match (came_with, own) {
            ("", "") if self.manifests.is_some() => Ok(OCI_INDEX.to_owned()),
            ("", "") if self.config.is_some() => Ok(OCI_IMAGE.to_owned()),
            ("", "") if self.schema_version == Some(1) => Err(old_schema()),
            ("", "") => Err(invalid("its media type is not known")),
            (came_with, "") => Ok(came_with.to_owned()),
            ("", own) => Ok(own.to_owned()),
            (came_with, own) if came_with == own => Ok(own.to_owned()),
            (came_with, own) => Err(invalid(format!("it came as {came_with:?}, but its mediaType is {own:?}"))),
        }
    }

    /// Who takes one kind of manifest for another must not see other content in it.
    fn check_form(&self, kind: Kind) -> Result<(), Error> {
        let expect = |holds, problem| if holds { Ok(()) } else { Err(invalid(problem)) };
        if self.schema_version == Some(1) {
            return Err(old_schema());
        }
        expect(kind == Kind::Artifact || self.schema_version == Some(2), "its schemaVersion has to be 2")?;
        match kind {
            Kind::Image => {
                expect(self.config.is_some(), "it has no config")?;
                expect(self.manifests.is_none(), "an image has no manifests")
            }
            Kind::Index => {
                expect(self.manifests.is_some(), "it has no manifests")?;
                expect(self.config.is_none() && self.layers.is_none(), "an index has no config and no layers")
            }
            Kind::Artifact => expect(
                self.manifests.is_none() && self.config.is_none() && self.layers.is_none(),
                "an artifact has blobs only",
            ),
        }
    }

    fn type_of_artifact(&self) -> String {
        let own = self.artifact_type.as_deref().filter(|own| !own.is_empty());
        let config = || self.config.as_ref()?.media_type.as_deref();
        own.or_else(config).unwrap_or_default().to_owned()
    }

    fn parts(&self, kind: Kind) -> Result<(BTreeMap<Digest, PartKind>, u64), Error> {
        let layers = self.layers.iter().flatten().map(|layer| (layer, layer.kind_of_layer()));
        let blobs = self.blobs.iter().flatten().map(|blob| (blob, blob.kind_of_layer()));
        let children = self.manifests.iter().flatten().map(|child| (child, PartKind::Child));
        let descriptors: Vec<(&Descriptor, PartKind)> = match kind {
            Kind::Image => self.config.iter().map(|config| (config, PartKind::Blob)).chain(layers).collect(),
            Kind::Index => children.collect(),
            Kind::Artifact => blobs.collect(),
        };
        let (mut parts, mut size) = (BTreeMap::new(), 0_u64);
        for (descriptor, kind) in descriptors {
            size = size.saturating_add(descriptor.size);
            parts
                .entry(descriptor.digest()?)
                .and_modify(|known: &mut PartKind| *known = kind.max(*known))
                .or_insert(kind);
        }
        Ok((parts, size))
    }
}

impl Descriptor {
    fn digest(&self) -> Result<Digest, Error> {
        self.digest.parse().map_err(|error| invalid(format!("it names {:?}, which {error}", self.digest)))
    }

    fn kind_of_layer(&self) -> PartKind {
        let media_type = self.media_type.as_deref().unwrap_or_default();
        let is_elsewhere = self.urls.as_ref().is_some_and(|urls| !urls.is_empty());
        let is_foreign = media_type.contains("nondistributable") || media_type.starts_with(DOCKER_FOREIGN_LAYER);
        if is_elsewhere || is_foreign { PartKind::Foreign } else { PartKind::Blob }
    }
}

fn kind_of(media_type: &str) -> Result<Kind, Error> {
    match media_type {
        OCI_IMAGE | DOCKER_IMAGE => Ok(Kind::Image),
        OCI_INDEX | DOCKER_LIST => Ok(Kind::Index),
        OCI_ARTIFACT => Ok(Kind::Artifact),
        _ if media_type.starts_with("application/vnd.docker.distribution.manifest.v1") => Err(old_schema()),
        _ => {
            let shown: String = media_type.chars().take(MAX_TYPE_BYTES).collect();
            Err(invalid(format!("{shown:?} is not the media type of a manifest")))
        }
    }
}

fn invalid(problem: impl Into<String>) -> Error {
    Error::ManifestInvalid(problem.into())
}

fn old_schema() -> Error {
    invalid("manifests of schema 1 are not supported: push it with a newer client")
}

/// Makes the digest of a manifest and reads it; a large one off the threads that serve others.
pub(super) async fn inspect(
    content: Bytes,
    algorithm: Algorithm,
    media_type: String,
) -> Result<(Digest, Result<Parsed, Error>), Error> {
    let size = content.len();
    apart(size, move || (Digest::of(algorithm, &content), Parsed::read(&content, &media_type))).await
}

/// Works on so many bytes: many of them off the threads that serve others.
pub(super) async fn apart<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    if bytes <= LARGE_BYTES {
        return Ok(work());
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::Internal(format!("a manifest could not be read: {error}")))
}

/// The annotations of a manifest; none, if it has none that can be read.
pub(super) fn annotations(content: &[u8]) -> BTreeMap<String, String> {
    #[derive(Deserialize)]
    struct Annotated {
        annotations: Option<BTreeMap<String, String>>,
    }
    serde_json::from_slice::<Annotated>(content).ok().and_then(|read| read.annotations).unwrap_or_default()
}
