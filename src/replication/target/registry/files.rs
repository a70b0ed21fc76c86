//! Files at a registry: each is an artifact with one layer, under the tag `latest` of an image that is named after its
//! path. The manifest is made of the file alone, so that its digest says whether the registry has the same.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use steward_proto::artifact::v1::{File, Manifest};

use super::super::retry::retried;
use super::super::{BlobPush, BlobRef, BlobSource, FilePut, ManifestPut, Pushed, TargetError};
use super::{PARALLEL_QUESTIONS, Registry};
use crate::blob::{Algorithm, Digest};

/// What kind of artifact a file is.
const ARTIFACT_TYPE: &str = "application/vnd.steward.file.v1";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const EMPTY_CONTENT: &[u8] = b"{}";
const BYTES: &str = "application/octet-stream";
/// Where the name of a file is, as other clients look for it.
const TITLE: &str = "org.opencontainers.image.title";
/// Where its whole path is.
const PATH: &str = "vnd.steward.file.path";
const TAG: &str = "latest";
/// How long the name of an image is made of a path, without what stands in front of it.
const MAX_NAME_BYTES: usize = 160;

/// A manifest of a file. The order of the fields is that of their serialization, and never changes.
#[derive(Debug, Deserialize, Serialize)]
struct FileManifest {
    #[serde(rename = "schemaVersion")]
    schema_version: u32,
    #[serde(rename = "mediaType", default)]
    media_type: String,
    #[serde(rename = "artifactType", default)]
    artifact_type: String,
    config: Layer,
    #[serde(default)]
    layers: Vec<Layer>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Layer {
    #[serde(rename = "mediaType", default)]
    media_type: String,
    digest: String,
    size: i64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

/// The manifest that a file becomes.
pub(super) fn manifest_of(file: &File, with_metadata: bool) -> (Manifest, Bytes) {
    let title = file.path.rsplit('/').next().unwrap_or_default().to_owned();
    let mut annotations = BTreeMap::new();
    if with_metadata {
        annotations.extend(file.metadata.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    annotations.insert(PATH.to_owned(), file.path.clone());
    let config = Layer { media_type: EMPTY.to_owned(), digest: empty().digest, size: 2, annotations: BTreeMap::new() };
    let layer = Layer {
        media_type: BYTES.to_owned(),
        digest: format!("sha256:{}", file.sha256),
        size: file.size,
        annotations: BTreeMap::from([(TITLE.to_owned(), title)]),
    };
    let manifest = FileManifest {
        schema_version: 2,
        media_type: MANIFEST.to_owned(),
        artifact_type: ARTIFACT_TYPE.to_owned(),
        config,
        layers: vec![layer],
        annotations,
    };
    let content = Bytes::from(serde_json::to_vec(&manifest).expect("texts and numbers are JSON"));
    let manifest = Manifest {
        digest: Digest::of(Algorithm::Sha256, &content).to_string(),
        media_type: MANIFEST.to_owned(),
        size: i64::try_from(content.len()).unwrap_or(i64::MAX),
        artifact_type: ARTIFACT_TYPE.to_owned(),
        ..Manifest::default()
    };
    (manifest, content)
}

fn empty() -> BlobRef {
    let digest = Digest::of(Algorithm::Sha256, EMPTY_CONTENT).to_string();
    BlobRef { digest, size: EMPTY_CONTENT.len() as u64 }
}

/// The name of the image that a file becomes: its path in lower case, with what names cannot have replaced. What was
/// changed gets some digits of the digest of the path, so that no two files become the same image.
pub(super) fn image_of(path: &str) -> String {
    let path = path.trim_start_matches('/');
    let parts: Vec<String> = path.split('/').map(part_of).filter(|part| !part.is_empty()).collect();
    let mut name = parts.join("/");
    if name == path && name.len() <= MAX_NAME_BYTES {
        return name;
    }
    name.truncate(MAX_NAME_BYTES);
    let name = name.trim_end_matches(['.', '_', '-', '/']);
    let hash = Digest::of(Algorithm::Sha256, path.as_bytes()).hex();
    let separator = if name.is_empty() { "file-" } else { "-" };
    format!("{name}{separator}{}", &hash[..12])
}

/// A part of a path as a part of a name: letters and digits in lower case, with one of `.`, `_` and `-` in between.
fn part_of(part: &str) -> String {
    let mut name = String::new();
    for letter in part.chars() {
        let letter = letter.to_ascii_lowercase();
        match letter {
            'a'..='z' | '0'..='9' => name.push(letter),
            _ if name.is_empty() || name.ends_with(['.', '_', '-']) => {}
            '.' | '_' | '-' => name.push(letter),
            _ => name.push('-'),
        }
    }
    name.trim_end_matches(['.', '_', '-']).to_owned()
}

impl Registry {
    /// The digests of the manifests of some files, where they are there.
    pub(super) async fn digests_of_files(&self, files: &[File]) -> Result<Vec<Option<String>>, TargetError> {
        let mut questions = Vec::with_capacity(files.len());
        for file in files {
            questions.push(async move {
                let name = self.image(&image_of(&file.path))?;
                retried(&self.limits, &file.path, || self.digest_of(&name, TAG)).await
            });
        }
        futures::stream::iter(questions).buffered(PARALLEL_QUESTIONS).try_collect().await
    }

    /// Brings a file to the registry.
    pub(super) async fn store_file(&self, put: &FilePut<'_>) -> Result<Pushed, TargetError> {
        let file = put.file;
        let image = image_of(&file.path);
        let name = self.image(&image)?;
        let (manifest, content) = manifest_of(file, put.with_metadata);
        if !put.overwrite {
            let there = retried(&self.limits, &file.path, || self.digest_of(&name, TAG)).await?;
            if there.is_some_and(|there| there != manifest.digest) {
                return Err(TargetError::Refused(format!("{} has another {}", self.base, file.path)));
            }
        }
        let size = u64::try_from(file.size).unwrap_or(0);
        let blob = BlobRef { digest: format!("sha256:{}", file.sha256), size };
        let pushed = self.bring(put, &name, &blob, put.source).await?;
        let config = self.bring(put, &name, &empty(), &Empty).await?;
        let tags = [TAG.to_owned()];
        let metadata = std::collections::HashMap::new();
        let put =
            ManifestPut { image: &image, manifest: &manifest, content: &content, tags: &tags, metadata: &metadata };
        self.store_manifest(&put).await?;
        Ok(Pushed { sent: pushed.sent + config.sent, ..pushed })
    }

    /// Brings a blob of a file, if it is not there.
    async fn bring(
        &self,
        put: &FilePut<'_>,
        name: &str,
        blob: &BlobRef,
        source: &dyn BlobSource,
    ) -> Result<Pushed, TargetError> {
        if retried(&self.limits, &blob.digest, || self.has_blob(name, &blob.digest)).await? {
            return Ok(Pushed { mounted: true, ..Pushed::default() });
        }
        let push = BlobPush { image: name, blob, mount_from: &[], source, sessions: put.sessions, meter: put.meter };
        self.upload_to(name, Vec::new(), &put.file.path, &push).await
    }

    /// Deletes a file if it still has the bytes of `sha256`.
    pub(super) async fn remove_file(&self, path: &str, sha256: &str) -> Result<bool, TargetError> {
        let name = self.image(&image_of(path))?;
        let Some(read) = retried(&self.limits, path, || self.read_manifest(&name, TAG)).await? else {
            return Ok(false);
        };
        let wanted = format!("sha256:{sha256}");
        let is_it = serde_json::from_slice(&read.content).is_ok_and(|manifest: FileManifest| {
            manifest.artifact_type == ARTIFACT_TYPE && manifest.layers.iter().any(|layer| layer.digest == wanted)
        });
        if !is_it {
            return Ok(false);
        }
        let digest = read.digest();
        retried(&self.limits, path, || self.remove_tag(&name, TAG, &digest)).await
    }
}

/// The bytes of a config that says nothing.
struct Empty;

#[async_trait::async_trait]
impl BlobSource for Empty {
    async fn read(
        &self,
        offset: u64,
        _length: u64,
    ) -> Result<BoxStream<'static, Result<Bytes, TargetError>>, TargetError> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(EMPTY_CONTENT.len());
        Ok(futures::future::ready(Ok(Bytes::from_static(&EMPTY_CONTENT[from..]))).into_stream().boxed())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_image_name(name: &str) -> bool {
        let pattern = r"^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$";
        regex::Regex::new(pattern).unwrap().is_match(name)
    }

    #[test]
    fn the_image_of_a_file_is_named_after_its_path() {
        assert_eq!(image_of("/dir/a.txt"), "dir/a.txt");
        let changed = image_of("/Dir/A file.txt");
        assert!(changed.starts_with("dir/a-file.txt-"), "{changed}");
        assert_ne!(image_of("/A.txt"), image_of("/a.txt"));
        assert_ne!(image_of("/ä"), image_of("/ö"));
    }

    proptest! {
        #[test]
        fn every_path_becomes_a_name_that_registries_take(path in "/.{1,300}") {
            let name = image_of(&path);
            prop_assert!(is_image_name(&name), "{name}");
            prop_assert!(name.len() <= 180);
        }
    }

    #[test]
    fn the_manifest_of_a_file_is_made_of_the_file_alone() {
        let metadata = [("b", "2"), ("a", "1"), ("c", "3")];
        let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let sha256 = Digest::of(Algorithm::Sha256, b"hello").hex();
        let mut file = File { path: "/dir/a.txt".to_owned(), size: 5, sha256, metadata, ..File::default() };
        let (manifest, content) = manifest_of(&file, true);
        assert_eq!(
            manifest.digest,
            "sha256:d7c9595856bb3f8f94a609478b0a48892411b865b573100f419bee8499d38a31",
            "{}",
            String::from_utf8_lossy(&content)
        );
        file.modified_by = "somebody".to_owned();
        assert_eq!(manifest_of(&file, true).0.digest, manifest.digest);
        assert_ne!(manifest_of(&file, false).0.digest, manifest.digest);
    }
}
